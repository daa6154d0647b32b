// SPDX-License-Identifier: GPL-2.0

//! Operations on physical devices (`HYPERVISOR_physdev_op`).
//!
//! An operation is a type: its fields are the argument as Xen's header lays it out.
//!
//! C headers: [`include/xen/interface/physdev.h`](srctree/include/xen/interface/physdev.h),
//! [`include/xen/interface/xen.h`](srctree/include/xen/interface/xen.h)

use kernel::prelude::*;

use crate::{
    bindings,
    linux::fault,
    pci::Sbdf, //
};

/// An operation, with its argument.
///
/// # Safety
///
/// The type has the layout that Xen expects of the argument of [`Operation::NUMBER`], and holds no
/// pointers.
unsafe trait Operation: Sized {
    const NUMBER: u32;

    /// Issues the operation; its results are in the argument.
    fn call(&mut self) -> Result {
        fault::point("hypercall")?;
        let argument = core::ptr::from_mut(self).cast();
        // CAST: Operations are small numbers.
        // SAFETY: By the trait's requirement the argument is what Xen reads and writes.
        match unsafe { bindings::HYPERVISOR_physdev_op(Self::NUMBER as c_int, argument) } {
            0 => Ok(()),
            errno => Err(Error::from_errno(errno)),
        }
    }
}

/// `struct physdev_pci_device`.
fn address(sbdf: Sbdf) -> bindings::physdev_pci_device {
    bindings::physdev_pci_device {
        seg: sbdf.segment(),
        bus: sbdf.bus(),
        devfn: sbdf.devfn(),
    }
}

/// What a function is, beside its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FunctionKind {
    /// A function of its own.
    Plain,
    /// A function whose device number is part of its function number (ARI).
    Extended,
    /// A virtual function of the physical function at this address.
    Virtual(Sbdf),
}

/// `PHYSDEVOP_pci_device_add`: there is a function. `pxm` is the proximity domain of its node, if
/// that is known.
///
/// Repeated for a function that Xen has, it changes nothing but the node.
pub(crate) fn pci_device_add(sbdf: Sbdf, kind: FunctionKind, pxm: Option<u32>) -> Result {
    #[repr(C)]
    struct Add {
        head: bindings::physdev_pci_device_add,
        pxm: u32,
    }

    // SAFETY: The argument, with the optional element that the flag announces.
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

/// Declares operations whose argument is a function's address.
macro_rules! on_function {
    ($($(#[$doc:meta])* $name:ident = $number:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name(sbdf: Sbdf) -> Result {
            #[repr(transparent)]
            struct Argument(bindings::physdev_pci_device);

            // SAFETY: The argument of this operation.
            unsafe impl Operation for Argument {
                const NUMBER: u32 = bindings::$number;
            }

            Argument(address(sbdf)).call()
        }
    )*};
}

on_function! {
    /// `PHYSDEVOP_pci_device_remove`: the function is gone.
    pci_device_remove = PHYSDEVOP_pci_device_remove;
    /// `PHYSDEVOP_prepare_msix`: take down where the function's MSI-X table is.
    prepare_msix = PHYSDEVOP_prepare_msix;
    /// `PHYSDEVOP_release_msix`: forget that.
    release_msix = PHYSDEVOP_release_msix;
}

/// The kind of a reset, for [`pci_device_reset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum ResetKind {
    Warm = bindings::PCI_DEVICE_RESET_WARM,
    Hot = bindings::PCI_DEVICE_RESET_HOT,
    Flr = bindings::PCI_DEVICE_RESET_FLR,
}

// SAFETY: The argument of this operation.
unsafe impl Operation for bindings::pci_device_reset {
    const NUMBER: u32 = bindings::PHYSDEVOP_pci_device_reset;
}

/// `PHYSDEVOP_pci_device_reset`: the function was reset.
///
/// Naming a function that Xen refused brings Xen down: see
/// [`was_reset`](crate::vpci::Function::was_reset).
pub(crate) fn pci_device_reset(sbdf: Sbdf, kind: ResetKind) -> Result {
    bindings::pci_device_reset {
        dev: address(sbdf),
        // CAST: The enumeration has the interface's numbers.
        flags: kind as u32,
    }
    .call()
}

// SAFETY: The argument of this operation.
unsafe impl Operation for bindings::physdev_map_pirq {
    const NUMBER: u32 = bindings::PHYSDEVOP_map_pirq;
}

/// `PHYSDEVOP_map_pirq`: maps entry `entry` of the function's MSI-X table, which is in the BAR that
/// begins at `table_base`, to this domain. Returns the pirq.
pub(crate) fn map_msix(sbdf: Sbdf, entry: u16, table_base: u64) -> Result<i32> {
    let mut map = bindings::physdev_map_pirq {
        domid: bindings::DOMID_SELF as bindings::domid_t,
        type_: bindings::MAP_PIRQ_TYPE_MSI_SEG as c_int,
        index: -1,
        pirq: -1,
        // CAST: Xen takes the segment's bits back out of the sign.
        bus: (u32::from(sbdf.segment()) << 16 | u32::from(sbdf.bus())) as c_int,
        devfn: i32::from(sbdf.devfn()),
        entry_nr: i32::from(entry),
        table_base,
    };
    map.call()?;
    Ok(map.pirq)
}

// SAFETY: The argument of this operation.
unsafe impl Operation for bindings::physdev_unmap_pirq {
    const NUMBER: u32 = bindings::PHYSDEVOP_unmap_pirq;
}

/// `PHYSDEVOP_unmap_pirq`: gives up a pirq of this domain.
pub(crate) fn unmap_pirq(pirq: i32) -> Result {
    bindings::physdev_unmap_pirq {
        domid: bindings::DOMID_SELF as bindings::domid_t,
        pirq,
    }
    .call()
}
