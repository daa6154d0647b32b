// SPDX-License-Identifier: GPL-2.0

//! A function that the driver has.

use kernel::{
    new_mutex, new_work, pci,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex,
        SetOnce, //
    },
    workqueue::{
        Work,
        WorkItem, //
    },
};

use xen::{
    config::{
        self,
        Command,
        Saved, //
    },
    driver,
    pci::{
        Assigned,
        DeviceExt,
        Enabled,
        Locked, //
    },
    Sbdf, //
};

use crate::{
    life::{
        Domain,
        Export,
        Flr,
        Life,
        Outcome,
        Refusal,
        State, //
    },
    quirks::Quirk,
    state, //
};

/// A function that the driver has.
///
/// What takes long is done under the function's own lock, which the driver core holds in its
/// callbacks: an argument `dev` is the proof. `inner` is locked for moments only.
#[pin_data]
pub(crate) struct Device {
    pub(crate) dev: ARef<pci::Device>,
    pub(crate) sbdf: Sbdf,
    /// What it is like while no guest has it.
    pub(super) saved: SetOnce<Saved>,
    #[pin]
    pub(super) inner: Mutex<Inner>,
    /// For PV guests, and for toolstacks to tell their device model.
    pub(crate) permissive: Atomic<bool>,
    /// As above.
    pub(crate) interrupt_control: Atomic<bool>,
    /// As above.
    #[pin]
    pub(crate) quirks: Mutex<KVec<Quirk>>,
    /// Whether an error of the function was told, while this guest has it.
    error_told: Atomic<bool>,
    /// Makes a returned function fit for the next guest.
    #[pin]
    work: Work<Device>,
}

/// What changes while the driver has the function.
pub(super) struct Inner {
    pub(super) life: Life,
    /// How the reset that the PCI core is doing, or has done, goes.
    pub(super) outcome: Result,
    /// While a guest has it.
    assigned: Option<Assigned>,
    /// While it is seized.
    found: Option<Found>,
}

/// What makes a function as it was found again, in this order.
struct Found {
    // To disable it costs an evaluation of ACPI's routing, as enabling it does: not in the way of
    // those who wait for it to be seized.
    _enabled: Enabled,
    command: Command,
}

kernel::impl_has_work! {
    impl HasWork<Self> for Device { self.work }
}

