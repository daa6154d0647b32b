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

use kernel::prelude::*;

use xen::pci::{
    reset::{
        Kind,
        Method,
        Reset, //
    },
    ConfigSpace,
    Locked, //
};

use crate::{
    function::Function,
    life::Outcome,
    TELL, //
};

impl Function {
    /// Resets the function by its first usable method, or only restores its configuration if it has
    /// none. Records the result, and logs errors.
    pub(super) fn reset(&self, dev: &Locked) -> Result<Outcome> {
        let method = dev.reset_method();
        let result = self.reset_by(dev, method);
        match (result, method) {
            (Err(e), Some(method)) => dev_err!(dev, "reset ({}) failed: {:?}\n", method, e),
            (Err(e), None) => dev_err!(dev, "cannot restore its configuration: {:?}\n", e),
            (Ok(Outcome::Unresettable), _) => {
                dev_warn!(dev, "no reset method: state leaks to the next owner\n")
            }
            _ => (),
        }
        self.inner
            .lock()
            .life
            .was_reset(result.unwrap_or(Outcome::Failed));
        result
    }

    fn reset_by(&self, dev: &Locked, method: Option<Method>) -> Result<Outcome> {
        // Only one function at a time is reset by its bridge.
        let is_by_bridge = method.is_some_and(Method::is_by_bridge);
        let _in_turn = is_by_bridge.then(|| self.registry.bridges.lock());
        let undisturbed = dev.undisturbed();
        let prepared = prepare(dev);
        // If the function still decodes its BARs, vPCI would drop the restored addresses.
        let result = prepared.and_then(|()| dev.reset_stopped(&undisturbed));
        let restored = self.put_back(dev, kind(method));
        match result {
            Err(e) if e == ENOTTY => restored.map(|()| Outcome::Unresettable),
            Err(e) => Err(e),
            Ok(()) => restored.map(|()| Outcome::Reset),
        }
    }

    /// Called before any reset by the PCI core, no matter which task requested it.
    pub(crate) fn reset_prepare(&self, dev: &Locked) {
        if let Some(domain) = self.guest() {
            dev_warn!(dev, "reset while assigned to domain {}\n", domain);
            return;
        }
        let prepared = prepare(dev);
        self.inner.lock().prepared = prepared;
    }

    /// Called after any reset by the PCI core.
    pub(crate) fn reset_done(&self, dev: &Locked) {
        // Xen and the guest's device model track the state of an assigned function.
        if self.guest().is_some() {
            return;
        }
        // Restore the configuration even if `prepare()` failed, as the reset has cleared it.
        let restored = self.put_back(dev, kind(dev.reset_method()));
        let prepared = self.inner.lock().prepared;
        self.record(prepared.and(restored));
    }

    /// Restores the function after a reset of its link, before which the PCI core calls no
    /// callback.
    pub(crate) fn slot_reset(&self, dev: &Locked) -> Result {
        // This fails for a function with MSI-X, as its BARs are zero, but makes Xen drop its vPCI
        // state.
        let _ = self.tell(dev, Kind::Hot);
        let result = self.put_back(dev, Kind::Hot);
        self.record(result);
        result
    }

    /// Records a reset's result; a function that failed verification is not offered to guests.
    fn record(&self, result: Result) {
        if result.is_err() {
            self.inner.lock().life.was_reset(Outcome::Failed);
        }
    }

    fn put_back(&self, dev: &Locked, kind: Kind) -> Result {
        let saved = self.saved.as_ref().ok_or(ENODEV)?;
        saved.restore(dev)?;
        self.tell(dev, kind).inspect_err(|e| {
            dev_err!(
                dev,
                "Xen takes no notice of its reset: {:?}; see xl dmesg\n",
                e
            )
        })?;
        saved.verify()
    }

    fn tell(&self, dev: &Locked, kind: Kind) -> Result {
        if TELL.get() {
            self.vpci.was_reset(dev, kind)
        } else {
            Ok(())
        }
    }
}

/// Stops the function and wakes it up. Succeeds for a function that does not answer: there is
/// nothing to stop, and the reset may wake it up.
fn prepare(dev: &Locked) -> Result {
    let config = ConfigSpace::of(dev);
    config.quiesce().and_then(|()| dev.wake()).or_else(|e| {
        if config.is_present() {
            Err(e)
        } else {
            Ok(())
        }
    })
}

/// Returns the kind of reset to tell Xen.
fn kind(method: Option<Method>) -> Kind {
    method.map_or(Kind::Warm, Method::kind)
}
