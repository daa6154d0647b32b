// SPDX-License-Identifier: GPL-2.0

//! Locks: of one function against binding and unbinding, of all against adding and removing.
//!
//! C headers: [`include/linux/device.h`](srctree/include/linux/device.h),
//! [`include/linux/pci.h`](srctree/include/linux/pci.h)

use core::{
    marker::PhantomData,
    ops::Deref,
    ptr, //
};

use kernel::{
    pci::Device,
    prelude::*,
    sync::aref::ARef,
    types::NotThreadSafe, //
};

use crate::{
    bindings,
    linux::sysfs::{
        Directory,
        Files, //
    },
    pci::{
        as_raw,
        as_raw_device,
        device, //
    }, //
};

/// A function whose driver cannot come or go, because the device's lock is held.
///
/// # Invariants
///
/// The device's lock is held for as long as a reference to this exists.
#[repr(transparent)]
pub struct Locked(Device);

impl Locked {
    /// # Safety
    ///
    /// The lock of `dev` is held for as long as `dev` is borrowed.
    pub(crate) unsafe fn new(dev: &Device) -> &Self {
        // INVARIANT: By the function's requirement.
        // SAFETY: `Self` is a transparent wrapper.
        unsafe { &*ptr::from_ref(dev).cast() }
    }

    /// The name of the driver that the function is bound to, or being bound to or unbound from.
    pub fn driver_name(&self) -> Option<&CStr> {
        // SAFETY: By the type invariant the driver cannot change, and a bound driver and its name
        // live.
        unsafe {
            let driver = (*as_raw_device(self)).driver;
            driver
                .as_ref()
                .map(|driver| CStr::from_char_ptr(driver.name))
        }
    }

    /// The Linux irq of the INTx line, if a driver has enabled the function. While MSI is enabled
    /// too, this is still the line's. May sleep.
    pub fn intx_irq(&self) -> Option<u32> {
        // SAFETY: By the type invariant the MSI data, which unbinding frees, stays.
        match unsafe { bindings::pci_intx_irq(as_raw(self)) } {
            0 => None,
            irq => Some(irq),
        }
    }

    /// The function in the tree of devices; `None` if it has no driver, and may have left the tree.
    pub fn in_tree(&self) -> Option<InTree<'_>> {
        self.driver_name()?;
        // INVARIANT: The driver is unbound, with the lock held, before the function is removed.
        Some(InTree {
            dev: (&**self).into(),
            _lock: PhantomData,
        })
    }
}

impl Deref for Locked {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.0
    }
}

/// Holds the lock of a device, against binding and unbinding.
///
/// # Invariants
///
/// This task holds the device's lock.
pub struct DeviceLock<'a> {
    dev: &'a Device,
    /// A mutex is unlocked by the task that locked it.
    _task: NotThreadSafe,
}

impl<'a> DeviceLock<'a> {
    /// Takes the lock. May sleep.
    pub fn new(dev: &'a Device) -> Self {
        // SAFETY: A valid device.
        unsafe { bindings::device_lock(as_raw_device(dev)) };
        // INVARIANT: Locked just now.
        Self {
            dev,
            _task: NotThreadSafe,
        }
    }
}

impl Deref for DeviceLock<'_> {
    type Target = Locked;

    fn deref(&self) -> &Locked {
        // SAFETY: By the type invariant, for as long as `self` is borrowed.
        unsafe { Locked::new(self.dev) }
    }
}

impl Drop for DeviceLock<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this task holds the lock.
        unsafe { bindings::device_unlock(as_raw_device(self.dev)) };
    }
}

/// Keeps all PCI functions from being added or removed.
///
/// # Invariants
///
/// This task holds the lock.
pub struct TopologyLock(NotThreadSafe);

impl TopologyLock {
    /// Takes the lock. May sleep; must not be called under a [`DeviceLock`].
    #[allow(
        clippy::new_without_default,
        reason = "locking is more than a default value"
    )]
    pub fn new() -> Self {
        // SAFETY: A mutex, taken in a context that may sleep.
        unsafe { bindings::pci_lock_rescan_remove() };
        // INVARIANT: Locked just now.
        Self(NotThreadSafe)
    }

    /// All functions.
    pub fn iter(&self) -> impl Iterator<Item = InTree<'_>> {
        // INVARIANT: Found in the tree, which does not change.
        device::iter().map(|dev| InTree {
            dev,
            _lock: PhantomData,
        })
    }
}

impl Drop for TopologyLock {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this task holds the lock.
        unsafe { bindings::pci_unlock_rescan_remove() };
    }
}

/// A function in the tree of devices, with the bridges above it.
///
/// # Invariants
///
/// For `'a` the function is not removed.
pub struct InTree<'a> {
    dev: ARef<Device>,
    _lock: PhantomData<&'a ()>,
}

impl<'a> InTree<'a> {
    /// # Safety
    ///
    /// The function is not removed for `'a`.
    pub(super) unsafe fn new(dev: &'a Device) -> Self {
        // INVARIANT: By the function's requirement.
        Self {
            dev: dev.into(),
            _lock: PhantomData,
        }
    }

    /// Makes a directory of the function in sysfs; `EEXIST` if there is one of this name. May
    /// sleep.
    pub fn add_directory<T: Files>(&self, files: T) -> Result<Directory<T>> {
        // SAFETY: By the type invariant the function is in sysfs, and stays.
        unsafe { Directory::new(&raw mut (*as_raw_device(self)).kobj, files) }
    }

    /// The bridge that leads to the function; `None` on a root bus.
    pub fn upstream(&self) -> Option<InTree<'a>> {
        // SAFETY: By the type invariant the function's bus has its bridge, which is not removed
        // before what is behind it.
        let bridge = unsafe {
            let bridge = bindings::pci_upstream_bridge(as_raw(&self.dev));
            bridge.cast::<Device>().as_ref()?
        };
        // INVARIANT: As above.
        Some(Self {
            dev: bridge.into(),
            _lock: PhantomData,
        })
    }
}

impl Deref for InTree<'_> {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.dev
    }
}
