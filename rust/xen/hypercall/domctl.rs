// SPDX-License-Identifier: GPL-2.0

//! Domain control operations (domctls): asking whether a function is assigned and what a domain is,
//! permitting domains to have memory mapped, unmapping it, and binding GSIs to dom0.
//!
//! Each domctl names the version of the interface, and Xen refuses (`EACCES`) every version but its
//! own. The operations here have the same layout in all of [`VERSIONS`]. Linux has no header for
//! them. Xen's header is `xen/include/public/domctl.h`.

use core::ops::Range;

use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

use crate::{
    bindings,
    linux::fault,
    pci::Sbdf, //
};

/// The interface versions of Xen 4.19 to 4.21, and of Xen 4.22 and 4.23-unstable (August 2026).
const VERSIONS: [u32; 2] = [0x17, 0x18];

const GET_DOMAIN_INFO: u32 = 5;
const IOMEM_PERMISSION: u32 = 20;
const BIND_PT_IRQ: u32 = 38;
const MEMORY_MAPPING: u32 = 39;
const TEST_ASSIGN_DEVICE: u32 = 45;
const UNBIND_PT_IRQ: u32 = 48;
const DEV_PCI: u32 = 0;
const PT_IRQ_TYPE_PCI: u32 = 0;

/// `XEN_DOMINF_dying`.
const IS_DYING: u32 = 1 << 0;
/// `XEN_DOMINF_hvm_guest`.
const IS_HVM: u32 = 1 << 1;

/// The domains that are neither dom0 nor one of Xen's own (`DOMID_FIRST_RESERVED`).
const GUESTS: Range<u16> = 1..0x7ff0;

const DOM0: u16 = 0;

/// `DOMID_INVALID`: the question is about all domains.
const ALL: u16 = 0x7ff4;

/// `struct xen_domctl_assign_device` for a PCI function.
#[repr(C)]
#[derive(Clone, Copy)]
struct AssignDevice {
    kind: u32,
    flags: u32,
    sbdf: u32,
}

/// The beginning of `struct xen_domctl_getdomaininfo`.
#[repr(C)]
#[derive(Clone, Copy)]
struct DomainInfo {
    domain: u16,
    pad: u16,
    flags: u32,
}

/// `struct xen_domctl_iomem_permission`.
#[repr(C)]
#[derive(Clone, Copy)]
struct IomemPermission {
    first_page: u64,
    pages: u64,
    is_allowed: u8,
}

/// `struct xen_domctl_memory_mapping`.
#[repr(C)]
#[derive(Clone, Copy)]
struct MemoryMapping {
    first_guest_page: u64,
    first_page: u64,
    pages: u64,
    is_added: u32,
    padding: u32,
}

/// The beginning of `struct xen_domctl_bind_pt_irq`. The rest says where a guest gets it: dom0 has
/// the GSIs of the machine.
#[repr(C)]
#[derive(Clone, Copy)]
struct BindPtIrq {
    machine_irq: u32,
    irq_type: u32,
}

/// The argument `T`, in the space that Xen copies.
#[repr(C)]
union Argument<T: Copy> {
    typed: T,
    all: [u64; 16],
}

/// `struct xen_domctl`.
#[repr(C)]
struct Domctl<T: Copy> {
    cmd: u32,
    version: u32,
    domain: u16,
    pad: [u16; 3],
    argument: Argument<T>,
}

/// Returns whether Xen has assigned the function to a guest. Xen has to know the function.
///
/// Errors: `EACCES` if Xen's version of the interface is not in [`VERSIONS`]; else those of
/// `XEN_DOMCTL_test_assign_device`.
pub(crate) fn is_assigned(sbdf: Sbdf) -> Result<bool> {
    let function = AssignDevice {
        kind: DEV_PCI,
        flags: 0,
        sbdf: sbdf.to_u32(),
    };
    match call(TEST_ASSIGN_DEVICE, ALL, function) {
        Ok(_) => Ok(false),
        Err(e) if e == EINVAL => Ok(true),
        Err(e) => Err(e),
    }
}

/// Returns whether `domain` is a guest with hardware virtualization (HVM or PVH), whose memory has
/// physical addresses of its own.
///
/// Errors: `EACCES` as for [`is_assigned`]; `ESRCH` if there is no such domain.
pub(crate) fn is_hvm_guest(domain: u16) -> Result<bool> {
    Ok(GUESTS.contains(&domain) && flags(domain)? & IS_HVM != 0)
}

