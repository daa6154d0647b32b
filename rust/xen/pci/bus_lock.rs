// SPDX-License-Identifier: GPL-2.0

//! The lock of a bus, and the reset of all functions on it.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use core::{
    ops::Deref,
    ptr, //
};

use kernel::{
    error::to_result,
    pci::Device,
    prelude::*,
    sync::aref::ARef,
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    },
    types::NotThreadSafe, //
};

use crate::{
    bindings,
    linux::fault,
    pci::{
        as_raw,
        device,
        reset_result,
        ConfigSpace,
        Locked, //
    }, //
};

/// A function whose whole bus is locked: the bridge, and all functions behind it. No driver is
/// bound to them or unbound from them, and user space cannot access their configuration space.
///
/// # Examples
///
/// ```
/// # use kernel::{pci::Device, prelude::*};
/// # use xen::pci::BusLock;
/// /// Resets the bus of `dev`, unless a driver uses a function there.
/// fn reset(dev: &Device) -> Result {
///     let bus = BusLock::new(dev)?;
///     if bus.functions().any(|function| function.driver_name().is_some()) {
///         return Err(EBUSY);
///     }
///     bus.reset()
/// }
/// ```
///
/// # Invariants
///
/// - `bridge` is the bridge above `dev`, and `functions` are all functions that were on its
///   secondary bus when they were locked; `dev` is one of them.
/// - `pci_dev_trylock()` has locked the bridge and the functions for this value. If `is_callers`,
///   only the configuration space of `dev` is locked for this value, and the caller holds the
///   device lock of `dev` for `'a`.
pub struct BusLock<'a> {
    dev: &'a Device,
    bridge: ARef<Device>,
    functions: KVec<ARef<Device>>,
    is_callers: bool,
    /// The task that locked a mutex has to unlock it.
    _task: NotThreadSafe,
}

/// The time between two attempts to take the locks.
const PAUSE: Delta = Delta::from_millis(10);

impl<'a> BusLock<'a> {
    /// Locks the bus of `dev`. The caller must hold no device lock. Sleeps until nobody else holds
    /// one of the locks, for 70 s at most, which is longer than a reset takes.
    ///
    /// Errors: `ENOTTY` if no bridge is above `dev`; `ENODEV` if `dev` was removed; `EAGAIN` if the
    /// locks could not be taken; `ENOMEM`.
    pub fn new(dev: &'a Device) -> Result<Self> {
        Self::retry(dev, false, Delta::from_secs(70))
    }

    /// Locks the rest of the bus of `dev`, whose device lock the caller holds. As this is not the
    /// order in which others take the locks, it gives up after a tenth of a second. Errors are
    /// those of [`BusLock::new`].
    pub fn around(dev: &'a Locked) -> Result<Self> {
        Self::retry(dev, true, Delta::from_millis(100))
    }

    fn retry(dev: &'a Device, is_callers: bool, most: Delta) -> Result<Self> {
        fault::point("locking the bus")?;
        let began = Instant::<Monotonic>::now();
        loop {
            match Self::attempt(dev, is_callers) {
                Err(e) if e == EAGAIN && began.elapsed() < most => fsleep(PAUSE),
                result => return result,
            }
        }
    }

    /// Takes all locks, in the order of the PCI core, or none.
    fn attempt(dev: &'a Device, is_callers: bool) -> Result<Self> {
        let bridge = bridge(dev).ok_or(ENOTTY)?;
        if !try_lock(&bridge, false) {
            return Err(EAGAIN);
        }
        // INVARIANT: The bridge is locked. Those that are locked next are added one by one.
        let mut bus = Self {
            dev,
            bridge,
            functions: KVec::new(),
            is_callers,
            _task: NotThreadSafe,
        };
        for function in device::on_bus_of(dev) {
            bus.functions.reserve(1, GFP_KERNEL)?;
            if !try_lock(&function, is_callers && same(&function, dev)) {
                return Err(EAGAIN);
            }
            bus.functions.push(function, GFP_KERNEL)?;
        }
        if bus.functions.iter().any(|function| same(function, dev)) {
            Ok(bus)
        } else {
            Err(ENODEV)
        }
    }

    /// Iterates over all functions on the bus.
    pub fn functions(&self) -> impl Iterator<Item = &Locked> {
        self.functions
            .iter()
            // SAFETY: By the type invariant the device lock is held for as long as `self` exists.
            .map(|function| unsafe { Locked::new(function) })
    }

