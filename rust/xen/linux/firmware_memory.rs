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

/// Returns whether firmware has reserved something in each page of `range`, of physical addresses,
/// and no page is RAM, not even in part. A device may be in memory that is reserved. In a PVH dom0
/// these are addresses of the host.
///
/// Does not sleep.
pub(crate) fn is_reserved(range: Range<u64>) -> bool {
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

/// Returns whether the kernel's map of memory says `kind` of a page, and nothing else beside that.
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

/// A mapping of memory that firmware has reserved.
///
/// # Invariants
///
/// `start` is mapped, for `length` bytes.
struct Mapping {
    start: *mut u8,
    length: usize,
}

impl Mapping {
    /// Maps `length` bytes at the physical address `start`. May sleep.
    ///
    /// Errors: `EINVAL` if firmware has not reserved them all; `ENOMEM` if they cannot be mapped.
    fn new(start: u64, length: usize) -> Result<Self> {
        let end = start.checked_add(length as u64).ok_or(EINVAL)?;
        if !is_reserved(start..end) {
            return Err(EINVAL);
        }
        fault::point("mapping memory of the firmware")?;
        // CAST: The flag is small.
        // SAFETY: The mapping follows those that exist. It is only used to copy bytes.
        let mapped = unsafe { bindings::memremap(start, length, bindings::MEMREMAP_WB as c_ulong) };
        if mapped.is_null() {
            return Err(ENOMEM);
        }
        // INVARIANT: `memremap()` has mapped it.
        Ok(Self {
            start: mapped.cast(),
            length,
        })
    }

    /// Returns a pointer to each byte, which is valid as long as the mapping.
    fn bytes(&self) -> impl Iterator<Item = *mut u8> + '_ {
        (0..self.length).map(|index| self.start.wrapping_add(index))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is mapped.
        unsafe { bindings::memunmap(self.start.cast()) };
    }
}

/// Reads memory that firmware has reserved, from the physical address `start`. May sleep.
///
/// Others may write to it meanwhile. The bytes need not be from one moment.
///
/// Errors: those of mapping it: `EINVAL` if it is not all reserved; `ENOMEM`.
pub(crate) fn read(start: u64, bytes: &mut [u8]) -> Result {
    let mapping = Mapping::new(start, bytes.len())?;
    for (byte, from) in bytes.iter_mut().zip(mapping.bytes()) {
        // SAFETY: The pointer is valid. Others may write: the byte is read once.
        *byte = unsafe { from.read_volatile() };
    }
    Ok(())
}

/// Writes the bytes that differ to memory that firmware has reserved, at the physical address
/// `start`. May sleep. Fails as [`read`] does.
///
/// # Safety
///
/// The memory is not used by anybody who relies on the value of these bytes.
pub(crate) unsafe fn write(start: u64, bytes: &[u8]) -> Result {
    let mapping = Mapping::new(start, bytes.len())?;
    for (byte, to) in bytes.iter().zip(mapping.bytes()) {
        // SAFETY: The pointer is valid. By the function's requirement nobody relies on the byte.
        unsafe {
            if to.read_volatile() != *byte {
                to.write_volatile(*byte);
            }
        }
    }
    Ok(())
}
