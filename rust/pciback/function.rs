// SPDX-License-Identifier: GPL-2.0

//! A function, from its seizure until neither the driver nor a guest has it any more.

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
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    },
    workqueue::{
        Work,
        WorkItem, //
    },
};

use xen::{
    gsi::Route,
    pci::{
        driver,
        Claim,
        Command,
        ConfigSpace,
        DeviceLock,
        Enabled,
        Locked,
        Saved,
        Sbdf, //
    },
    vpci, //
};

use crate::{
    life::{
        Domain,
        Flr,
        Life,
        Outcome,
        State, //
    },
    quirks::Quirk,
    registry::Registry,
    IDLE_D3,
    NAME, //
};

/// A function that the driver has seized, or that a guest still has.
///
/// Resets and other slow operations run under the device lock, which the driver core holds in its
/// callbacks: a parameter `dev: &Locked` proves that. `inner` is locked inside the device lock, and
/// only briefly.
#[pin_data]
pub(crate) struct Function {
    pub(crate) dev: ARef<pci::Device>,
    pub(crate) sbdf: Sbdf,
    pub(super) vpci: vpci::Function,
    /// The configuration that every reset restores, saved when the function was seized.
    pub(super) saved: SetOnce<Saved>,
    #[pin]
    pub(super) inner: Mutex<Inner>,
    /// Stored for PV guests, and for toolstacks that configure a device model.
    pub(crate) permissive: Atomic<bool>,
    /// See `permissive`.
    pub(crate) interrupt_control: Atomic<bool>,
    /// Whether a toolstack is taking the function from its guest. PV guests cannot reach it then.
    pub(crate) is_leaving: Atomic<bool>,
    /// Whether the next guest gets the function without the reset that it waits for.
    pub(crate) allow_unreset: Atomic<bool>,
    /// Whether the function sleeps while nobody has it.
    pub(super) idle_d3: Atomic<bool>,
    /// See `permissive`.
    #[pin]
    pub(crate) quirks: Mutex<KVec<Quirk>>,
    /// The last PV guest that had the function, or 0.
    pub(super) last_pv_guest: Atomic<u32>,
    /// Set when a PV guest first gets the function: its INTx line.
    gsi: SetOnce<Option<u32>>,
    pub(super) registry: Arc<Registry<Function>>,
    /// Resets a returned function for the next guest, and looks after it, see `look_after()`.
    #[pin]
    work: Work<Function>,
}

/// The mutable state of a function.
pub(super) struct Inner {
    pub(super) life: Life,
    /// The result of `reset_prepare` for the reset that the PCI core is doing, and how long to wait
    /// for the function after it, in seconds.
    pub(super) prepared: Result<i64>,
    /// When Linux reported the last error.
    pub(super) error_at: Instant<Monotonic>,
    /// When a toolstack last requested a reset.
    requested_at: Option<Instant<Monotonic>>,
    /// Present while the function is seized.
    pub(super) seized: Option<AsFound>,
    /// Whether an error was logged since the current guest has the function.
    error_logged: bool,
    /// Whether the current guest was stopped.
    guest_stopped: bool,
}

/// The time that a toolstack needs between the reset of a function and its assignment in Xen. The
/// device model takes the function over meanwhile.
const HAND_OVER: Delta = Delta::from_secs(5);

impl Inner {
    /// Returns whether a toolstack may be about to assign the function in Xen.
    pub(super) fn is_requested(&self) -> bool {
        self.life.state() == State::Touched
            && self.requested_at.is_some_and(|at| at.elapsed() < HAND_OVER)
    }
}

/// The state in which the driver found the function, restored when it gives the function up.
pub(super) struct AsFound {
    enabled: Enabled,
    command: Command,
}

impl AsFound {
    /// Disables the function and restores COMMAND. The function stays enabled until here: disabling
    /// it in the seizure would evaluate ACPI's interrupt routing once more while other tasks wait.
    fn restore(self, dev: &Locked) {
        self.enabled.disable(dev);
    }

    /// Makes `restore` leave the function stopped: no decoding, no DMA, no interrupts. Logs that.
    fn leave_stopped(&mut self, dev: &Locked) {
        dev_err!(
            dev,
            "left stopped: it was not reset, and holds state of its last owner\n"
        );
        self.command.leave_stopped();
    }
}

/// The number of attempts to reset a function that waits for an event which nobody reports: another
/// function is seized, which may take a minute, or a toolstack goes on.
const ATTEMPTS: u32 = 140;
/// The time between two attempts, in milliseconds.
const PAUSE: i64 = 500;

kernel::impl_has_work! {
    impl HasWork<Self> for Function { self.work }
}

