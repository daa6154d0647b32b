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
    fault,
    pci::{
        as_raw,
        Locked, //
    }, //
};

/// What kind of reset Xen is told of. See [`crate::physdev::was_reset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// The function was reset without its power or link having changed.
    Warm = bindings::PCI_DEVICE_RESET_WARM,
    /// The link to the function was reset.
    Hot = bindings::PCI_DEVICE_RESET_HOT,
    /// Function level reset.
    Flr = bindings::PCI_DEVICE_RESET_FLR,
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

impl Locked {
    /// Resets the function by the best method it has; its configuration is as before after. May
    /// sleep, for a second and more.
    ///
    /// Memory decoding is turned off before, and on again after the BARs are back, in a way that
    /// Xen's vPCI sees. A driver's [`reset_prepare`](crate::driver::Driver::reset_prepare) and
    /// [`reset_done`](crate::driver::Driver::reset_done) are called as for anybody else's reset.
    ///
    /// Errors: `ENOTTY` if the function cannot be reset, else those of the method.
    pub fn reset(&self) -> Result {
        fault::point("reset")?;
        let _undisturbed = self.undisturbed();
        // SAFETY: A valid `struct pci_dev`, whose lock is held.
        to_result(unsafe { bindings::pci_reset_function_locked(as_raw(self)) })
    }

    /// The same for a caller that has stopped the function, and puts its configuration, which is
    /// lost, back: no driver is called, nothing is saved or restored.
    pub fn reset_stopped(&self, _undisturbed: &Undisturbed) -> Result {
        fault::point("reset")?;
        // SAFETY: A valid `struct pci_dev`, whose lock is held.
        to_result(unsafe { bindings::__pci_reset_function_locked(as_raw(self)) })
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
        // SAFETY: `self` is a valid `struct pci_dev`. The core reads the methods one by one up to a
        // zero, without a lock.
        let methods = unsafe {
            let methods = &raw mut (*as_raw(self)).reset_methods;
            let before = methods.read();
            methods.write(Default::default());
            before
        };
        ResetForbidden {
            dev: (&**self).into(),
            methods,
        }
    }
}

/// A function that cannot be reset. See [`Locked::forbid_reset`].
pub struct ResetForbidden {
    dev: ARef<Device>,
    methods: [u8; bindings::PCI_NUM_RESET_METHODS as usize],
}

impl Drop for ResetForbidden {
    fn drop(&mut self) {
        // SAFETY: `self.dev` is a valid `struct pci_dev`.
        unsafe { (*as_raw(&self.dev)).reset_methods = self.methods };
    }
}
