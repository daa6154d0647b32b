// SPDX-License-Identifier: GPL-2.0

//! What this crate adds to [`kernel::pci::Device`], and finding functions.
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
        ConfigSpace,
        MsixTable,
        Pin,
        Sbdf, //
    }, //
};

/// The `struct pci_dev` behind a reference.
pub(crate) fn as_raw(dev: &Device) -> *mut bindings::pci_dev {
    // `Device` is a transparent wrapper of `Opaque<struct pci_dev>`.
    ptr::from_ref(dev).cast_mut().cast()
}

/// The `struct device` in a PCI device.
pub(crate) fn as_raw_device(dev: &Device) -> *mut bindings::device {
    // SAFETY: `dev` is a valid `struct pci_dev`, so the place of its `dev` field is in bounds.
    unsafe { &raw mut (*as_raw(dev)).dev }
}

/// What this crate adds to [`kernel::pci::Device`].
pub trait DeviceExt {
    /// The function's address; `ERANGE` for a segment above 0xffff, which Xen cannot name.
    fn sbdf(&self) -> Result<Sbdf>;
    /// The INTx pin; `None` for a function without INTx, such as every SR-IOV VF.
    fn pin(&self) -> Option<Pin>;
    /// Whether this is a plain function rather than a bridge (header type 0).
    fn is_plain(&self) -> bool;
    /// Vendor, device, subsystem vendor and subsystem device.
    fn ids(&self) -> [u16; 4];
    /// Whether this is an SR-IOV virtual function (VF).
    fn is_virtfn(&self) -> bool;
    /// The physical function of a VF; `None` for other functions, and if the VF was removed.
    fn physfn(&self) -> Option<ARef<Device>>;
    /// Whether BAR `bar` is fixed, and has no register (enhanced allocation, legacy IDE).
    fn resource_is_fixed(&self, bar: u32) -> bool;
    /// The MSI-X table, if the function has one that can be. Reads configuration space; `EIO` if
    /// the function does not answer.
    fn msix_table(&self) -> Result<Option<MsixTable>>;
}

impl DeviceExt for Device {
    fn sbdf(&self) -> Result<Sbdf> {
        // SAFETY: `self` is a valid `struct pci_dev`, which keeps its bus.
        let (segment, bus) = unsafe {
            let raw = as_raw(self);
            (bindings::pci_domain_nr(raw), (*(*raw).bus).number)
        };
        let segment = u16::try_from(segment).map_err(|_| ERANGE)?;
        // CAST: The device and function are the low byte of the id.
        Ok(Sbdf::new(segment, bus, self.dev_id() as u8))
    }

    fn pin(&self) -> Option<Pin> {
        // SAFETY: `self` is a valid `struct pci_dev`; `pin` does not change after set-up.
        Pin::decode(unsafe { (*as_raw(self)).pin })
    }

    fn is_plain(&self) -> bool {
        // SAFETY: `self` is a valid `struct pci_dev`; `hdr_type` does not change after set-up.
        u32::from(unsafe { (*as_raw(self)).hdr_type }) == bindings::PCI_HEADER_TYPE_NORMAL
    }

    fn ids(&self) -> [u16; 4] {
        // SAFETY: `self` is a valid `struct pci_dev`; its ids do not change after set-up.
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
        // A removed VF keeps a pointer to a PF that may be gone: it is compared, never followed.
        // SAFETY: `self` is a valid `struct pci_dev`.
        let physfn = unsafe { bindings::pci_physfn(as_raw(self)) };
        iter().find(|dev| self.is_virtfn() && as_raw(dev) == physfn)
    }

    fn resource_is_fixed(&self, bar: u32) -> bool {
        // SAFETY: `self` is a valid `struct pci_dev`; a BAR's flags do not change after set-up.
        unsafe { &(*as_raw(self)).resource }
            .get(bar as usize)
            .is_some_and(|resource| resource.flags & bindings::IORESOURCE_PCI_FIXED as c_ulong != 0)
    }

    fn msix_table(&self) -> Result<Option<MsixTable>> {
        // SAFETY: `self` is a valid `struct pci_dev`; `msix_cap` does not change after set-up.
        let capability = match unsafe { (*as_raw(self)).msix_cap } {
            0 => return Ok(None),
            capability => u16::from(capability),
        };
        let config = ConfigSpace::of(self);
        config.require_present()?;
        // CAST: Small offsets.
        let control = config.read(capability.saturating_add(bindings::PCI_MSIX_FLAGS as u16))?;
        let offset = config.read(capability.saturating_add(bindings::PCI_MSIX_TABLE as u16))?;
        Ok(MsixTable::decode(control, offset))
    }
}

// The kernel's messages want a trait of their own, which `sbdf` must not know to stay pure.
impl kernel::fmt::Display for Sbdf {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

/// Finds the function at `sbdf`.
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
    // SAFETY: Any segment, bus and function may be asked for.
    let dev = unsafe {
        bindings::pci_get_domain_bus_and_slot(
            i32::from(sbdf.segment()),
            u32::from(sbdf.bus()),
            u32::from(sbdf.devfn()),
        )
    };
    let dev = NonNull::new(dev.cast::<Device>())?;
    // SAFETY: The look-up returned a reference, which is ours now.
    Some(unsafe { ARef::from_raw(dev) })
}

/// Walks all PCI functions. Functions that come or go meanwhile may or may not be seen.
pub fn iter() -> Iter {
    Iter { last: None }
}

/// Iterator of [`iter`].
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
        // CAST: The wildcard is all ones in every width.
        // SAFETY: `from` is null or a device whose reference the call consumes.
        let dev = unsafe {
            bindings::pci_get_device(
                bindings::PCI_ANY_ID as u32,
                bindings::PCI_ANY_ID as u32,
                from,
            )
        };
        let dev = NonNull::new(dev.cast::<Device>())?;
        // SAFETY: The look-up returned a reference, which is ours now.
        let dev = unsafe { ARef::<Device>::from_raw(dev) };
        self.last = Some(dev.clone());
        Some(dev)
    }
}

/// Whether a PCI driver of this name is registered.
pub fn has_driver(name: &CStr) -> bool {
    // SAFETY: `name` is a C string and the PCI bus is there for ever. The driver that is found may
    // go away at once; the pointer is only compared.
    let driver =
        unsafe { bindings::driver_find(name.as_char_ptr(), &raw const bindings::pci_bus_type) };
    !driver.is_null()
}
/// The `struct device` of a driver-model device, if it is a PCI function.
///
/// # Safety
///
/// `dev` is a valid device for `'a`.
pub(crate) unsafe fn from_raw_device<'a>(dev: *mut bindings::device) -> Option<&'a Device> {
    // SAFETY: The caller vouches for `dev`.
    let dev: &device::Device = unsafe { device::Device::from_raw(dev) };
    dev.try_into().ok()
}
