// SPDX-License-Identifier: GPL-2.0

//! Operations on physical devices (`HYPERVISOR_physdev_op`).
//!
//! Each operation is a type, whose fields are the argument as Xen's header lays it out.
//!
//! C headers: [`include/xen/interface/physdev.h`](srctree/include/xen/interface/physdev.h),
//! [`include/xen/interface/xen.h`](srctree/include/xen/interface/xen.h)

use kernel::prelude::*;

use crate::{
    bindings,
    linux::fault,
    pci::Sbdf, //
};

/// An operation with its argument.
///
/// # Safety
///
/// The type has the layout that Xen expects of the argument of [`Operation::NUMBER`], and contains
/// no pointers.
unsafe trait Operation: Sized {
    const NUMBER: u32;

    /// Issues the operation. Xen writes its results to the argument.
    fn call(&mut self) -> Result {
        fault::point("hypercall")?;
        let argument = core::ptr::from_mut(self).cast();
        // CAST: The numbers of operations are small.
        // SAFETY: By the trait's requirement Xen reads and writes only the argument.
        match unsafe { bindings::HYPERVISOR_physdev_op(Self::NUMBER as c_int, argument) } {
            0 => Ok(()),
            errno => Err(Error::from_errno(errno)),
        }
    }
}

/// Returns `sbdf` as `struct physdev_pci_device`.
pub(super) fn address(sbdf: Sbdf) -> bindings::physdev_pci_device {
    bindings::physdev_pci_device {
        seg: sbdf.segment(),
        bus: sbdf.bus(),
        devfn: sbdf.devfn(),
    }
}

/// The kind of a function, as `PHYSDEVOP_pci_device_add` distinguishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FunctionKind {
    /// A plain physical function.
    Plain,
    /// A physical function whose function number is above 7 (ARI).
    Extended,
    /// A virtual function of the physical function at this address.
    Virtual(Sbdf),
}

/// `PHYSDEVOP_pci_device_add`: registers a function with Xen. `pxm` is the proximity domain, if
/// known.
///
/// For a function that Xen has already accepted, this changes only its node. `ENODEV` for a
/// function that Xen refuses.
pub(crate) fn pci_device_add(sbdf: Sbdf, kind: FunctionKind, pxm: Option<u32>) -> Result {
    #[repr(C)]
    struct Add {
        head: bindings::physdev_pci_device_add,
        pxm: u32,
    }

    // SAFETY: `struct physdev_pci_device_add`, followed by the element that `XEN_PCI_DEV_PXM`
    // announces.
    unsafe impl Operation for Add {
        const NUMBER: u32 = bindings::PHYSDEVOP_pci_device_add;
    }

    let mut head = bindings::physdev_pci_device_add {
        seg: sbdf.segment(),
        bus: sbdf.bus(),
        devfn: sbdf.devfn(),
        ..Default::default()
    };
    match kind {
        FunctionKind::Plain => (),
        FunctionKind::Extended => head.flags |= bindings::XEN_PCI_DEV_EXTFN,
        FunctionKind::Virtual(physfn) => {
            head.flags |= bindings::XEN_PCI_DEV_VIRTFN;
            head.physfn.bus = physfn.bus();
            head.physfn.devfn = physfn.devfn();
        }
    }
    if pxm.is_some() {
        head.flags |= bindings::XEN_PCI_DEV_PXM;
    }
    let pxm = pxm.unwrap_or(0);
    Add { head, pxm }.call()
}

/// Declares operations whose argument is the address of a function.
macro_rules! on_function {
    ($($(#[$doc:meta])* $name:ident = $number:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name(sbdf: Sbdf) -> Result {
            #[repr(transparent)]
            struct Argument(bindings::physdev_pci_device);

            // SAFETY: The argument of all these operations is `struct physdev_pci_device`.
            unsafe impl Operation for Argument {
                const NUMBER: u32 = bindings::$number;
            }

            Argument(address(sbdf)).call()
        }
    )*};
}

