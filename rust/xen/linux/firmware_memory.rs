// SPDX-License-Identifier: GPL-2.0

//! Memory that firmware has reserved.
//!
//! C headers: [`include/linux/ioport.h`](srctree/include/linux/ioport.h),
//! [`include/linux/io.h`](srctree/include/linux/io.h)

use core::ops::Range;

use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

use crate::{
    bindings,
    linux::fault, //
};

/// Returns whether firmware has reserved all pages of `range`, of physical addresses, and none is
/// RAM that the kernel uses, not even in part. In a PVH dom0 these are addresses of the host.
///
/// Does not sleep.
pub fn is_reserved(range: Range<u64>) -> bool {
    let pages = range.start / PAGE_SIZE as u64..range.end.div_ceil(PAGE_SIZE as u64);
    !pages.is_empty()
        && pages.into_iter().all(|page| {
            [
                bindings::IORES_DESC_RESERVED,
                bindings::IORES_DESC_ACPI_NV_STORAGE,
            ]
            .into_iter()
            .any(|kind| is_all(page, kind))
        })
}

/// Returns whether the kernel's map of memory says `kind` of a page, and nothing else.
fn is_all(page: u64, kind: c_uint) -> bool {
    // CAST: The flags and kinds are small.
    // SAFETY: The function only looks at the map, under its lock.
    let found = unsafe {
        bindings::region_intersects(
            page.saturating_mul(PAGE_SIZE as u64),
            PAGE_SIZE,
            bindings::IORESOURCE_MEM as c_ulong,
            kind as c_ulong,
        )
    };
    found == bindings::REGION_INTERSECTS as c_int
}

/// Reads memory that firmware has reserved, from the physical address `start`. May sleep.
///
/// Others may write to it meanwhile. The bytes need not be from one moment.
///
/// Errors: `EINVAL` if it is not all reserved; `ENOMEM` if it cannot be mapped.
pub fn read(start: u64, bytes: &mut [u8]) -> Result {
    let end = start.checked_add(bytes.len() as u64).ok_or(EINVAL)?;
    if !is_reserved(start..end) {
        return Err(EINVAL);
    }
    fault::point("mapping memory of the firmware")?;
    // SAFETY: No driver uses memory that is reserved, so the kind of mapping is the firmware's.
    let mapped =
        unsafe { bindings::memremap(start, bytes.len(), bindings::MEMREMAP_WB as c_ulong) };
    if mapped.is_null() {
        return Err(ENOMEM);
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        // SAFETY: The mapping is as long as `bytes`. Others may write: each byte is read once.
        *byte = unsafe { mapped.cast::<u8>().add(index).read_volatile() };
    }
    // SAFETY: The mapping belongs to this function.
    unsafe { bindings::memunmap(mapped) };
    Ok(())
}
