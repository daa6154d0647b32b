// SPDX-License-Identifier: GPL-2.0

//! The one way in which a function is reset.
//!
//! Stop it, wake it up, reset it, put its configuration back, tell Xen's vPCI, look whether it is
//! back. The PCI core resets. The rest is what its two callbacks do when somebody else asks for the
//! reset, so that it is done in any case, and once: each access to the configuration goes through
//! Xen.
//!
//! vPCI keeps dom0 from writing BARs that it believes to be in use, and says nothing if the value
//! is the one that it remembers: exactly what is put back after a reset. Stopping the function
//! through vPCI makes it forget that they are in use. A reset of the link after an error comes
//! without that, so Xen is told of it before anything is put back, too.

use kernel::prelude::*;

use xen::{
    config,
    pci::{
        DeviceExt,
        Locked, //
    },
    physdev,
    reset::Kind, //
};

use crate::{
    device::Device,
    life::Outcome,
    state,
    TELL, //
};

impl Device {
    /// Resets the function by the best method it has. Logs, and returns, how that failed. A
    /// function that has no method gets its configuration back only.
    pub(super) fn reset(&self, dev: &Locked) -> Result<Outcome> {
        let method = dev.reset_method();
        let result = state::with(|state| {
            // A bridge has one secondary bus reset at a time.
            let by_bridge = method.is_some_and(|method| method.is_by_bridge());
            let _in_turn = by_bridge.then(|| state.bridges.lock());
            let undisturbed = dev.undisturbed();
            self.reset_prepare(dev);
            // One that still decodes its BARs would not get them back.
            let prepared = self.inner.lock().outcome;
            let result = prepared.and_then(|()| dev.reset_stopped(&undisturbed));
            self.reset_done(dev);
            match result {
                Err(e) if e == ENOTTY => Ok(Outcome::Unresettable),
                result => result.map(|()| Outcome::Reset),
            }
        });
        let result = result.and_then(|outcome| self.inner.lock().outcome.map(|()| outcome));
        match (result, method) {
            (Err(e), Some(method)) => {
                dev_err!(dev, "reset ({}) failed: {:?}\n", method, e)
            }
            (Err(e), None) => dev_err!(dev, "cannot be put back as it was: {:?}\n", e),
            (Ok(Outcome::Unresettable), _) => dev_warn!(
                dev,
                "has no reset: what one owner leaves in it, the next one finds\n"
            ),
            _ => (),
        }
        self.inner
            .lock()
            .life
            .was_reset(result.unwrap_or(Outcome::Failed));
        result
    }

    /// The PCI core is about to reset the function, for whomever.
    pub(crate) fn reset_prepare(&self, dev: &Locked) {
        if let Some(domain) = self.guest() {
            dev_warn!(dev, "is reset under domain {}, which has it\n", domain);
            return;
        }
        let result = config::quiesce(dev).and_then(|()| config::wake(dev));
        // One that does not answer has nothing that could be stopped. The reset may wake it.
        self.inner.lock().outcome = result.or_else(|e| {
            if config::is_present(dev) {
                Err(e)
            } else {
                Ok(())
            }
        });
    }

    /// The function was reset.
    pub(crate) fn reset_done(&self, dev: &Locked) {
        let (guest, prepared) = {
            let inner = self.inner.lock();
            (inner.life.guest(), inner.outcome)
        };
        // Then Xen, and the guest's device model, know what it is like.
        if guest.is_some() {
            return;
        }
        let kind = dev
            .reset_method()
            .map_or(Kind::Warm, |method| method.kind());
        // Whatever else failed, its configuration is gone.
        let put_back = self.put_back(dev, kind);
        self.noticed(prepared.and(put_back));
    }

    /// The link was reset after an error, behind everybody's back.
    pub(crate) fn slot_reset(&self, dev: &Locked) -> Result {
        // With MSI-X this fails, as there are no BARs: Xen has forgotten the function all the same.
        let _ = tell(dev, Kind::Hot);
        let result = self.put_back(dev, Kind::Hot);
        self.noticed(result);
        result
    }

    /// Whoever did it, a function that is not right after a reset is not for guests.
    fn noticed(&self, result: Result) {
        let mut inner = self.inner.lock();
        inner.outcome = result;
        if result.is_err() {
            inner.life.was_reset(Outcome::Failed);
        }
    }

    fn put_back(&self, dev: &Locked, kind: Kind) -> Result {
        let saved = self.saved.as_ref().ok_or(ENODEV)?;
        saved.restore(dev)?;
        tell(dev, kind).inspect_err(|e| {
            dev_err!(
                dev,
                "Xen does not take notice of its reset: {:?}; see xl dmesg\n",
                e
            )
        })?;
        saved.verify()
    }
}

fn tell(dev: &Locked, kind: Kind) -> Result {
    if TELL.get() {
        physdev::was_reset(dev, kind)
    } else {
        Ok(())
    }
}
