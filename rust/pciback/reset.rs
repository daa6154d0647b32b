// SPDX-License-Identifier: GPL-2.0

//! The one way in which a function is reset.
//!
//! Stop it, wake it up, reset it, restore its configuration, tell Xen's vPCI, and verify. The PCI
//! core resets. The other steps are in its two callbacks as well, so that they are done whoever
//! requests the reset.
//!
//! vPCI keeps dom0 from writing BARs that it takes for used, and drops silently a value that it
//! remembers: exactly the value that is restored after a reset. Stopping the function through vPCI
//! makes it take the BARs for unused. The link is reset after an error without that, so Xen is told
//! before anything is restored, too.

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
    /// Resets the function by the best method it has. Logs, and returns, how that failed. Of a
    /// function without a method the configuration is restored.
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
        // A bridge has one secondary bus reset at a time.
        let is_by_bridge = method.is_some_and(Method::is_by_bridge);
        let _in_turn = is_by_bridge.then(|| self.registry.bridges.lock());
        let undisturbed = dev.undisturbed();
        let prepared = prepare(dev);
        // A function that still decodes its BARs would not get them back.
        let result = prepared.and_then(|()| dev.reset_stopped(&undisturbed));
        let restored = self.put_back(dev, kind(method));
        match result {
            Err(e) if e == ENOTTY => restored.map(|()| Outcome::Unresettable),
            Err(e) => Err(e),
            Ok(()) => restored.map(|()| Outcome::Reset),
        }
    }

    /// Called before any reset by the PCI core, whoever requested it.
    pub(crate) fn reset_prepare(&self, dev: &Locked) {
        if let Some(domain) = self.guest() {
            dev_warn!(dev, "reset while assigned to domain {}\n", domain);
            return;
        }
        let prepared = prepare(dev);
        self.inner.lock().prepared = prepared;
    }

    /// Called after a reset by the PCI core.
    pub(crate) fn reset_done(&self, dev: &Locked) {
        // Xen, and the guest's device model, know the state of an assigned function.
        if self.guest().is_some() {
            return;
        }
        // Even if it was not prepared, its configuration is gone.
        let restored = self.put_back(dev, kind(dev.reset_method()));
        let prepared = self.inner.lock().prepared;
        self.record(prepared.and(restored));
    }

    /// Restores the function after the link was reset, which nobody announces.
    pub(crate) fn slot_reset(&self, dev: &Locked) -> Result {
        // With MSI-X this fails, as there are no BARs: Xen has forgotten the function all the same.
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

/// Stops the function and wakes it up. A function that does not answer has nothing to stop, and the
/// reset may wake it.
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

/// The kind of reset that Xen is told.
fn kind(method: Option<Method>) -> Kind {
    method.map_or(Kind::Warm, Method::kind)
}
