// SPDX-License-Identifier: GPL-2.0

//! Hypercalls about PCI functions.
//!
//! C header: [`include/xen/interface/physdev.h`](srctree/include/xen/interface/physdev.h)

use kernel::{
    pci::Device,
    prelude::*, //
};

use crate::{
    bindings,
    config,
    fault,
    pci::{
        as_raw,
        DeviceExt,
        Locked, //
    },
    reset::Kind,
    Sbdf, //
};

/// Issues the operation `cmd` with the argument `arg`.
///
/// # Safety
///
/// `arg` is the argument structure of `cmd`.
pub(crate) unsafe fn call<T>(cmd: u32, arg: &mut T) -> Result {
    fault::point("hypercall")?;
    // CAST: Operations are small numbers.
    // SAFETY: `arg` is what `cmd` reads and writes, and outlives the call.
    match unsafe { bindings::HYPERVISOR_physdev_op(cmd as c_int, core::ptr::from_mut(arg).cast()) }
    {
        0 => Ok(()),
        errno => Err(Error::from_errno(errno)),
    }
}

/// The address of a function in the form that most operations take.
pub(crate) fn pci_device(sbdf: Sbdf) -> bindings::physdev_pci_device {
    bindings::physdev_pci_device {
        seg: sbdf.segment(),
        bus: sbdf.bus(),
        devfn: sbdf.devfn(),
    }
}

/// Asks Xen whether it has the function, rather than a half-made entry of one that it refused when
/// Linux added it (`ENODEV` then; every SR-IOV VF on Xen 4.20).
///
/// This is the only safe question about such an entry: others can bring Xen down. It is
/// `PHYSDEVOP_pci_device_add` over again, which changes nothing for a function that Xen has.
pub fn has_function(dev: &Device) -> Result {
    #[repr(C)]
    struct Add {
        head: bindings::physdev_pci_device_add,
        pxm: u32,
    }

    let raw = as_raw(dev);
    let sbdf = dev.sbdf()?;
    let mut add = Add {
        head: bindings::physdev_pci_device_add {
            seg: sbdf.segment(),
            bus: sbdf.bus(),
            devfn: sbdf.devfn(),
            ..Default::default()
        },
        pxm: 0,
    };
    // SAFETY: `raw` is a valid `struct pci_dev`; a VF keeps its PF.
    unsafe {
        if dev.is_virtfn() {
            let physfn = bindings::pci_physfn(raw);
            add.head.flags |= bindings::XEN_PCI_DEV_VIRTFN;
            add.head.physfn.bus = (*(*physfn).bus).number;
            // CAST: A device and function number is a byte.
            add.head.physfn.devfn = (*physfn).devfn as u8;
        } else if bindings::pci_is_extfn(raw) {
            add.head.flags |= bindings::XEN_PCI_DEV_EXTFN;
        }
        // What Linux told Xen at first, or Xen would forget the node.
        if let Ok(pxm) = u32::try_from(bindings::pci_pxm(raw)) {
            add.head.flags |= bindings::XEN_PCI_DEV_PXM;
            add.pxm = pxm;
        }
    }
    // SAFETY: The argument of this operation, with the optional element that the flag announces.
    unsafe { call(bindings::PHYSDEVOP_pci_device_add, &mut add) }
}

/// Makes Xen forget the function, and all that it took down about it, and find it again
/// (`PHYSDEVOP_pci_device_remove` and `_add`).
///
/// Dom0 has to own it, and no driver may use its interrupts. Meanwhile it is stopped, so that vPCI
/// takes its BARs out of dom0's memory and puts them back.
///
/// Errors: `EBUSY` for a function with VFs; else those of the two operations. If only the second
/// fails, Xen does not have the function any more.
pub fn rediscover(dev: &Locked) -> Result {
    let mut arg = pci_device(dev.sbdf()?);
    // SAFETY: `dev` is a valid `struct pci_dev`.
    if unsafe { bindings::pci_num_vf(as_raw(dev)) } != 0 {
        return Err(EBUSY);
    }
    let _command = config::Command::keep(dev)?;
    config::quiesce(dev)?;
    // SAFETY: The argument of this operation.
    unsafe { call(bindings::PHYSDEVOP_pci_device_remove, &mut arg)? };
    has_function(dev)
}

/// Tells Xen that the function was reset (`PHYSDEVOP_pci_device_reset`): its vPCI forgets what it
/// knows, such as which BARs are in use, and reads the function anew.
///
/// Xen ignores this for a function that dom0 does not own, which has no vPCI. For one with MSI-X it
/// has to be told when the BARs are back: as long as they are zero, Xen finds dom0's memory where
/// the table would be.
///
/// [`has_function`] must have said so before, or Xen may come down.
///
/// Errors: `ENOSYS` for Xen before 4.20; `EEXIST` for MSI-X without BARs, after which the function
/// has no vPCI and dom0 reaches it directly until this succeeds; else those of Xen's
/// `vpci_assign_device()`.
pub fn was_reset(dev: &Device, kind: Kind) -> Result {
    let mut arg = bindings::pci_device_reset {
        dev: pci_device(dev.sbdf()?),
        // CAST: The enumeration has the interface's numbers.
        flags: kind as u32,
    };
    // SAFETY: The argument of this operation.
    unsafe { call(bindings::PHYSDEVOP_pci_device_reset, &mut arg) }
}
