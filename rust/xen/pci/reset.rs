// SPDX-License-Identifier: GPL-2.0

//! Resets of functions.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use core::fmt;

use kernel::{
    error::to_result,
    pci::Device,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    bindings,
    linux::fault,
    pci::{
        self,
        as_raw,
        reset_result,
        Locked, //
    }, //
};

/// The kind of a reset, as `PHYSDEVOP_pci_device_reset` distinguishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A reset that changes neither the power nor the link of the function.
    Warm,
    /// A reset of the link to the function.
    Hot,
    /// A function level reset (FLR).
    Flr,
}

/// A reset method of the PCI core. The numbers are the indices of `pci_reset_fn_methods`, and the
/// names those in the sysfs file `reset_method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Method {
    /// A device-specific quirk of the PCI core.
    DeviceSpecific = 1,
    /// ACPI's `_RST` method.
    Acpi,
    /// Function level reset (FLR) of the PCI Express capability.
    Flr,
    /// Function level reset (FLR) of the Advanced Features capability.
    AfFlr,
    /// Power-management reset: a transition to D3hot and back to D0.
    Pm,
    /// Secondary bus reset by the bridge above. Works only for a function that is alone on its bus.
    Bus,
    /// Secondary bus reset for a CXL device.
    CxlBus,
}

impl Method {
    const ALL: [Self; bindings::PCI_NUM_RESET_METHODS as usize - 1] = [
        Self::DeviceSpecific,
        Self::Acpi,
        Self::Flr,
        Self::AfFlr,
        Self::Pm,
        Self::Bus,
        Self::CxlBus,
    ];

    /// Returns the method with this number. `None` for 0, which ends the core's list, and for
    /// unknown numbers.
    pub(crate) fn from_index(index: u8) -> Option<Self> {
        let index = usize::from(index).checked_sub(1)?;
        Self::ALL.get(index).copied()
    }

    /// Returns the kind of reset that the method does.
    pub fn kind(self) -> Kind {
        match self {
            Self::Flr | Self::AfFlr => Kind::Flr,
            Self::Bus | Self::CxlBus => Kind::Hot,
            Self::DeviceSpecific | Self::Acpi | Self::Pm => Kind::Warm,
        }
    }

    /// Returns whether the bridge above the function does the reset.
    pub fn is_by_bridge(self) -> bool {
        self.kind() == Kind::Hot
    }

    fn name(self) -> &'static str {
        match self {
            Self::DeviceSpecific => "device_specific",
            Self::Acpi => "acpi",
            Self::Flr => "flr",
            Self::AfFlr => "af_flr",
            Self::Pm => "pm",
            Self::Bus => "bus",
            Self::CxlBus => "cxl_bus",
        }
    }
}

/// Formats as in the sysfs file `reset_method`.
impl kernel::fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A guard that blocks other users of the function's configuration space. See
/// [`Locked::undisturbed`].
///
/// # Invariants
///
/// `pci_cfg_access_lock()` was called for this value.
pub struct Undisturbed(ARef<Device>);

impl Drop for Undisturbed {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the access is locked.
        unsafe { bindings::pci_cfg_access_unlock(as_raw(&self.0)) };
    }
}

/// Returns the methods that the PCI core tries for `dev`, in this order.
///
/// The core lists the methods before it has found the function's siblings. A bridge resets a
/// function only if it is alone on its bus, so this skips methods of the bridge for other
/// functions.
fn usable_methods(dev: &Device) -> impl Iterator<Item = Method> + '_ {
    // SAFETY: `dev` is a valid `struct pci_dev`. User space may change the methods at any time;
    // each byte is read once.
    let methods = unsafe { reset_methods(dev).read_volatile() };
    methods
        .into_iter()
        .map_while(Method::from_index)
        .filter(|method| !method.is_by_bridge() || is_alone(dev))
}

/// Returns whether `dev` is the only function on its bus.
fn is_alone(dev: &Device) -> bool {
    pci::on_bus_of(dev).all(|other| as_raw(&other) == as_raw(dev))
}

/// The reset method of any function. This is a trait since [`Device`] belongs to the kernel crate.
pub trait Reset {
    /// Returns the method by which [`Locked::reset`] resets the function; `None` if there is none.
    /// May sleep.
    fn reset_method(&self) -> Option<Method>;
}

impl Reset for Device {
    fn reset_method(&self) -> Option<Method> {
        usable_methods(self).next()
    }
}

