// SPDX-License-Identifier: GPL-2.0

//! Operations on memory (`HYPERVISOR_memory_op`): which regions firmware reserved for a function,
//! as RMRRs (Intel) or unity mappings (AMD).
//!
//! Linux has no header for this operation. Xen's header, `xen/include/public/memory.h`, declares it
//! for toolstacks only, but has not changed it from Xen 4.6 to 4.22.

use core::ops::Range;

use kernel::prelude::*;

use crate::{
    bindings,
    hypercall::physdev,
    linux::fault,
    pci::Sbdf, //
};

const RESERVED_DEVICE_MEMORY_MAP: c_uint = 27;

/// The largest number of regions of one function. Firmware reserves one or two.
const MOST: usize = 32;

/// `struct xen_reserved_device_memory`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start_page: u64,
    pages: u64,
}

/// `struct xen_reserved_device_memory_map`.
#[repr(C)]
struct Map {
    flags: u32,
    count: u32,
    regions: *mut Region,
    function: bindings::physdev_pci_device,
}

/// Returns the regions that firmware reserved for the function, as ranges of page numbers, in no
/// order. Empty if Xen does not know the function. May sleep.
///
/// Errors: `ENOBUFS` if there are more than 32; `EOVERFLOW` if one has no end; `ENOSYS` if Xen does
/// not know the operation.
pub fn reserved_regions(sbdf: Sbdf) -> Result<KVec<Range<u64>>> {
    fault::point("hypercall (memory)")?;
    let mut regions = [Region::default(); MOST];
    let mut map = Map {
        flags: 0,
        // CAST: `MOST` is small.
        count: MOST as u32,
        regions: regions.as_mut_ptr(),
        function: physdev::address(sbdf),
    };
    // SAFETY: `map` is the argument of this operation. Xen writes `map`, and at most `count`
    // elements of `regions`. Both outlive the call.
    let errno = unsafe {
        bindings::HYPERVISOR_memory_op(RESERVED_DEVICE_MEMORY_MAP, (&raw mut map).cast())
    };
    if errno != 0 {
        return Err(Error::from_errno(errno));
    }
    let mut ranges = KVec::new();
    for region in regions.iter().take(map.count as usize) {
        let start = region.start_page;
        let end = start.checked_add(region.pages).ok_or(EOVERFLOW)?;
        ranges.push(start..end, GFP_KERNEL)?;
    }
    Ok(ranges)
}