impl Device {
    /// A function that is about to be seized.
    pub(crate) fn new(dev: &Locked, sbdf: Sbdf) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                dev: (&**dev).into(),
                sbdf,
                saved: SetOnce::new(),
                inner <- new_mutex!(Inner {
                    life: Life::new(),
                    outcome: Ok(()),
                    assigned: None,
                    found: None,
                }),
                permissive: Atomic::new(false),
                interrupt_control: Atomic::new(false),
                quirks <- new_mutex!(KVec::new()),
                error_told: Atomic::new(false),
                work <- new_work!("pciback::Device"),
            }),
            GFP_KERNEL,
        )
    }

    /// Makes the function one that a guest can be given, unless it is. After an error it is as it
    /// was found.
    pub(crate) fn seize(&self, dev: &Locked) -> Result {
        if self.is_ours(dev) {
            return Ok(());
        }
        let failed =
            |step| move |e: &Error| dev_err!(dev, "not seized: {} failed: {:?}\n", step, e);

        let command = Command::keep(dev).inspect_err(failed("reading it"))?;
        if !config::has_its_bars(dev).inspect_err(failed("reading its BARs"))? {
            dev_err!(
                dev,
                "not seized: its BARs were lost by a reset; remove it (echo 1 >remove) and rescan\n"
            );
            return Err(EIO);
        }
        let found = Found {
            _enabled: dev.enable().inspect_err(failed("enabling it"))?,
            command,
        };
        dev.clear_master();
        let saved = Saved::new(dev).inspect_err(failed("saving its configuration"))?;
        self.saved.populate(saved);
        self.reset(dev).inspect_err(failed("resetting it"))?;
        self.inner.lock().found = Some(found);
        Ok(())
    }

    pub(crate) fn state(&self) -> State {
        self.inner.lock().life.state()
    }

    /// The guest that has it.
    pub(crate) fn guest(&self) -> Option<Domain> {
        self.inner.lock().life.guest()
    }

    /// Somebody wants it reset.
    pub(crate) fn flr(self: &Arc<Self>) -> Result {
        let result = {
            let dev = self.dev.lock();
            if !self.is_ours(&dev) {
                return Err(ENODEV);
            }
            let wanted = self.inner.lock().life.flr();
            match wanted {
                Flr::Nothing if self.is_as_saved() => return Ok(()),
                // A reset would be no use before the guest has lost it, which is waited for
                // elsewhere.
                Flr::Quiesce => return config::quiesce(&dev),
                Flr::Nothing | Flr::Reset => (),
            }
            let result = self.reset(&dev);
            self.inner.lock().life.touch();
            result
        };
        self.look_after();
        match result? {
            Outcome::Unresettable => Err(ENOTTY),
            _ => Ok(()),
        }
    }

    /// A guest gets it. It is reset first if that is still to be done, so this may sleep. Meanwhile
    /// nobody else resets it, and it is not taken away.
    pub(crate) fn export(&self, domain: Domain) -> Result<(), Refusal> {
        let dev = self.dev.lock();
        if !self.is_ours(&dev) {
            return Err(Refusal::Broken);
        }
        loop {
            {
                let mut inner = self.inner.lock();
                if inner.life.export(domain)? == Export::Done {
                    inner
                        .assigned
                        .get_or_insert_with(|| Assigned::new(&self.dev));
                    return Ok(());
                }
            }
            // It says what there is to say.
            let _ = self.reset(&dev);
        }
    }

    /// A guest does not have it any more. Does not sleep for long.
    pub(crate) fn release(self: &Arc<Self>, domain: Domain) {
        let assigned = {
            let mut inner = self.inner.lock();
            if !inner.life.release(domain) {
                return;
            }
            inner.assigned.take()
        };
        drop(assigned);
        self.permissive.store(false, Relaxed);
        self.interrupt_control.store(false, Relaxed);
        self.error_told.store(false, Relaxed);
        self.queue();
    }

    /// Takes it from those that are offered if it is broken, soon and without the caller's locks.
    pub(crate) fn look_after(self: &Arc<Self>) {
        if self.state() == State::Broken {
            self.queue();
        }
    }

    fn queue(self: &Arc<Self>) {
        // While the module goes, remove does all that is left to do.
        let _ = state::with(|state| {
            // Queued already: it will see what happened meanwhile.
            let _ = state.returns.enqueue(self.clone());
            Ok(())
        });
    }

    /// Resets a function that was returned, unless somebody else has.
    fn freshen(&self) {
        let dev = self.dev.lock();
        if self.is_ours(&dev) && self.state() == State::Returned {
            // It has said what there is to say.
            let _ = self.reset(&dev);
        }
    }

    /// Whether nobody has changed its registers either.
    fn is_as_saved(&self) -> bool {
        self.saved.as_ref().is_some_and(Saved::is_current)
    }

    /// Whether it is seized.
    fn is_ours(&self, _dev: &Locked) -> bool {
        self.inner.lock().found.is_some()
    }

    /// Gives the function up, whoever has it.
    pub(crate) fn give_up(&self, dev: &Locked) {
        let (guest, found, assigned) = {
            let mut inner = self.inner.lock();
            let guest = inner.life.guest();
            if let Some(domain) = guest {
                inner.life.release(domain);
            }
            (guest, inner.found.take(), inner.assigned.take())
        };
        drop(assigned);
        if let Some(domain) = guest {
            dev_warn!(
                dev,
                "taken from domain {}, which loses it: it is dead in there, and stays assigned in Xen until xl pci-detach or xl destroy\n",
                domain
            );
        }
        // Resetting one that does not answer would wait for it for a minute.
        let is_fit = config::is_present(dev)
            && (!self.inner.lock().life.needs_reset() && self.is_as_saved()
                || self.reset(dev).is_ok());
        if !is_fit {
            dev_err!(
                dev,
                "left switched off: what a guest left in it is still there\n"
            );
            if let Some(mut found) = found {
                found.command.keep_quiet();
            }
        }
    }

    /// Whether an error is the first since a guest has the function.
    pub(crate) fn is_first_error(&self) -> bool {
        !self.error_told.xchg(true, Relaxed)
    }

    /// The guest is stopped before it can touch the function again.
    pub(crate) fn cut_off(&self) -> Option<Domain> {
        let guest = self.guest()?;
        if let Err(e) = config::quiesce(&self.dev) {
            dev_warn!(self.dev, "does not answer ({:?})\n", e);
        }
        Some(guest)
    }
}

impl WorkItem for Device {
    type Pointer = Arc<Device>;

    fn run(this: Arc<Device>) {
        this.freshen();
        if this.state() == State::Broken && this.is_ours(&this.dev.lock()) {
            dev_err!(
                this.dev,
                "no guest gets it any more: given up by xen-pciback; xl pci-assignable-add tries again\n"
            );
            driver::release(&this.dev);
        }
    }
}
