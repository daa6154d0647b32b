// SPDX-License-Identifier: GPL-2.0

//! The reset of a function.
//!
//! A reset has six steps: stop the function, wake it up (D0), reset it, restore its configuration,
//! tell Xen's vPCI, and verify the BARs and COMMAND. The PCI core does the third step. Its
//! callbacks do the other steps as well, so that they are done no matter which task requests the
//! reset.
//!
//! vPCI drops dom0's writes to BARs that it treats as mapped. It also silently drops a write of the
//! value that it remembers, which is the value that is restored after a reset. Stopping the
//! function through vPCI makes it treat the BARs as unmapped. When the PCI core resets the link
//! after an error, it does not stop the function first. Xen is therefore told once more before the
//! configuration is restored.

use core::ops::Deref;

use kernel::{
    prelude::*,
    sync::Arc,
    time::Instant, //
};

use xen::pci::{
    reset::{
        Kind,
        Method,
        Reset, //
    },
    BusLock,
    ConfigSpace,
    DeviceLock,
    Locked, //
};

use crate::{
    card::own_method,
    function::Function,
    life::Outcome,
    restore::{
        patience,
        prepare, //
    }, //
};

/// The locks that a reset of a function needs.
pub(crate) enum ResetLock<'a> {
    /// The function has a reset of its own, or none at all.
    Function(DeviceLock<'a>),
    /// The function is reset together with all functions on its bus.
    Bus(BusLock<'a>),
}

impl Deref for ResetLock<'_> {
    type Target = Locked;

    fn deref(&self) -> &Locked {
        match self {
            Self::Function(dev) => dev,
            Self::Bus(bus) => bus,
        }
    }
}

impl Function {
    /// Takes the locks that a reset of the function needs. The caller must hold no device lock. May
    /// sleep for as long as a reset of the function, or of one that is reset with it, takes.
    ///
    /// Errors are those of [`BusLock::new`], without `ENOTTY`.
    pub(crate) fn lock_for_reset(&self) -> Result<ResetLock<'_>> {
        if own_method(&self.dev).is_none() {
            match BusLock::new(&self.dev) {
                Err(e) if e == ENOTTY => (),
                bus => return bus.map(ResetLock::Bus),
            }
        }
        Ok(ResetLock::Function(DeviceLock::new(&self.dev)))
    }

    /// Resets the function alone, or together with all functions on its bus. With `patience`, the
    /// reset is postponed for functions that are being seized, or that a toolstack is about to
    /// assign. Records the result, and logs errors.
    pub(crate) fn reset(self: &Arc<Self>, lock: &ResetLock<'_>, patience: bool) -> Result<Outcome> {
        match lock {
            ResetLock::Function(dev) => self.reset_alone(dev),
            ResetLock::Bus(bus) => self.reset_bus(bus, patience),
        }
    }

    /// As [`Function::reset`], in a callback of the driver core, which holds the device lock.
    /// Postponed if the bus cannot be locked.
    pub(crate) fn reset_in_callback(
        self: &Arc<Self>,
        dev: &Locked,
        patience: bool,
    ) -> Result<Outcome> {
        if own_method(dev).is_some() {
            return self.reset_alone(dev);
        }
        match BusLock::around(dev) {
            Ok(bus) => self.reset_bus(&bus, patience),
            Err(e) if e == ENOTTY => self.reset_alone(dev),
            Err(e) if e == EAGAIN => Ok(Outcome::Postponed),
            Err(e) => Err(e),
        }
    }

    /// Resets the function by its first method, or only restores its configuration if it has none.
    fn reset_alone(&self, dev: &Locked) -> Result<Outcome> {
        let Some(method) = own_method(dev) else {
            return self.without_method(dev);
        };
        let undisturbed = dev.undisturbed();
        let patience = patience(dev);
        // If the function still decodes its BARs, vPCI would drop the restored addresses.
        let result = prepare(dev).and_then(|()| {
            let began = Instant::now();
            dev.reset_stopped(&undisturbed, method)?;
            ConfigSpace::of(dev).wait_until_present(began, patience)
        });
        drop(undisturbed);
        let restored = self.put_back(dev, method.kind());
        let result = result.and(restored).map(|()| Outcome::Reset);
        if let Err(e) = result {
            dev_err!(dev, "reset ({}) failed: {:?}\n", method, e);
        }
        self.was_reset(result)
    }

    /// Called before any reset by the PCI core, no matter which task requested it.
    pub(crate) fn reset_prepare(&self, dev: &Locked) {
        if let Some(domain) = self.guest() {
            dev_warn!(dev, "reset while assigned to domain {}\n", domain);
            return;
        }
        let patience = patience(dev);
        let prepared = prepare(dev).map(|()| patience);
        self.inner.lock().prepared = prepared;
    }

    /// Called after any reset by the PCI core.
    pub(crate) fn reset_done(&self, dev: &Locked) {
        // Xen and the guest's device model track the state of an assigned function.
        if self.guest().is_some() {
            return;
        }
        let prepared = self.inner.lock().prepared;
        let back = prepared
            .and_then(|patience| ConfigSpace::of(dev).wait_until_present(Instant::now(), patience));
        // Restore the configuration even if `prepare()` failed, as the reset has cleared it.
        let restored = self.put_back(dev, kind(dev.reset_method()));
        self.record(back.and(restored));
    }

    /// Restores the function after a reset of its link, before which the PCI core calls no
    /// callback.
    pub(crate) fn slot_reset(&self, dev: &Locked) -> Result {
        // The PCI core blocks others meanwhile. All functions of the link share the time.
        let began = self.inner.lock().error_at;
        let back = ConfigSpace::of(dev).wait_until_present(began, ConfigSpace::PATIENCE);
        // The reset has woken it up, which the PCI core does not know.
        let awake = back.and_then(|()| dev.wake());
        let result = awake.and(self.put_back(dev, Kind::Hot));
        self.record(result);
        result
    }

    /// Records a reset's result: the function is awake, or not offered to guests if it failed.
    fn record(&self, result: Result) {
        let life = &mut self.inner.lock().life;
        match result {
            Ok(()) => life.woke(),
            Err(_) => life.was_reset(Outcome::Failed),
        }
    }
}

/// Returns the kind of reset to tell Xen.
fn kind(method: Option<Method>) -> Kind {
    method.map_or(Kind::Warm, Method::kind)
}
