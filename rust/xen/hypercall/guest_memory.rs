// SPDX-License-Identifier: GPL-2.0

//! Writing to the memory of guests.
//!
//! C headers: [`include/xen/interface/memory.h`](srctree/include/xen/interface/memory.h),
//! [`include/xen/xen.h`](srctree/include/xen/xen.h)

use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*, //
};

use crate::{
    bindings,
    hypercall::domctl,
    linux::fault, //
};

/// Writes `bytes` to the memory of the guest `domain`, from its page number `first_page`. Where the
/// guest has no memory, it gets some, which counts for its limit. May sleep.
///
/// Errors: `ENOTSUPP` if `domain` is no HVM or PVH guest; `ESRCH` if there is no such domain;
/// `ENOMEM` if the guest may not have more memory, or dom0 has no address for it, or the guest has
/// something else than memory there: Xen then stops it; `EACCES` if Xen's version of domctls is
/// unknown. Some pages may be written then.
pub(crate) fn write(domain: u16, first_page: usize, bytes: &[u8]) -> Result {
    if !domctl::is_hvm_guest(domain)? {
        return Err(ENOTSUPP);
    }
    for (page, bytes) in (first_page..).zip(bytes.chunks(PAGE_SIZE)) {
        let mut window = Window::new()?;
        match window.map(domain, page) {
            // There is no memory.
            Err(e) if e == EINVAL => {
                populate(domain, page)?;
                window.map(domain, page)?;
            }
            mapped => mapped?,
        }
        window.write(bytes);
    }
    Ok(())
}

/// Gives memory to a guest at its page number `page`, which has to be free. `ENOMEM`.
fn populate(domain: u16, mut page: usize) -> Result {
    fault::point("hypercall (memory)")?;
    let mut reservation = bindings::xen_memory_reservation {
        extent_start: &raw mut page,
        nr_extents: 1,
        domid: domain,
        ..Default::default()
    };
    // SAFETY: `reservation` is the argument of this operation, and `page` its only extent. Both
    // outlive the call.
    let done = unsafe {
        bindings::HYPERVISOR_memory_op(
            bindings::XENMEM_populate_physmap,
            (&raw mut reservation).cast(),
        )
    };
    match done {
        // The number of extents.
        1 => Ok(()),
        0 => Err(ENOMEM),
        errno => Err(Error::from_errno(errno)),
    }
}

/// A page of dom0's physical addresses without memory, at which a page of a guest can be mapped.
///
/// # Invariants
///
/// `page` comes from `xen_alloc_unpopulated_pages()`. With `is_mapped`, there is memory.
struct Window {
    page: *mut bindings::page,
    is_mapped: bool,
}

impl Window {
    /// `ENOMEM`. May sleep.
    fn new() -> Result<Self> {
        fault::point("an address for memory of a guest")?;
        let mut page = core::ptr::null_mut();
        // SAFETY: There is room for one page.
        to_result(unsafe { bindings::xen_alloc_unpopulated_pages(1, &raw mut page) })?;
        // INVARIANT: It was just allocated, and nothing is mapped there.
        Ok(Self {
            page,
            is_mapped: false,
        })
    }

    fn number(&self) -> usize {
        // SAFETY: By the type invariant it is a page.
        unsafe { bindings::page_to_pfn(self.page) }
    }

    /// Maps a page of the guest's memory. `EINVAL` if there is none.
    fn map(&mut self, domain: u16, mut page: usize) -> Result {
        fault::point("hypercall (memory)")?;
        let (mut number, mut errno) = (self.number(), 0);
        let mut range = bindings::xen_add_to_physmap_range {
            // CAST: Both are small.
            domid: bindings::DOMID_SELF as u16,
            space: bindings::XENMAPSPACE_gmfn_foreign as u16,
            size: 1,
            foreign_domid: domain,
            idxs: &raw mut page,
            gpfns: &raw mut number,
            errs: &raw mut errno,
        };
        // SAFETY: `range` is the argument of this operation, whose arrays have one element each.
        // All outlive the call. Nothing uses the address at which the memory appears.
        to_result(unsafe {
            bindings::HYPERVISOR_memory_op(
                bindings::XENMEM_add_to_physmap_range,
                (&raw mut range).cast(),
            )
        })?;
        to_result(errno)?;
        // INVARIANT: Xen has mapped it.
        self.is_mapped = true;
        Ok(())
    }

    /// Writes to the beginning of what is mapped.
    fn write(&mut self, bytes: &[u8]) {
        if !self.is_mapped {
            return;
        }
        // SAFETY: By the type invariant it is a page.
        let start: *mut u8 = unsafe { bindings::page_address(self.page) }.cast();
        for (index, byte) in bytes.iter().take(PAGE_SIZE).enumerate() {
            // SAFETY: By the type invariant there is memory, which belongs to a guest: nobody here
            // relies on it.
            unsafe { start.wrapping_add(index).write_volatile(*byte) };
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let mut range = bindings::xen_remove_from_physmap {
            // CAST: It is small.
            domid: bindings::DOMID_SELF as u16,
            gpfn: self.number(),
        };
        // SAFETY: `range` is the argument of this operation. Nothing uses what was mapped.
        let mut unmap = || unsafe {
            bindings::HYPERVISOR_memory_op(
                bindings::XENMEM_remove_from_physmap,
                (&raw mut range).cast(),
            )
        };
        if self.is_mapped && unmap() != 0 {
            pr_warn!("a page of a guest stays mapped: the guest cannot end completely\n");
            return;
        }
        // SAFETY: By the type invariant it was allocated, and nothing is mapped there.
        unsafe { bindings::xen_free_unpopulated_pages(1, &raw mut self.page) };
    }
}