    /// Resets all functions on the bus, by the slot if it has a reset of its own, or by the bridge.
    /// The PCI core calls no driver, and neither saves nor restores a configuration. Sleeps for
    /// 100 ms and more, up to a minute, for the first function to come back.
    ///
    /// Errors: `ENOTTY` if [`can_reset_bus_of`] is false; `ETIMEDOUT` if the first function did not
    /// come back; else those of the slot.
    pub fn reset(&self) -> Result {
        if !can_reset_bus_of(self.dev) {
            return Err(ENOTTY);
        }
        // SAFETY: `dev` is a valid `struct pci_dev`. The kernel has no reference count for slots:
        // as in the PCI core's own resets, the hotplug driver must stay bound to the bridge.
        let slot = unsafe { (*as_raw(self.dev)).slot };
        // SAFETY: As above.
        let result = if unsafe { bindings::pci_slot_has_reset(slot) } {
            fault::point("reset of the slot")?;
            // SAFETY: As above. The slot has a reset, so it is not null. By the type invariant the
            // bridge and all functions behind it are locked. The only driver with such a reset,
            // pciehp, has one slot for the whole bus.
            to_result(unsafe { bindings::pci_slot_reset(slot) })
        } else {
            fault::point("reset of the bus")?;
            // SAFETY: By the type invariant the bridge and all functions behind it are locked.
            to_result(unsafe { bindings::pci_bridge_secondary_bus_reset(as_raw(&self.bridge)) })
        };
        reset_result::of_core(result, || true)
    }
}

impl Deref for BusLock<'_> {
    type Target = Locked;

    fn deref(&self) -> &Locked {
        // SAFETY: By the type invariant the device lock of `dev` is held for as long as `self`
        // exists.
        unsafe { Locked::new(self.dev) }
    }
}

impl Drop for BusLock<'_> {
    fn drop(&mut self) {
        for function in &self.functions {
            unlock(function, self.is_callers && same(function, self.dev));
        }
        unlock(&self.bridge, false);
    }
}

/// Returns whether the bus of `dev` can be reset: there is a bridge above it that can do that, and
/// no quirk of a function on it forbids that. May sleep.
pub fn can_reset_bus_of(dev: &Device) -> bool {
    let forbids = |dev: &Device| {
        // CAST: The flag is one of the bits of the field.
        let flag = bindings::pci_dev_flags_PCI_DEV_FLAGS_NO_BUS_RESET as u16;
        // SAFETY: `dev` is a valid `struct pci_dev`. Quirks set this flag during set-up. Other
        // flags may change at any time; the field is read once.
        let flags = unsafe { (&raw const (*as_raw(dev)).dev_flags).read_volatile() };
        flags & flag != 0
    };
    bridge(dev).is_some_and(|bridge| {
        !forbids(&bridge)
            && !ignores_resets(&bridge)
            && !device::on_bus_of(dev).any(|function| forbids(&function))
    })
}

/// Returns whether `bridge` is a CXL port that does not reset the bus behind it: "Unmask SBR" is
/// clear (CXL specification 3.1, section 8.1.5.2).
fn ignores_resets(bridge: &Device) -> bool {
    // CAST: The constants are small.
    // SAFETY: `bridge` is a valid `struct pci_dev`.
    let port = unsafe {
        bindings::pci_find_dvsec_capability(
            as_raw(bridge),
            bindings::PCI_VENDOR_ID_CXL as u16,
            bindings::PCI_DVSEC_CXL_PORT as u16,
        )
    };
    // CAST: As above.
    let control = port.saturating_add(bindings::PCI_DVSEC_CXL_PORT_CTL as u16);
    let unmask = bindings::PCI_DVSEC_CXL_PORT_CTL_UNMASK_SBR as u16;
    port != 0
        && ConfigSpace::of(bridge)
            .read::<u16>(control)
            .is_ok_and(|control| control & unmask == 0)
}

fn same(one: &Device, other: &Device) -> bool {
    ptr::eq(as_raw(one), as_raw(other))
}

/// Returns the bridge above the bus of `dev`.
fn bridge(dev: &Device) -> Option<ARef<Device>> {
    // SAFETY: `dev` is a valid `struct pci_dev`, which keeps its bus. The bus keeps the bridge
    // above it, even if the bridge was removed.
    let bridge = unsafe { (*(*as_raw(dev)).bus).self_.cast::<Device>().as_ref()? };
    Some(bridge.into())
}

/// Locks a function, or only its configuration space. Returns whether it was not locked before.
fn try_lock(dev: &Device, config_only: bool) -> bool {
    // SAFETY: `dev` is a valid `struct pci_dev`.
    unsafe {
        if config_only {
            bindings::pci_cfg_access_trylock(as_raw(dev))
        } else {
            bindings::pci_dev_trylock(as_raw(dev)) != 0
        }
    }
}

/// Undoes [`try_lock`].
fn unlock(dev: &Device, config_only: bool) {
    // SAFETY: `dev` is a valid `struct pci_dev`, and the caller has locked it by `try_lock()`.
    unsafe {
        if config_only {
            bindings::pci_cfg_access_unlock(as_raw(dev));
        } else {
            bindings::pci_dev_unlock(as_raw(dev));
        }
    }
}
