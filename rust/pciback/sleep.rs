// SPDX-License-Identifier: GPL-2.0

//! Sleep (D3hot) of functions that nobody has.
//!
//! A function sleeps while it is seized and clean. Whoever is to get it, a guest or dom0, wakes it
//! first; a reset does that as well. [`Life`] knows whether it sleeps, and does not hand over a
//! function that does: if waking it fails, it has to be reset.
//!
//! Xen's vPCI does not look at the power state. The function is therefore stopped before it sleeps:
//! vPCI unmaps its BARs from dom0, and Xen does not touch its MSI-X table. A function that resets
//! itself when it wakes up (its No_Soft_Reset bit is clear) loses its configuration. So waking ends
//! as a reset does: the configuration is restored, Xen is told, and the BARs are read back.
//!
//! vfio-pci uses runtime power management for this. This driver sets the power state itself, under
//! the device lock, for two reasons. A resume callback may run in a task that holds the device
//! lock, or in one that does not; the lock protects all steps here. And runtime power management
//! may also suspend the bridge above, which Xen cannot resume when it accesses the function's
//! configuration. For the PCI core the function stays active, as it does for each driver that does
//! not take part in runtime power management. The core brings it to D0 on return from system sleep.
//! It is then awake and still counts as asleep, which costs nothing but power.
//!
//! [`Life`]: crate::life::Life

use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

use xen::pci::{
    reset::Kind,
    ConfigSpace,
    DeviceLock,
    Locked, //
};

use crate::{
    function::Function,
    life::State,
    restore::prepare,
    NAME, //
};

impl Function {
    /// Sets whether the function sleeps while nobody has it. Only queues the work.
    pub(crate) fn set_idle_d3(self: &Arc<Self>, sleepy: bool) {
        self.idle_d3.store(sleepy, Relaxed);
        // The work may be about to do the opposite: then it runs once more.
        self.queue();
    }

    /// Puts the function to sleep, or wakes it, if that is due.
    pub(super) fn follow_idle_d3(&self) {
        if !self.is_restless() {
            return;
        }
        let dev = DeviceLock::new(&self.dev);
        // xen-pcidev, which is told of the binding under this lock, first needs it awake.
        let is_bound = dev.driver_name() == Some(NAME) && self.is_seized();
        if !is_bound || !self.is_restless() {
            return;
        }
        if !self.is_sleepy() {
            // If this fails, the next owner has it reset.
            let _ = self.rouse(&dev);
        } else if dev.can_sleep() && !self.vpci.is_assigned() {
            let asleep = ConfigSpace::of(&dev).quiesce().and_then(|()| dev.sleep());
            self.inner.lock().life.slept();
            if let Err(e) = asleep {
                dev_warn!(dev, "cannot put it to sleep: {:?}\n", e);
                let _ = self.rouse(&dev);
            }
        }
    }

    /// Wakes the function if it sleeps. After an error, which is logged, it has to be reset.
    pub(super) fn rouse(&self, dev: &Locked) -> Result {
        if self.state() != State::Asleep {
            return Ok(());
        }
        prepare(dev)
            .and_then(|()| self.put_back(dev, Kind::Warm))
            .inspect_err(|e| dev_warn!(dev, "cannot wake it: {:?}; reset instead\n", e))?;
        self.inner.lock().life.woke();
        Ok(())
    }
}
