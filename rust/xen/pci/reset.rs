// SPDX-License-Identifier: GPL-2.0

//! Resetting functions.
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
        Locked, //
    }, //
};

/// The kind of a reset, as Xen's interface distinguishes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The function was reset without its power or link having changed.
    Warm,
    /// The link to the function was reset.
    Hot,
    /// Function level reset.
    Flr,
}

/// How the PCI core resets a function: the order of `pci_reset_fn_methods`, which the file
/// `reset_method` in sysfs names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Method {
    /// A quirk of the PCI core for this device.
    DeviceSpecific = 1,
    /// The firmware's `_RST`.
    Acpi,
    /// Function level reset.
    Flr,
    /// Function level reset of the Advanced Features capability.
    AfFlr,
    /// To D3hot and back.
    Pm,
    /// Hot reset by the bridge above, of a function that is alone there.
    Bus,
    /// The same for CXL.
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

    /// The method with this number; 0 is none.
    pub(crate) fn from_index(index: u8) -> Option<Self> {
        let index = usize::from(index).checked_sub(1)?;
        Self::ALL.get(index).copied()
    }

    /// The kind of reset this is.
    pub fn kind(self) -> Kind {
        match self {
            Self::Flr | Self::AfFlr => Kind::Flr,
            Self::Bus | Self::CxlBus => Kind::Hot,
            Self::DeviceSpecific | Self::Acpi | Self::Pm => Kind::Warm,
        }
    }

    /// Whether the bridge above does it.
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

/// Formats as in the file `reset_method`.
impl kernel::fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A function whose configuration only this task uses, until the value is dropped.
///
/// # Invariants
///
/// Access to the configuration is locked, by this value.
pub struct Undisturbed(ARef<Device>);

impl Drop for Undisturbed {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::pci_cfg_access_unlock(as_raw(&self.0)) };
    }
}

/// The methods that the PCI core tries for `dev`, in this order.
///
/// The core lists them before it knows the function's siblings, but a bridge resets only a function
/// that is alone behind it: such a method is left out if there are others.
fn usable_methods(dev: &Device) -> impl Iterator<Item = Method> + '_ {
    // SAFETY: A valid `struct pci_dev`. User space may change the bytes meanwhile; each is read
    // once.
    let methods = unsafe { reset_methods(dev).read_volatile() };
    methods
        .into_iter()
        .map_while(Method::from_index)
        .filter(|method| !method.is_by_bridge() || is_alone(dev))
}

/// Whether there is no other function on the bus of `dev`.
fn is_alone(dev: &Device) -> bool {
    // SAFETY: Valid `struct pci_dev`s, which keep their buses; the pointers are only compared.
    let bus = |dev: &Device| unsafe { (*as_raw(dev)).bus };
    pci::iter().all(|other| as_raw(&other) == as_raw(dev) || bus(&other) != bus(dev))
}

/// Resets of functions, whoever has them.
pub trait Reset {
    /// The method by which [`Locked::reset`] resets the function; `None` if there is none.
    fn reset_method(&self) -> Option<Method>;
}

impl Reset for Device {
    fn reset_method(&self) -> Option<Method> {
        usable_methods(self).next()
    }
}

impl Locked {
    /// Resets the function by the best method it has; its configuration is restored. May sleep, for
    /// a second and more.
    ///
    /// Memory decoding is turned off before, and on again after the BARs are back, in a way that
    /// Xen's vPCI sees. A driver's [`reset_prepare`](super::driver::Driver::reset_prepare) and
    /// [`reset_done`](super::driver::Driver::reset_done) are called as for anybody else's reset.
    ///
    /// Errors: `ENOTTY` if the function has no method; `ETIMEDOUT` if it did not come back; else
    /// those of the method.
    pub fn reset(&self) -> Result {
        fault::point("reset")?;
        let _undisturbed = self.undisturbed();
        // SAFETY: A valid `struct pci_dev`, whose lock is held.
        self.told(unsafe { bindings::pci_reset_function_locked(as_raw(self)) })
    }

    /// The same for a caller that has stopped the function, and restores its configuration, which
    /// is lost: no driver is called, nothing is saved or restored.
    pub fn reset_stopped(&self, _undisturbed: &Undisturbed) -> Result {
        fault::point("reset")?;
        // SAFETY: A valid `struct pci_dev`, whose lock is held.
        self.told(unsafe { bindings::__pci_reset_function_locked(as_raw(self)) })
    }

    /// The result of a reset. The core's `ENOTTY` may be that of a function that has a method, but
    /// did not come back in time.
    fn told(&self, errno: c_int) -> Result {
        match to_result(errno) {
            Err(e) if e == ENOTTY && self.reset_method().is_some() => Err(ETIMEDOUT),
            result => result,
        }
    }

    /// Keeps user space, and drivers who ask, from the function's configuration.
    pub fn undisturbed(&self) -> Undisturbed {
        // SAFETY: A valid `struct pci_dev`. It sleeps until nobody else has locked it.
        unsafe { bindings::pci_cfg_access_lock(as_raw(self)) };
        // INVARIANT: Locked just now.
        Undisturbed((&**self).into())
    }

    /// Makes the function one that cannot be reset, until the returned value is dropped.
    pub fn forbid_reset(&self) -> ResetForbidden {
        let methods = reset_methods(self);
        // SAFETY: A valid `struct pci_dev`. The core reads the methods one by one up to a zero, and
        // user space changes them, without a lock.
        let before = unsafe { methods.read_volatile() };
        // SAFETY: As above.
        unsafe { methods.write_volatile(Default::default()) };
        ResetForbidden {
            dev: (&**self).into(),
            before,
        }
    }
}

/// The reset methods of a function, in the order in which they are tried; 0 ends the list.
type Methods = [u8; bindings::PCI_NUM_RESET_METHODS as usize];

fn reset_methods(dev: &Device) -> *mut Methods {
    // SAFETY: The place of a field of a valid `struct pci_dev`.
    unsafe { &raw mut (*as_raw(dev)).reset_methods }
}

/// A function that cannot be reset. See [`Locked::forbid_reset`].
pub struct ResetForbidden {
    dev: ARef<Device>,
    before: Methods,
}

impl Drop for ResetForbidden {
    fn drop(&mut self) {
        let methods = reset_methods(&self.dev);
        // SAFETY: As in `forbid_reset`.
        let now = unsafe { methods.read_volatile() };
        // An administrator who has written `reset_method` meanwhile knows better.
        if now == Methods::default() {
            // SAFETY: As above.
            unsafe { methods.write_volatile(self.before) };
        }
    }
}