on_function! {
    /// `PHYSDEVOP_pci_device_remove`: tells Xen that the function was removed.
    pci_device_remove = PHYSDEVOP_pci_device_remove;
    /// `PHYSDEVOP_prepare_msix`: makes Xen record the location of the function's MSI-X table.
    prepare_msix = PHYSDEVOP_prepare_msix;
    /// `PHYSDEVOP_release_msix`: makes Xen drop the record of `prepare_msix`.
    release_msix = PHYSDEVOP_release_msix;
}

/// The kind of a reset for [`pci_device_reset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum ResetKind {
    Warm = bindings::PCI_DEVICE_RESET_WARM,
    Hot = bindings::PCI_DEVICE_RESET_HOT,
    Flr = bindings::PCI_DEVICE_RESET_FLR,
}

// SAFETY: `struct pci_device_reset` is the argument of this operation.
unsafe impl Operation for bindings::pci_device_reset {
    const NUMBER: u32 = bindings::PHYSDEVOP_pci_device_reset;
}

/// `PHYSDEVOP_pci_device_reset`: tells Xen that the function was reset.
///
/// Crashes Xen for a function that Xen refused: call
/// [`was_reset`](crate::vpci::Function::was_reset) instead, which checks that.
pub(crate) fn pci_device_reset(sbdf: Sbdf, kind: ResetKind) -> Result {
    bindings::pci_device_reset {
        dev: address(sbdf),
        // CAST: The variants are the constants of the interface.
        flags: kind as u32,
    }
    .call()
}

// SAFETY: `struct physdev_map_pirq` is the argument of this operation.
unsafe impl Operation for bindings::physdev_map_pirq {
    const NUMBER: u32 = bindings::PHYSDEVOP_map_pirq;
}

/// This domain. CAST: It is small.
pub(crate) const SELF: u16 = bindings::DOMID_SELF as u16;

/// `PHYSDEVOP_map_pirq`: maps a message of the function to `domain`, and returns the pirq: entry
/// `entry` of its MSI-X table, with `table_base` the address of the BAR that holds the table; or
/// its MSI, if both are 0.
pub(crate) fn map_message(domain: u16, sbdf: Sbdf, entry: u16, table_base: u64) -> Result<i32> {
    map(bindings::physdev_map_pirq {
        domid: domain,
        type_: bindings::MAP_PIRQ_TYPE_MSI_SEG as c_int,
        index: -1,
        pirq: -1,
        // CAST: Xen reads the bits of the segment back from the sign.
        bus: (u32::from(sbdf.segment()) << 16 | u32::from(sbdf.bus())) as c_int,
        devfn: i32::from(sbdf.devfn()),
        entry_nr: i32::from(entry),
        table_base,
    })
}

/// `PHYSDEVOP_map_pirq`: returns the pirq that the line `gsi` is mapped to in `domain`. `ENOENT` if
/// it is not mapped.
///
/// Xen has no question for that. It refuses to map a line to a second pirq (`EEXIST`), and a line
/// to a pirq that no domain has (`EINVAL`). To map a line that is mapped to any pirq changes
/// nothing.
pub(crate) fn line(domain: u16, gsi: u32) -> Result<i32> {
    const NO_PIRQ: c_int = c_int::MAX;
    const ANY_PIRQ: c_int = -1;
    let line = |pirq| -> Result<i32> {
        map(bindings::physdev_map_pirq {
            domid: domain,
            type_: bindings::MAP_PIRQ_TYPE_GSI as c_int,
            index: gsi.try_into()?,
            pirq,
            ..Default::default()
        })
    };
    match line(NO_PIRQ) {
        Err(e) if e == EEXIST => line(ANY_PIRQ),
        Err(e) if e != EINVAL => Err(e),
        _ => Err(ENOENT),
    }
}

fn map(mut map: bindings::physdev_map_pirq) -> Result<i32> {
    map.call()?;
    Ok(map.pirq)
}

// SAFETY: `struct physdev_unmap_pirq` is the argument of this operation.
unsafe impl Operation for bindings::physdev_unmap_pirq {
    const NUMBER: u32 = bindings::PHYSDEVOP_unmap_pirq;
}

/// `PHYSDEVOP_unmap_pirq`: unmaps a pirq of `domain`.
pub(crate) fn unmap_pirq(domain: u16, pirq: i32) -> Result {
    bindings::physdev_unmap_pirq {
        domid: domain,
        pirq,
    }
    .call()
}
