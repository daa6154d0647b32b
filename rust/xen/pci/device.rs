// SPDX-License-Identifier: GPL-2.0

//! Extensions of [`kernel::pci::Device`], and look-up of functions.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    device,
    pci::Device,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    bindings,
    pci::{
        Pin,
        Sbdf, //
    }, //
};

/// Returns the `struct pci_dev` of `dev`.
pub(crate) fn as_raw(dev: &Device) -> *mut bindings::pci_dev {
    // `Device` is a transparent wrapper of `Opaque<struct pci_dev>`.
    ptr::from_ref(dev).cast_mut().cast()
}

/// Returns the `struct device` in the `struct pci_dev` of `dev`.
pub(super) fn as_raw_device(dev: &Device) -> *mut bindings::device {
    // SAFETY: `dev` is a valid `struct pci_dev`, so its field `dev` is in bounds.
    unsafe { &raw mut (*as_raw(dev)).dev }
}

/// Extensions of [`kernel::pci::Device`]. The methods do not sleep unless they say so.
pub trait DeviceExt {
    /// Returns the address of the function. `ERANGE` for a segment above 0xffff, which Xen has no
    /// number for.
    fn sbdf(&self) -> Result<Sbdf>;
    /// Returns the INTx pin. `None` for a function without INTx, such as every SR-IOV VF.
    fn pin(&self) -> Option<Pin>;
    /// Returns whether the function has a type 0 header, so is no bridge.
    fn is_plain(&self) -> bool;
    /// Returns the IDs: vendor, device, subsystem vendor, subsystem device.
    fn ids(&self) -> [u16; 4];
    /// Returns whether the function is an SR-IOV virtual function (VF).
    fn is_virtfn(&self) -> bool;
    /// Returns the physical function of a VF. `None` for other functions, and for a VF whose PF was
    /// removed. May sleep.
    fn physfn(&self) -> Option<ARef<Device>>;
    /// Returns whether the function has VFs.
    fn has_virtfns(&self) -> bool;
    /// Returns the flags of BAR `bar`: the lowest four bits of its register. 0 if there is none.
    fn bar_flags(&self, bar: u32) -> u8;
    /// Returns whether BAR `bar` has a fixed address and no register (enhanced allocation, legacy
    /// IDE).
    fn resource_is_fixed(&self, bar: u32) -> bool;
}

impl DeviceExt for Device {
    fn sbdf(&self) -> Result<Sbdf> {
        // SAFETY: `self` is a valid `struct pci_dev`, which holds a reference to its bus.
        let (segment, bus) = unsafe {
            let raw = as_raw(self);
            (bindings::pci_domain_nr(raw), (*(*raw).bus).number)
        };
        let segment = u16::try_from(segment).map_err(|_| ERANGE)?;
        // CAST: The low byte of the ID is the device and function number.
        Ok(Sbdf::new(segment, bus, self.dev_id() as u8))
    }

    fn pin(&self) -> Option<Pin> {
        // SAFETY: `self` is a valid `struct pci_dev`. `pin` does not change after set-up.
        Pin::decode(unsafe { (*as_raw(self)).pin })
    }

    fn is_plain(&self) -> bool {
        // SAFETY: `self` is a valid `struct pci_dev`. `hdr_type` does not change after set-up.
        u32::from(unsafe { (*as_raw(self)).hdr_type }) == bindings::PCI_HEADER_TYPE_NORMAL
    }

    fn ids(&self) -> [u16; 4] {
        // SAFETY: `self` is a valid `struct pci_dev`. Its IDs do not change after set-up.
        unsafe {
            let raw = as_raw(self);
            [
                (*raw).vendor,
                (*raw).device,
                (*raw).subsystem_vendor,
                (*raw).subsystem_device,
            ]
        }
    }

    fn is_virtfn(&self) -> bool {
        // SAFETY: `self` is a valid `struct pci_dev`.
        unsafe { bindings::pci_is_virtfn(as_raw(self)) }
    }

    fn physfn(&self) -> Option<ARef<Device>> {
        if !self.is_virtfn() {
            return None;
        }
        // A removed VF may point to a PF that was freed: the pointer is compared, never
        // dereferenced.
        // SAFETY: `self` is a valid `struct pci_dev`.
        let physfn = unsafe { bindings::pci_physfn(as_raw(self)) };
        iter().find(|dev| as_raw(dev) == physfn)
    }

    fn has_virtfns(&self) -> bool {
        // SAFETY: `self` is a valid `struct pci_dev`.
        unsafe { bindings::pci_num_vf(as_raw(self)) != 0 }
    }

