// SPDX-License-Identifier: GPL-2.0

//! Locks: the device lock, which excludes binding and unbinding, and the lock of the PCI topology,
//! which excludes adding and removing.
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
        device::{
            self,
            as_raw_device, //
        }, //
    }, //
};

/// A function whose device lock is held: its driver can be neither bound nor unbound.
///
/// Callbacks of the driver core hold the device lock; elsewhere, [`DeviceLock::new`] takes it.
///
/// # Examples
///
/// ```
/// # use kernel::{pci::Device, prelude::*};
/// # use xen::pci::DeviceLock;
/// fn log_driver(dev: &Device) {
///     let dev = DeviceLock::new(dev);
///     if let Some(name) = dev.driver_name() {
///         dev_info!(dev, "bound to {:?}\n", name);
///     }
/// }
/// ```
///
/// # Invariants
///
/// The device lock is held for as long as a reference to this value exists.
#[repr(transparent)]
pub struct Locked(Device);

impl Locked {
    /// # Safety
    ///
    /// The device lock of `dev` is held for as long as `dev` is borrowed.
    pub(crate) unsafe fn new(dev: &Device) -> &Self {
        // INVARIANT: By the function's requirement.
        // SAFETY: `Self` is a transparent wrapper of `Device`.
        unsafe { &*ptr::from_ref(dev).cast() }
    }

    /// Returns the name of the driver that the function is bound to, being bound to, or being
    /// unbound from.
    pub fn driver_name(&self) -> Option<&CStr> {
        // SAFETY: By the type invariant the driver cannot change. A bound driver and its name stay
        // valid.
        unsafe {
            let driver = (*as_raw_device(self)).driver;
            driver
                .as_ref()
                .map(|driver| CStr::from_char_ptr(driver.name))
        }
    }

    /// Returns the Linux irq of the INTx line if a driver has enabled the function. This is the irq
    /// of the line even while MSI is enabled. May sleep.
    pub fn intx_irq(&self) -> Option<u32> {
        // SAFETY: By the type invariant unbinding cannot free the MSI data.
        match unsafe { bindings::pci_intx_irq(as_raw(self)) } {
            0 => None,
            irq => Some(irq),
        }
    }

    /// Returns whether MSI or MSI-X is enabled.
    pub fn is_msi_enabled(&self) -> bool {
        // SAFETY: `self` is a valid `struct pci_dev`.
        unsafe { bindings::pci_dev_msi_enabled(as_raw(self)) }
    }

    /// Returns the function as [`InTree`]. `None` for a function without a driver, which may have
    /// been removed.
    pub fn in_tree(&self) -> Option<InTree<'_>> {
        self.driver_name()?;
        // INVARIANT: The PCI core unbinds the driver, under the device lock, before it removes the
        // function.
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

/// A guard that holds a device lock, which excludes binding and unbinding.
///
/// # Invariants
///
/// This task holds the device lock of `dev`.
pub struct DeviceLock<'a> {
    dev: &'a Device,
    /// The task that locked a mutex has to unlock it.
    _task: NotThreadSafe,
}

impl<'a> DeviceLock<'a> {
    /// Takes the device lock. May sleep.
    pub fn new(dev: &'a Device) -> Self {
        // SAFETY: `dev` is a valid device.
        unsafe { bindings::device_lock(as_raw_device(dev)) };
        // INVARIANT: `device_lock()` has taken the lock.
        Self {
            dev,
            _task: NotThreadSafe,
        }
    }
}

impl Deref for DeviceLock<'_> {
    type Target = Locked;

    fn deref(&self) -> &Locked {
        // SAFETY: By the type invariant the lock is held for as long as `self` is borrowed.
        unsafe { Locked::new(self.dev) }
    }
}

impl Drop for DeviceLock<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this task holds the lock.
        unsafe { bindings::device_unlock(as_raw_device(self.dev)) };
    }
}

/// A guard that holds the lock of the PCI topology (`pci_lock_rescan_remove()`): no PCI function is
/// added or removed until it is dropped.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// # use xen::pci::TopologyLock;
/// let topology = TopologyLock::new();
/// for dev in topology.iter() {
///     dev_info!(dev, "on a root bus: {}\n", dev.upstream().is_none());
/// }
/// ```
///
/// # Invariants
///
/// This task holds the lock.
pub struct TopologyLock(NotThreadSafe);

impl TopologyLock {
    /// Takes the lock. May sleep. The caller must not hold a device lock ([`DeviceLock`]).
    #[allow(
        clippy::new_without_default,
        reason = "locking is more than a default value"
    )]
    pub fn new() -> Self {
        // SAFETY: The lock is a mutex, which may be taken in any context that may sleep.
        unsafe { bindings::pci_lock_rescan_remove() };
        // INVARIANT: `pci_lock_rescan_remove()` has taken the lock.
        Self(NotThreadSafe)
    }

    /// Iterates over all functions.
    pub fn iter(&self) -> impl Iterator<Item = InTree<'_>> {
        // INVARIANT: No function is removed while `self` is borrowed.
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

/// A function that is not removed for `'a`. Its sysfs directory and the bridges above it exist.
///
/// The value comes from [`TopologyLock::iter`], [`Locked::in_tree`] or
/// [`Observer::added`](super::bus::Observer::added).
///
/// # Examples
///
/// ```
/// # use xen::pci::InTree;
/// /// Returns the number of bridges above `dev`.
/// fn depth(dev: &InTree<'_>) -> usize {
///     core::iter::successors(dev.upstream(), |bridge| bridge.upstream()).count()
/// }
/// ```
///
/// # Invariants
///
/// The function is not removed for `'a`.
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

    /// Creates a directory in the function's sysfs directory. May sleep.
    ///
    /// Errors: `EEXIST` if a file or directory of this name exists; else those of `kobject_add()`
    /// and `sysfs_create_file()`.
    pub fn add_directory<T: Files>(&self, files: T) -> Result<Directory<T>> {
        // SAFETY: By the type invariant the function is in sysfs, and stays there until this
        // returns.
        unsafe { Directory::new(&raw mut (*as_raw_device(self)).kobj, files) }
    }

    /// Returns the bridge above the function; `None` on a root bus.
    pub fn upstream(&self) -> Option<InTree<'a>> {
        // SAFETY: By the type invariant the function's bus is valid, and so is its bridge, which is
        // removed only after all functions behind it.
        let bridge = unsafe {
            let bridge = bindings::pci_upstream_bridge(as_raw(&self.dev));
            bridge.cast::<Device>().as_ref()?
        };
        // INVARIANT: The bridge is not removed before the function, so not for `'a`.
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