impl Function {
    /// Creates the record of a function that is about to be seized.
    pub(crate) fn new(
        registry: &Arc<Registry<Function>>,
        dev: &pci::Device,
        sbdf: Sbdf,
        vpci: vpci::Function,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                dev: dev.into(),
                sbdf,
                vpci,
                saved: SetOnce::new(),
                inner <- new_mutex!(Inner {
                    life: Life::new(),
                    prepared: Ok(0),
                    error_at: Instant::now(),
                    requested_at: None,
                    seized: None,
                    error_logged: false,
                    guest_stopped: false,
                }),
                permissive: Atomic::new(false),
                interrupt_control: Atomic::new(false),
                is_leaving: Atomic::new(false),
                allow_unreset: Atomic::new(false),
                idle_d3: Atomic::new(IDLE_D3.get()),
                quirks <- new_mutex!(KVec::new()),
                last_pv_guest: Atomic::new(0),
                gsi: SetOnce::new(),
                registry: registry.clone(),
                work <- new_work!("pciback::Function"),
            }),
            GFP_KERNEL,
        )
    }

    /// Prepares the function for guests: enables it, saves its configuration, and resets it. After
    /// an error it is as the driver found it, but stopped if a reset failed. Logs errors. Sleeps
    /// for as long as the reset takes.
    pub(crate) fn seize(self: &Arc<Self>, dev: &Locked) -> Result {
        let failed =
            |step| move |e: &Error| dev_err!(dev, "not seized: {} failed: {:?}\n", step, e);

        let mut command = Command::keep(dev).inspect_err(failed("reading it"))?;
        // A dom0 driver enables bus mastering when it is ready for DMA. Until then, DMA of the last
        // owner must not go on.
        command.forbid_dma();
        let config = ConfigSpace::of(dev);
        if !config
            .has_its_bars()
            .inspect_err(failed("reading its BARs"))?
        {
            dev_err!(
                dev,
                "not seized: its BARs were lost by a reset; remove it (echo 1 >remove) and rescan\n"
            );
            return Err(EIO);
        }
        let mut found = AsFound {
            enabled: dev.enable().inspect_err(failed("enabling it"))?,
            command,
        };
        dev.clear_master();
        let result = match Saved::new(dev).inspect_err(failed("saving its configuration")) {
            Ok(saved) => {
                self.saved.populate(saved);
                let result = self
                    .reset_in_callback(dev, true)
                    .inspect_err(failed("resetting it"));
                if result.is_err() {
                    found.leave_stopped(dev);
                }
                result.map(|_| ())
            }
            Err(e) => Err(e),
        };
        match result {
            Ok(()) => self.inner.lock().seized = Some(found),
            Err(_) => found.restore(dev),
        }
        result
    }

    /// Returns the GSI of the function's INTx, if it has any. May sleep.
    pub(crate) fn gsi(&self) -> Option<u32> {
        if self.gsi.as_ref().is_none() {
            let route = Route::of(&self.dev);
            self.gsi.populate(route.ok().map(|route| route.gsi));
        }
        self.gsi.as_ref().copied().flatten()
    }

    pub(crate) fn state(&self) -> State {
        self.inner.lock().life.state()
    }

    /// Returns the guest that the function is assigned to in Xen.
    pub(crate) fn guest(&self) -> Option<Domain> {
        self.inner.lock().life.guest()
    }

    /// Fails with `EBUSY` if a guest still has the function.
    pub(crate) fn refuse_assigned(&self, dev: &Locked) -> Result {
        let Some(domain) = self.guest() else {
            return Ok(());
        };
        dev_err!(
            dev,
            "not seized: still assigned to domain {}; xl pci-detach or xl destroy first\n",
            domain
        );
        Err(EBUSY)
    }

    /// Returns whether the driver has seized the function. The caller needs the device lock to rely
    /// on it.
    pub(crate) fn is_seized(&self) -> bool {
        self.inner.lock().seized.is_some()
    }

    /// Serves a request for a reset (`do_flr`). Sleeps for as long as the reset takes.
    ///
    /// This also resets a function that was unbound while assigned: libxl requests the reset when
    /// it destroys the guest, and does not use another method.
    ///
    /// Errors: `ENODEV` if neither the driver nor a guest has the function any more; `EBUSY` if
    /// another driver has it, or if a guest has one that is reset with it; `EAGAIN` while Linux
    /// recovers from an error; `ENOTTY` if the function cannot be reset; else those of the reset.
    pub(crate) fn flr(self: &Arc<Self>) -> Result {
        let result = {
            let dev = self.lock_for_reset()?;
            if !self.registry.has(self.sbdf, self) {
                return Err(ENODEV);
            }
            let is_seized = self.is_seized();
            if !is_seized && dev.driver_name().is_some() {
                return Err(EBUSY);
            }
            // If this fails, the function is reset.
            let _ = self.rouse(&dev);
            let wanted = {
                let mut inner = self.inner.lock();
                if inner.life.is_recovering() && inner.life.guest().is_none() {
                    return Err(EAGAIN);
                }
                inner.requested_at = Some(Instant::now());
                inner.life.flr()
            };
            if wanted != Flr::Quiesce && self.vpci.is_assigned() {
                // The guest may use the function until the toolstack has taken it away in Xen.
                self.inner.lock().life.distrust();
                self.queue();
                return ConfigSpace::of(&dev).quiesce();
            }
            match wanted {
                Flr::Nothing if self.is_as_saved() => return Ok(()),
                Flr::Quiesce => {
                    self.is_leaving.store(true, Relaxed);
                    let config = ConfigSpace::of(&dev);
                    return match self.pv_guest() {
                        // It may access what it has mapped (XSA-120).
                        Some(_) => config.stop_sending(),
                        None => config.quiesce(),
                    };
                }
                Flr::Nothing | Flr::Reset => (),
            }
            let result = self.reset(&dev, false);
            // If this request only finds registers changed, the function is not distrusted: its
            // siblings may be with the same guest already.
            if wanted == Flr::Reset && result == Ok(Outcome::Postponed) {
                self.inner.lock().life.distrust();
            }
            if !is_seized {
                // Leave the function stopped. A dom0 driver enables it.
                let _ = ConfigSpace::of(&dev).quiesce();
            }
            self.inner.lock().life.touch();
            result
        };
        self.look_after();
        match result? {
            Outcome::Unresettable => Err(ENOTTY),
            Outcome::Postponed => Err(EBUSY),
            Outcome::Reset | Outcome::Failed => Ok(()),
        }
    }

    /// Called when the guest does not have the function any more. Only queues the reset.
    pub(crate) fn give_back(self: &Arc<Self>) {
        self.note_pv_guest();
        self.permissive.store(false, Relaxed);
        self.interrupt_control.store(false, Relaxed);
        self.is_leaving.store(false, Relaxed);
        self.allow_unreset.store(false, Relaxed);
        {
            // Release last: the next guest may get the function immediately.
            let mut inner = self.inner.lock();
            inner.error_logged = false;
            inner.guest_stopped = false;
            inner.life.release();
        }
        self.queue();
        self.queue_others();
    }

    /// Queues the work that gives a broken function up, or puts an idle one to sleep, as callers
    /// hold locks that this needs.
    pub(crate) fn look_after(self: &Arc<Self>) {
        if self.is_broken() || self.is_restless() {
            self.queue();
        }
    }

    /// Records that Linux has given up the recovery from an error. Queues the reset that the
    /// function needs.
    pub(crate) fn give_up_recovery(self: &Arc<Self>) {
        self.inner.lock().life.give_up_recovery();
        self.set_recovering(false);
    }

    /// Records that Linux begins or ends the recovery from an error. Queues work that has become
    /// due.
    pub(crate) fn set_recovering(self: &Arc<Self>, recovering: bool) {
        let is_due = {
            let mut inner = self.inner.lock();
            inner.error_at = Instant::now();
            inner.life.set_recovering(recovering);
            inner.life.is_due()
        };
        if is_due {
            self.queue();
        }
        self.look_after();
        if !recovering {
            self.queue_others();
        }
    }

    /// Queues the reset of a function that was seized without one.
    pub(crate) fn queue_if_due(self: &Arc<Self>) {
        if self.inner.lock().life.is_due() {
            self.queue();
        }
    }

    /// Queues the resets of functions on the same bus that may have waited for this one.
    fn queue_others(&self) {
        let waits = |other: &Function| {
            other.sbdf.segment() == self.sbdf.segment()
                && other.sbdf.bus() == self.sbdf.bus()
                && other.sbdf != self.sbdf
                && other.inner.lock().life.is_due()
        };
        match self.registry.list(waits) {
            Ok(others) => others.iter().for_each(|other| other.queue()),
            Err(e) => dev_warn!(self.dev, "others are not reset with it: {:?}\n", e),
        }
    }

    pub(super) fn queue(self: &Arc<Self>) {
        // Fails only if the work is already queued. It then sees all changes up to now.
        let _ = self.registry.returns.enqueue(self.clone());
    }

    fn is_broken(&self) -> bool {
        matches!(self.state(), State::Broken | State::Lost(_))
    }

    /// Returns whether the registers of the function still have the saved values.
    fn is_as_saved(&self) -> bool {
        self.saved.as_ref().is_some_and(Saved::is_current)
    }

    /// Gives the function up: the driver is being unbound. Resets the function unless it is clean,
    /// and restores the state in which the driver found it.
    pub(crate) fn give_up(self: &Arc<Self>, dev: &Locked) {
        // The reset of a function that does not answer would wait a minute for it.
        let is_present = ConfigSpace::of(dev).is_present();
        if is_present {
            // If this fails, the function is reset.
            let _ = self.rouse(dev);
        }
        let (guest, needs_reset, found) = {
            let mut inner = self.inner.lock();
            let life = &inner.life;
            (life.guest(), life.needs_reset(), inner.seized.take())
        };
        let Some(mut found) = found else { return };
        let is_fit = is_present
            && (guest.is_some() || !self.vpci.is_assigned())
            && (!needs_reset && self.is_as_saved()
                || self
                    .reset_in_callback(dev, false)
                    .is_ok_and(|outcome| outcome != Outcome::Postponed));
        if let Some(domain) = guest {
            dev_warn!(
                dev,
                "unbound while assigned to domain {}; run xl pci-detach or xl destroy\n",
                domain
            );
            found.command.leave_stopped();
        } else if !is_fit {
            found.leave_stopped(dev);
        }
        found.restore(dev);
        if guest.is_none() {
            self.warn_of_mappings(None);
            dev.clear_assigned();
            self.registry.remove(self.sbdf, self);
        }
        self.queue_others();
    }

    /// Returns whether this is the first call since the current guest has the function.
    pub(crate) fn is_first_error(&self) -> bool {
        !core::mem::replace(&mut self.inner.lock().error_logged, true)
    }

    /// Returns whether Linux is recovering from an error of the function, or the current guest was
    /// stopped for one.
    pub(crate) fn has_failed(&self) -> bool {
        let inner = self.inner.lock();
        inner.guest_stopped || inner.life.is_recovering()
    }

    /// Returns whether this is the first call since the current guest has the function.
    pub(crate) fn is_first_stop(&self) -> bool {
        !core::mem::replace(&mut self.inner.lock().guest_stopped, true)
    }

    /// Resets a returned function if that is due. Also ends the tracking of a function that was
    /// unbound while assigned. With `patience`, returns whether to try again.
    fn freshen(self: &Arc<Self>, patience: bool) -> bool {
        let dev = match self.lock_for_reset() {
            Ok(dev) => dev,
            // It was removed: there is nothing to reset.
            Err(e) if e == ENODEV => {
                let dev = DeviceLock::new(&self.dev);
                if self.guest().is_none() && !self.is_seized() {
                    dev.clear_assigned();
                    self.registry.remove(self.sbdf, self);
                }
                return false;
            }
            Err(e) => {
                dev_err!(self.dev, "not reset: its bus cannot be locked: {:?}\n", e);
                return false;
            }
        };
        if !self.registry.has(self.sbdf, self) {
            return false;
        }
        let (guest, is_due, is_seized) = {
            let inner = self.inner.lock();
            (
                inner.life.guest(),
                inner.life.is_due(),
                inner.seized.is_some(),
            )
        };
        if guest.is_some() {
            return false;
        }
        dev.clear_assigned();
        if !is_seized {
            self.registry.remove(self.sbdf, self);
            self.reset_unbound(&dev);
        } else if is_due {
            if self.vpci.is_assigned() {
                if !patience {
                    dev_err!(
                        dev,
                        "not reset: Xen has assigned it to a guest that XenStore does not name\n"
                    );
                }
                return patience;
            }
            // `reset()` has already logged an error.
            let is_postponed = self.reset(&dev, patience) == Ok(Outcome::Postponed);
            return patience && is_postponed && self.has_to_poll();
        }
        false
    }
}

impl WorkItem for Function {
    type Pointer = Arc<Function>;

    fn run(this: Arc<Function>) {
        for attempt in 1..=ATTEMPTS {
            if !this.freshen(attempt < ATTEMPTS) {
                break;
            }
            fsleep(Delta::from_millis(PAUSE));
        }
        this.follow_idle_d3();
        if !this.is_broken() {
            return;
        }
        // The claim keeps other drivers from the function between the check and the unbinding.
        let _claim = Claim::new(&this.dev, NAME);
        // It may have been reset with another one meanwhile.
        let is_hopeless = {
            let _lock = DeviceLock::new(&this.dev);
            this.is_seized() && this.is_broken()
        };
        if is_hopeless {
            dev_err!(
                this.dev,
                "withdrawn: reset failed; retry with xl pci-assignable-add\n"
            );
            driver::unbind(&this.dev);
        }
    }
}
