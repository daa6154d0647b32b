// SPDX-License-Identifier: GPL-2.0

//! What is done with a function that a guest has returned, or that is idle or broken.

use kernel::{
    prelude::*,
    sync::Arc,
    time::{
        delay::fsleep,
        Delta, //
    },
    workqueue::WorkItem, //
};

use xen::pci::{
    driver,
    Claim,
    ConfigSpace,
    DeviceLock, //
};

use crate::{
    function::{
        log_left_stopped,
        Function, //
    },
    life::Outcome,
    reset::ResetLock,
    NAME, //
};

/// The number of attempts to reset a function that waits for an event which nobody reports: another
/// function is seized, which may take a minute, or a toolstack goes on.
const ATTEMPTS: u32 = 140;
/// The time between two attempts, in milliseconds.
const PAUSE: i64 = 500;

impl Function {
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
        if (!is_seized || is_due) && self.vpci.is_assigned() {
            if !patience {
                dev_err!(
                    dev,
                    "not reset: Xen has assigned it to a guest that XenStore does not name\n"
                );
                if !is_seized {
                    self.registry.remove(self.sbdf, self);
                }
            }
            return patience;
        }
        dev.clear_assigned();
        if !is_seized {
            self.registry.remove(self.sbdf, self);
            self.reset_unbound(&dev);
        } else if is_due {
            // `reset()` has already logged an error.
            let is_postponed = self.reset(&dev, patience) == Ok(Outcome::Postponed);
            return patience && is_postponed && self.has_to_poll();
        }
        false
    }

    /// Resets a function that was unbound while assigned, and that the guest does not have any
    /// more.
    fn reset_unbound(self: &Arc<Self>, dev: &ResetLock<'_>) {
        if let Some(driver) = dev.driver_name() {
            dev_warn!(
                dev,
                "bound to {:?} without a reset since a guest had it; unbind it and reset it\n",
                driver
            );
            return;
        }
        let config = ConfigSpace::of(dev);
        if config.is_present() {
            // `reset()` has already logged any other error.
            if self.reset(dev, false) == Ok(Outcome::Postponed) {
                log_left_stopped(dev);
            }
            let _ = config.quiesce();
        }
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