    fn bar_flags(&self, bar: u32) -> u8 {
        // SAFETY: `self` is a valid `struct pci_dev`. The flags of a BAR do not change after
        // set-up.
        let resource = unsafe { &(*as_raw(self)).resource }.get(bar as usize);
        // CAST: The mask fits.
        resource.map_or(0, |resource| (resource.flags & 0xf) as u8)
    }

    fn resource_is_fixed(&self, bar: u32) -> bool {
        // SAFETY: `self` is a valid `struct pci_dev`. The flags of a BAR do not change after
        // set-up.
        unsafe { &(*as_raw(self)).resource }
            .get(bar as usize)
            .is_some_and(|resource| resource.flags & bindings::IORESOURCE_PCI_FIXED as c_ulong != 0)
    }
}

// The kernel's log macros use their own `Display`. `sbdf.rs` implements the one of `core` only, as
// it is also built for the host.
impl kernel::fmt::Display for Sbdf {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

/// Returns the function at `sbdf`, if it exists. May sleep.
///
/// # Examples
///
/// ```
/// # use xen::pci::{self, DeviceExt, Sbdf};
/// if let Some(dev) = pci::find(Sbdf::new(0, 0, 0x20)) {
///     let _pin = dev.pin();
/// }
/// ```
pub fn find(sbdf: Sbdf) -> Option<ARef<Device>> {
    // SAFETY: The look-up accepts any segment, bus and function.
    let dev = unsafe {
        bindings::pci_get_domain_bus_and_slot(
            i32::from(sbdf.segment()),
            u32::from(sbdf.bus()),
            u32::from(sbdf.devfn()),
        )
    };
    let dev = NonNull::new(dev.cast::<Device>())?;
    // SAFETY: The look-up returned a valid function with a reference, which `ARef` takes over.
    Some(unsafe { ARef::from_raw(dev) })
}

/// Iterates over all PCI functions. A function that is added or removed meanwhile may be missed.
/// May sleep.
pub fn iter() -> Iter {
    Iter { last: None }
}

/// The iterator of [`iter`].
pub struct Iter {
    last: Option<ARef<Device>>,
}

impl Iterator for Iter {
    type Item = ARef<Device>;

    fn next(&mut self) -> Option<Self::Item> {
        let from = match self.last.take() {
            Some(dev) => ARef::into_raw(dev).as_ptr().cast(),
            None => ptr::null_mut(),
        };
        // CAST: `PCI_ANY_ID` is all ones in every width.
        // SAFETY: `from` is null or a valid device, whose reference the call consumes.
        let dev = unsafe {
            bindings::pci_get_device(
                bindings::PCI_ANY_ID as u32,
                bindings::PCI_ANY_ID as u32,
                from,
            )
        };
        let dev = NonNull::new(dev.cast::<Device>())?;
        // SAFETY: The look-up returned a valid function with a reference, which `ARef` takes over.
        let dev = unsafe { ARef::<Device>::from_raw(dev) };
        self.last = Some(dev.clone());
        Some(dev)
    }
}

/// Iterates over all functions on the bus of `dev`, which include `dev` unless it was removed. As
/// for [`iter`], a function that is added or removed meanwhile may be missed. May sleep.
pub fn on_bus_of(dev: &Device) -> impl Iterator<Item = ARef<Device>> {
    // SAFETY: `dev` is a valid `struct pci_dev`. The pointer to its bus is only compared.
    let bus = |dev: &Device| unsafe { (*as_raw(dev)).bus };
    let wanted = bus(dev);
    iter().filter(move |other| bus(other) == wanted)
}

/// Returns whether a PCI driver called `name` is registered.
pub fn has_driver(name: &CStr) -> bool {
    // SAFETY: `name` is a C string, and the PCI bus always exists. The driver may be unregistered
    // at any time, but the pointer is only compared.
    let driver =
        unsafe { bindings::driver_find(name.as_char_ptr(), &raw const bindings::pci_bus_type) };
    !driver.is_null()
}
/// Returns the PCI function that `dev` is part of; `None` if `dev` is no PCI function.
///
/// # Safety
///
/// `dev` is a valid device for `'a`.
pub(crate) unsafe fn from_raw_device<'a>(dev: *mut bindings::device) -> Option<&'a Device> {
    // SAFETY: By the function's requirement.
    let dev: &device::Device = unsafe { device::Device::from_raw(dev) };
    dev.try_into().ok()
}