impl Locked {
    /// Resets the function by its first usable method, and restores its configuration. May sleep,
    /// for a second and more.
    ///
    /// The PCI core calls the driver's [`reset_prepare`](super::driver::Driver::reset_prepare) and
    /// [`reset_done`](super::driver::Driver::reset_done). It disables memory decoding before the
    /// reset, and enables it after it has restored the BARs. Xen's vPCI sees both writes.
    ///
    /// Errors: `ENOTTY` if the function has no method; `ETIMEDOUT` if it did not come back in time;
    /// else those of the method.
    pub fn reset(&self) -> Result {
        fault::point("reset")?;
        let _undisturbed = self.undisturbed();
        // SAFETY: `self` is a valid `struct pci_dev`, whose device lock is held.
        self.told(unsafe { bindings::pci_reset_function_locked(as_raw(self)) })
    }

    /// Resets a function that the caller has stopped, by `method` only. The PCI core calls no
    /// driver, and neither saves nor restores the configuration, which the reset clears: the caller
    /// has to restore it. Sleeps and fails as [`Locked::reset`] does.
    pub fn reset_stopped(&self, _undisturbed: &Undisturbed, method: Method) -> Result {
        fault::point("reset")?;
        // Otherwise the PCI core tries its next method if this one fails, maybe of another kind.
        let mut only = Methods::default();
        only[0] = method as u8;
        let _only = self.replace_methods(only);
        // SAFETY: `self` is a valid `struct pci_dev`, whose device lock is held.
        self.told(unsafe { bindings::__pci_reset_function_locked(as_raw(self)) })
    }

    fn told(&self, errno: c_int) -> Result {
        reset_result::of_core(to_result(errno), || self.reset_method().is_some())
    }

    /// Blocks access to the function's configuration space by user space, and by other callers of
    /// `pci_cfg_access_lock()`, until the guard is dropped. May sleep.
    pub fn undisturbed(&self) -> Undisturbed {
        // SAFETY: `self` is a valid `struct pci_dev`. This sleeps until no other task has locked
        // the access.
        unsafe { bindings::pci_cfg_access_lock(as_raw(self)) };
        // INVARIANT: `pci_cfg_access_lock()` was called.
        Undisturbed((&**self).into())
    }

    /// Clears the function's list of reset methods: no task can reset the function until the
    /// returned value is dropped.
    pub fn forbid_reset(&self) -> ReplacedMethods {
        self.replace_methods(Methods::default())
    }

    fn replace_methods(&self, mut replacement: Methods) -> ReplacedMethods {
        // Behind the end of the list, which nobody reads: tells it from the same list written by
        // user space.
        let [.., last] = &mut replacement;
        *last = 1;
        let methods = reset_methods(self);
        // SAFETY: `self` is a valid `struct pci_dev`. The core reads the methods one by one up to a
        // zero, without a lock, and user space writes them without a lock.
        let before = unsafe { methods.read_volatile() };
        // SAFETY: `self` is a valid `struct pci_dev`. The core and user space access the methods
        // without a lock.
        unsafe { methods.write_volatile(replacement) };
        ReplacedMethods {
            dev: (&**self).into(),
            before,
            replacement,
        }
    }
}

/// The reset methods of a function, in the order in which the PCI core tries them. 0 ends the list.
type Methods = [u8; bindings::PCI_NUM_RESET_METHODS as usize];

fn reset_methods(dev: &Device) -> *mut Methods {
    // SAFETY: `dev` is a valid `struct pci_dev`, so its field is in bounds.
    unsafe { &raw mut (*as_raw(dev)).reset_methods }
}

/// Makes the PCI core find no reset methods of `dev`, or find them again. Returns whether that
/// changed something. Keeps the methods that an administrator writes to `reset_method` meanwhile.
pub(super) fn hide_methods(dev: &Device, hide: bool) -> bool {
    let methods = reset_methods(dev);
    // SAFETY: `dev` is a valid `struct pci_dev`. The core and user space access the methods without
    // a lock.
    let mut list = unsafe { methods.read_volatile() };
    // The list ends with a zero, even if it has all methods: behind a zero they are hidden.
    match list {
        [first, .., 0] if hide && first != 0 => list.rotate_right(1),
        [0, first, ..] if !hide && first != 0 => list.rotate_left(1),
        _ => return false,
    }
    // SAFETY: As above.
    unsafe { methods.write_volatile(list) };
    true
}

/// A function whose list of reset methods was replaced. Dropping the value restores the list. See
/// [`Locked::forbid_reset`].
pub struct ReplacedMethods {
    dev: ARef<Device>,
    before: Methods,
    replacement: Methods,
}

impl Drop for ReplacedMethods {
    fn drop(&mut self) {
        let methods = reset_methods(&self.dev);
        // SAFETY: `dev` is a valid `struct pci_dev`. The core and user space access the methods
        // without a lock.
        let now = unsafe { methods.read_volatile() };
        // Keep the methods that an administrator has written to `reset_method` meanwhile.
        if now == self.replacement {
            // SAFETY: `dev` is a valid `struct pci_dev`. The core and user space access the methods
            // without a lock.
            unsafe { methods.write_volatile(self.before) };
        }
    }
}