/// Returns whether `domain` is a PV guest. Errors as for [`is_hvm_guest`].
pub(crate) fn is_pv_guest(domain: u16) -> Result<bool> {
    Ok(GUESTS.contains(&domain) && flags(domain)? & IS_HVM == 0)
}

/// Returns whether `domain` is being destroyed. Errors as for [`is_hvm_guest`].
pub(crate) fn is_dying(domain: u16) -> Result<bool> {
    Ok(flags(domain)? & IS_DYING != 0)
}

/// Returns what Xen says of `domain`.
fn flags(domain: u16) -> Result<u32> {
    let empty = DomainInfo {
        domain: 0,
        pad: 0,
        flags: 0,
    };
    let info = call(GET_DOMAIN_INFO, domain, empty)?;
    // If there is none of this number, Xen answers for the next one.
    if info.domain != domain {
        return Err(ESRCH);
    }
    Ok(info.flags)
}

/// Permits `domain` to have the pages of `range` mapped, of physical addresses of the host; or
/// forbids it, which leaves what is mapped.
///
/// Errors: `EACCES` as for [`is_assigned`]; `EINVAL` for an empty range, and for domains that have
/// all permissions or no number of their own; `ESRCH` if there is no such domain; `EPERM` if dom0
/// has no permission itself; `ENOMEM`.
///
/// # Safety
///
/// Nobody relies on the contents of the pages.
pub(crate) unsafe fn permit_memory(domain: u16, range: Range<u64>, is_allowed: bool) -> Result {
    if !GUESTS.contains(&domain) || range.is_empty() {
        return Err(EINVAL);
    }
    let first_page = range.start / PAGE_SIZE as u64;
    let permission = IomemPermission {
        first_page,
        pages: range.end.div_ceil(PAGE_SIZE as u64) - first_page,
        is_allowed: is_allowed.into(),
    };
    call(IOMEM_PERMISSION, domain, permission).map(|_| ())
}

/// Unmaps `pages` pages of the host, from the page number `first_page`, from the guest `domain`,
/// which has them at its page number `first_guest_page`.
///
/// Errors: `EACCES` as for [`is_assigned`]; `EINVAL` if the guest has no page of the host there, or
/// `domain` is no guest; `EPERM` if it may not have these pages; `ESRCH` if there is no such
/// domain.
pub(crate) fn unmap_memory(
    domain: u16,
    first_guest_page: usize,
    first_page: u64,
    pages: usize,
) -> Result {
    if !GUESTS.contains(&domain) {
        return Err(EINVAL);
    }
    let mapping = MemoryMapping {
        first_guest_page: first_guest_page as u64,
        first_page,
        pages: pages as u64,
        is_added: 0,
        padding: 0,
    };
    call(MEMORY_MAPPING, domain, mapping).map(|_| ())
}

/// Binds the GSI `gsi` to dom0, which must have unmasked it before; or unbinds it. Does nothing if
/// it is as wanted already.
///
/// Errors: `EACCES` as for [`is_assigned`]; `EPERM` if Xen has not mapped the GSI to dom0; `EBUSY`
/// if a guest has it alone; `ENOMEM`.
pub(crate) fn bind_to_dom0(gsi: u32, is_bound: bool) -> Result {
    let gsi = BindPtIrq {
        machine_irq: gsi,
        irq_type: PT_IRQ_TYPE_PCI,
    };
    let cmd = if is_bound { BIND_PT_IRQ } else { UNBIND_PT_IRQ };
    call(cmd, DOM0, gsi).map(|_| ())
}

/// Issues a domctl, and returns the argument with what Xen has written to it. `T` consists of
/// integers.
fn call<T: Copy>(cmd: u32, domain: u16, typed: T) -> Result<T> {
    fault::point("hypercall (domctl)")?;
    let mut result = Err(EACCES);
    for version in VERSIONS {
        let mut arg = Domctl {
            cmd,
            version,
            domain,
            pad: [0; 3],
            argument: Argument { all: [0; 16] },
        };
        arg.argument.typed = typed;
        // SAFETY: `arg` has the layout of this version of the interface, and outlives the call.
        result = match unsafe { bindings::HYPERVISOR_domctl((&raw mut arg).cast()) } {
            // SAFETY: All of it is initialized, and Xen writes integers only.
            0 => Ok(unsafe { arg.argument.typed }),
            errno => Err(Error::from_errno(errno)),
        };
        if !matches!(result, Err(EACCES)) {
            break;
        }
    }
    result
}
