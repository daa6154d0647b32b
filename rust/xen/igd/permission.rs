// SPDX-License-Identifier: GPL-2.0

//! Permission for a guest, or for a stub domain that runs a guest's device model, to have an
//! OpRegion mapped.
//!
//! A device model in dom0 gives it to its guest. One in a stub domain cannot.

use core::ops::Range;

use kernel::prelude::*;

use crate::hypercall::domctl;

/// The permission of a domain to have memory of the firmware mapped. It ends when this is dropped;
/// what is mapped by then stays mapped.
pub struct Permission {
    domain: u16,
    ranges: [Option<Range<u64>>; 2],
}

impl Permission {
    /// Permits `domain` to have all pages of these ranges mapped. Fails as
    /// [`domctl::permit_memory`] does.
    ///
    /// # Safety
    ///
    /// Nobody relies on the contents of the pages.
    pub(super) unsafe fn new(domain: u16, ranges: [Option<Range<u64>>; 2]) -> Result<Self> {
        let permission = Self { domain, ranges };
        // SAFETY: By the function's requirement.
        unsafe { permission.change(true) }?;
        Ok(permission)
    }

    /// Returns the domain that has the permission.
    pub fn domain(&self) -> u16 {
        self.domain
    }

    /// Tries all ranges, and returns the first error.
    ///
    /// # Safety
    ///
    /// If this permits, nobody relies on the contents of the pages.
    unsafe fn change(&self, is_allowed: bool) -> Result {
        let mut result = Ok(());
        for range in self.ranges.iter().flatten() {
            // SAFETY: By the function's requirement.
            let changed = unsafe { domctl::permit_memory(self.domain, range.clone(), is_allowed) };
            result = result.and(changed);
        }
        result
    }
}

impl Drop for Permission {
    fn drop(&mut self) {
        // SAFETY: This does not permit.
        match unsafe { self.change(false) } {
            Ok(()) => (),
            // It has ended.
            Err(e) if e == ESRCH => (),
            Err(e) => pr_warn!(
                "domain {} may still have an OpRegion mapped ({e:?}): destroy it\n",
                self.domain
            ),
        }
    }
}
