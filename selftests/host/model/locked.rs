// SPDX-License-Identifier: GPL-2.0

//! The lock of a function.

use core::{ffi::CStr, ops::Deref};

use kernel::{
    pci::{Device, DeviceGuard},
    sync::aref::{ARef, AlwaysRefCounted},
};

/// A function whose lock is held.
pub struct Locked(pub(crate) ARef<Device>);

impl Locked {
    /// The caller holds the lock.
    pub fn new(dev: &Device) -> Self {
        Self(dev.reference())
    }

    pub fn driver_name(&self) -> Option<&CStr> {
        self.core(|core| core.driver)
    }

    pub fn intx_irq(&self) -> Option<u32> {
        Some(11)
    }

    pub fn is_msi_enabled(&self) -> bool {
        false
    }
}

impl Deref for Locked {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.0
    }
}

/// Holds a function's lock.
pub struct DeviceLock<'a> {
    locked: Locked,
    _guard: Option<DeviceGuard<'a>>,
}

impl<'a> DeviceLock<'a> {
    pub fn new(dev: &'a Device) -> Self {
        let guard = dev.device_lock();
        Self {
            locked: Locked::new(dev),
            _guard: guard,
        }
    }
}

impl Deref for DeviceLock<'_> {
    type Target = Locked;

    fn deref(&self) -> &Locked {
        &self.locked
    }
}
