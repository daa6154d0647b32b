// SPDX-License-Identifier: GPL-2.0

//! A page of memory that a frontend shares with its backend.
//!
//! C header: [`include/xen/xenbus.h`](srctree/include/xen/xenbus.h)

use core::{
    array,
    ptr::{
        self,
        NonNull, //
    }, //
};

use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    bindings,
    linux::fault,
    xenbus::Device, //
};

/// A page of a guest, mapped. The guest may change it at any time. Dropping it unmaps the page, and
/// may sleep.
///
/// # Invariants
///
/// `page` is the page that `xenbus_map_ring_valloc()` has mapped for `dev`.
pub struct SharedPage {
    dev: ARef<Device>,
    page: NonNull<u32>,
}

// SAFETY: Any task may access and unmap the page.
unsafe impl Send for SharedPage {}
// SAFETY: All accesses are volatile or atomic, as the guest accesses the page, too.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    const WORDS: usize = PAGE_SIZE / size_of::<u32>();

    /// Maps the page that the guest of `dev` has granted as `grant`. May sleep.
    ///
    /// Errors: those of `xenbus_map_ring_valloc()`, which also writes them to XenStore.
    pub fn map(dev: &Device, mut grant: u32) -> Result<Self> {
        fault::point("mapping a page of the guest")?;
        let mut page = ptr::null_mut();
        // SAFETY: `dev` is valid. There is one grant, and room for one address.
        to_result(unsafe {
            bindings::xenbus_map_ring_valloc(dev.as_raw(), &raw mut grant, 1, &raw mut page)
        })?;
        // INVARIANT: The call has mapped the page.
        Ok(Self {
            dev: dev.into(),
            page: NonNull::new(page.cast()).ok_or(ENOMEM)?,
        })
    }

    /// Reads a word of the page; 0 outside of it.
    pub fn read(&self, index: usize) -> u32 {
        match self.word(index) {
            // SAFETY: By the type invariant the page is mapped.
            Some(word) => unsafe { word.read_volatile() },
            None => 0,
        }
    }

    /// Reads each of `N` words once, from the one at `first`.
    pub fn copy<const N: usize>(&self, first: usize) -> [u32; N] {
        array::from_fn(|index| self.read(first.saturating_add(index)))
    }

    /// Writes a word of the page.
    pub fn write(&self, index: usize, value: u32) {
        if let Some(word) = self.word(index) {
            // SAFETY: By the type invariant the page is mapped. It is the guest's: nothing here
            // relies on it.
            unsafe { word.write_volatile(value) };
        }
    }

    /// Clears a bit of the first word, after all writes before. Other bits may change meanwhile.
    pub fn clear_bit(&self, bit: u8) {
        // SAFETY: By the type invariant the page is mapped. The guest changes the bits of this word
        // in the same way. The call is a full barrier on x86.
        unsafe { bindings::clear_bit((bit & 31).into(), self.page.as_ptr().cast()) };
    }

    fn word(&self, index: usize) -> Option<*mut u32> {
        (index < Self::WORDS).then(|| self.page.as_ptr().wrapping_add(index))
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the page is mapped for the device. Nothing uses it any
        // more.
        let errno = unsafe {
            bindings::xenbus_unmap_ring_vfree(self.dev.as_raw(), self.page.as_ptr().cast())
        };
        if errno != 0 {
            pr_warn!("a page of a guest stays mapped: the guest cannot end completely\n");
        }
    }
}
