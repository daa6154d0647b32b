// SPDX-License-Identifier: GPL-2.0

//! What every reset begins and ends with: the function is stopped and woken, and then has its
//! configuration again.

use kernel::{
    pci::Device,
    prelude::*, //
};

use xen::pci::{
    reset::Kind,
    ConfigSpace,
    Locked, //
};

use crate::{
    function::Function,
    life::Outcome,
    TELL, //
};

impl Function {
    /// Restores the configuration after a reset, and tells Xen. Reads the registers back.
    pub(super) fn put_back(&self, dev: &Locked, kind: Kind) -> Result {
        let saved = self.saved.as_ref().ok_or(ENODEV)?;
        saved.restore(dev)?;
        let config = ConfigSpace::of(dev);
        if config.has_its_bars() == Ok(false) {
            // It decoded its BARs when it was reset: vPCI drops writes to them until it is told.
            // For a function with MSI-X, Xen before 4.21.2 fails, but drops its vPCI state. A newer
            // Xen would map BARs of zero, as COMMAND is restored already, and drop writes again.
            let _ = config.quiesce();
            let _ = self.tell(dev, kind);
            saved.restore(dev)?;
        }
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

    /// Stops a function that cannot be reset, or not yet, and restores its configuration.
    pub(super) fn without_reset(&self, dev: &Locked, outcome: Outcome) -> Result<Outcome> {
        let restored = prepare(dev).and_then(|()| self.put_back(dev, Kind::Warm));
        let result = restored.map(|()| outcome);
        if let Err(e) = result {
            dev_err!(dev, "cannot restore its configuration: {:?}\n", e);
        }
        self.was_reset(result)
    }

    /// As [`Function::without_reset`], for a function that has no method. Logs that.
    pub(super) fn without_method(&self, dev: &Locked) -> Result<Outcome> {
        dev_warn!(dev, "no reset method: state leaks to the next owner\n");
        self.without_reset(dev, Outcome::Unresettable)
    }

    /// Records the result of a reset.
    pub(super) fn was_reset(&self, result: Result<Outcome>) -> Result<Outcome> {
        let outcome = result.unwrap_or(Outcome::Failed);
        self.inner.lock().life.was_reset(outcome);
        result
    }
}

/// Stops the function and wakes it up. Succeeds for a function that does not answer: there is
/// nothing to stop, and the reset may wake it up.
pub(super) fn prepare(dev: &Locked) -> Result {
    let config = ConfigSpace::of(dev);
    config.quiesce().and_then(|()| dev.wake()).or_else(|e| {
        if config.is_present() {
            Err(e)
        } else {
            Ok(())
        }
    })
}

/// Returns how long to wait for the function after its reset, in seconds. A reset seldom helps a
/// function that does not even answer before it.
pub(super) fn patience(dev: &Device) -> i64 {
    if ConfigSpace::of(dev).is_present() {
        ConfigSpace::PATIENCE
    } else {
        1
    }
}
