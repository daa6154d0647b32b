// SPDX-License-Identifier: GPL-2.0

//! The lock of a bus. Bus 0 is a root bus: no bridge is above it.

use core::ops::Deref;

use kernel::{
    error::{Result, EAGAIN, ENOTTY},
    pci::{Device, DeviceGuard},
    sync::aref::ARef,
};

use crate::pci::{self, Locked};

/// A function whose whole bus is locked.
pub struct BusLock<'a> {
    locked: Locked,
    functions: Vec<(Locked, &'a Device)>,
    _guards: Vec<DeviceGuard<'a>>,
}

impl<'a> BusLock<'a> {
    /// In the crate, this tries again and again: the same orders of threads.
    pub fn new(dev: &'a Device) -> Result<Self> {
        Self::lock(dev, |other| Ok(other.device_lock()))
    }

    pub fn around(dev: &'a Locked) -> Result<Self> {
        let own: &Device = dev;
        Self::lock(own, |other| match other.devfn == own.devfn {
            true => Ok(None),
            false => other.device_try_lock().map(Some).ok_or(EAGAIN),
        })
    }

    fn lock(
        dev: &'a Device,
        lock: impl Fn(&'a Device) -> Result<Option<DeviceGuard<'a>>>,
    ) -> Result<Self> {
        if !can_reset_bus_of(dev) {
            return Err(ENOTTY);
        }
        let (mut functions, mut guards) = (Vec::new(), Vec::new());
        for other in pci::plugged_for_good() {
            if other.bus != dev.bus {
                continue;
            }
            if other.devfn == dev.devfn || !checker::without("bus-lock") {
                guards.extend(lock(other)?);
            }
            functions.push((Locked::new(other), other));
        }
        Ok(Self {
            locked: Locked::new(dev),
            functions,
            _guards: guards,
        })
    }

    pub fn functions(&self) -> impl Iterator<Item = &Locked> {
        self.functions.iter().map(|(locked, _)| locked)
    }

    pub fn reset(&self) -> Result {
        for (_, dev) in &self.functions {
            dev.begin_reset(true);
        }
        for (_, dev) in &self.functions {
            dev.end_reset();
        }
        Ok(())
    }
}

impl Deref for BusLock<'_> {
    type Target = Locked;

    fn deref(&self) -> &Locked {
        &self.locked
    }
}

pub fn can_reset_bus_of(dev: &Device) -> bool {
    dev.bus != 0
}

pub fn on_bus_of(dev: &Device) -> impl Iterator<Item = ARef<Device>> {
    let bus = dev.bus;
    pci::iter().filter(move |other| other.bus == bus)
}
