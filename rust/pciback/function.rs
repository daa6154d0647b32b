// SPDX-License-Identifier: GPL-2.0

//! A function, from its seizure until neither the driver nor a guest has it any more.

use kernel::{
    new_mutex,
    new_work,
    pci,
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
        Delta,
        Instant,
        Monotonic, //
    },
    workqueue::Work, //
};

use xen::{
    gsi::Route,
    pci::{
        Command,
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
        Life,
        State, //
    },
    quirks::Quirk,
    registry::Registry,
    IDLE_D3, //
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
    /// Written with `inner` locked.
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
    /// What `returned.rs` does: resets a returned function for the next guest, and looks after it.
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
    pub(super) requested_at: Option<Instant<Monotonic>>,
    /// Present while the function is seized.
    pub(super) seized: Option<AsFound>,
    /// Whether an error was logged since the current guest has the function.
    pub(super) error_logged: bool,
    /// Whether the current guest was stopped.
    pub(super) guest_stopped: bool,
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
    pub(super) enabled: Enabled,
    pub(super) command: Command,
}

impl AsFound {
    /// Disables the function and restores COMMAND. The function stays enabled until here: disabling
    /// it in the seizure would evaluate ACPI's interrupt routing once more while other tasks wait.
    pub(super) fn restore(self, dev: &Locked) {
        self.enabled.disable(dev);
    }

    /// Makes `restore` leave the function stopped: no decoding, no DMA, no interrupts. Logs that.
    pub(super) fn leave_stopped(&mut self, dev: &Locked) {
        log_left_stopped(dev);
        self.command.leave_stopped();
    }
}

/// Logs that the function was not reset, and is left stopped.
pub(super) fn log_left_stopped(dev: &Locked) {
    dev_err!(
        dev,
        "left stopped: it was not reset, and holds state of its last owner\n"
    );
}

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

    /// Fails with `EBUSY` if a guest still has the function, in Xen at least.
    pub(crate) fn refuse_assigned(&self, dev: &Locked) -> Result {
        match self.guest() {
            Some(domain) => dev_err!(
                dev,
                "not seized: still assigned to domain {}; xl pci-detach or xl destroy first\n",
                domain
            ),
            None if self.vpci.is_assigned() => dev_err!(
                dev,
                "not seized: Xen has assigned it to a guest that XenStore does not name; xl destroy that guest first\n"
            ),
            None => return Ok(()),
        }
        Err(EBUSY)
    }

    /// Returns whether the driver has seized the function. The caller needs the device lock to rely
    /// on it.
    pub(crate) fn is_seized(&self) -> bool {
        self.inner.lock().seized.is_some()
    }

    /// Queues the work that gives a broken function up, or puts an idle one to sleep, as callers
    /// hold locks that this needs.
    pub(crate) fn look_after(self: &Arc<Self>) {
        if self.is_broken() || self.is_restless() {
            self.queue();
        }
    }

    /// Returns whether the function sleeps while nobody has it.
    pub(crate) fn is_sleepy(&self) -> bool {
        self.idle_d3.load(Relaxed)
    }

    /// Returns whether the function has to be put to sleep, or has to be woken because it is not to
    /// sleep any more.
    pub(super) fn is_restless(&self) -> bool {
        let inner = self.inner.lock();
        if self.is_sleepy() {
            inner.life.can_sleep()
        } else {
            inner.life.state() == State::Asleep
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
    pub(super) fn queue_others(&self) {
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

    pub(super) fn is_broken(&self) -> bool {
        matches!(self.state(), State::Broken | State::Lost(_))
    }

    /// Returns whether the registers of the function still have the saved values.
    pub(super) fn is_as_saved(&self) -> bool {
        self.saved.as_ref().is_some_and(Saved::is_current)
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

    /// Records that the current guest is stopped. Returns the guest, unless it was already stopped.
    pub(crate) fn stop_guest(&self) -> Option<Domain> {
        let mut inner = self.inner.lock();
        let guest = inner.life.guest()?;
        (!core::mem::replace(&mut inner.guest_stopped, true)).then_some(guest)
    }
}
