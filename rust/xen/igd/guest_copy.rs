// SPDX-License-Identifier: GPL-2.0

//! A copy of an OpRegion in the memory of the guest that has the GPU.
//!
//! The firmware of a guest (hvmloader) chooses where the guest has the OpRegion, and writes the
//! address to the register `ASLS`. QEMU then reads the host's `ASLS`, and maps the host's pages to
//! the guest. Next, the firmware reads a BAR of the GPU, for which QEMU reads the file `config` in
//! sysfs. That is the moment to replace the pages: the firmware waits for the answer, does not use
//! them, and has not started anything else in the guest.

use kernel::{
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

use crate::{
    hypercall::{
        domctl,
        guest_memory, //
    },
    pci::ConfigObserver, //
};

/// The address of the OpRegion, 32 bits.
const ASLS: (u64, usize) = (0xfc, 4);

/// Where hvmloader of Xen 4.20 to 4.22 has the OpRegion: below `RESERVED_MEMORY_DYNAMIC_END`
/// (`tools/firmware/hvmloader/config.h`) and a page of its own.
const GUEST_PAGE: usize = 0xfdffc;
/// The pages that QEMU maps.
const PAGES: usize = 3;

/// Others may read the file between QEMU's read of `ASLS` and hvmloader's next one.
const ATTEMPTS: u8 = 16;

/// Gives guests a copy of an OpRegion in place of what QEMU maps to them: no guest can write to the
/// host's then, or read what is behind it.
#[pin_data]
pub struct GuestCopy {
    first_page: u64,
    /// The contents of all pages.
    bytes: KVec<u8>,
    #[pin]
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The guest that has yet to get a copy.
    domain: Option<u16>,
    /// The reads that may follow that of `ASLS`.
    attempts: u8,
}

impl GuestCopy {
    /// Copies the OpRegion `contents` of the host, which has it at `start`. What is beside it is 0
    /// for guests. `ENOMEM`.
    pub(super) fn new(start: u64, contents: &[u8]) -> Result<Arc<Self>> {
        let mut copy = KVec::with_capacity(PAGES * PAGE_SIZE, GFP_KERNEL)?;
        // CAST: It is less than a page.
        copy.resize((start % PAGE_SIZE as u64) as usize, 0, GFP_KERNEL)?;
        copy.extend_from_slice(contents, GFP_KERNEL)?;
        copy.resize(PAGES * PAGE_SIZE, 0, GFP_KERNEL)?;
        Arc::pin_init(
            pin_init!(Self {
                first_page: start / PAGE_SIZE as u64,
                bytes: copy,
                state <- new_mutex!(State::default()),
            }),
            GFP_KERNEL,
        )
    }

    /// Gives `domain` a copy as soon as QEMU has mapped the host's pages to it, if it is an HVM
    /// guest. May sleep.
    ///
    /// Errors: `ESRCH` if there is no such domain; `EACCES` if Xen's version of domctls is unknown.
    pub fn promise(&self, domain: u16) -> Result {
        if domctl::is_hvm_guest(domain)? {
            *self.state.lock() = State {
                domain: Some(domain),
                attempts: 0,
            };
        }
        Ok(())
    }

    /// Gives no copy to `domain` any more. May sleep.
    pub fn forget(&self, domain: u16) {
        let mut state = self.state.lock();
        if state.domain == Some(domain) {
            state.domain = None;
        }
    }
}

impl ConfigObserver for GuestCopy {
    fn read(&self, offset: u64, length: usize) {
        let mut state = self.state.lock();
        let Some(domain) = state.domain else {
            return;
        };
        if (offset, length) == ASLS {
            state.attempts = ATTEMPTS;
            return;
        }
        let Some(left) = state.attempts.checked_sub(1) else {
            return;
        };
        state.attempts = left;
        let unmapped = domctl::unmap_memory(domain, GUEST_PAGE, self.first_page, PAGES);
        // QEMU has not mapped them yet, or `ASLS` was read for another reason.
        if unmapped == Err(EINVAL) {
            return;
        }
        state.domain = None;
        if let Err(e) = unmapped {
            pr_warn!(
                "domain {domain} keeps the OpRegion of the host, and can write to it: {e:?}\n"
            );
            return;
        }
        match guest_memory::write(domain, GUEST_PAGE, &self.bytes) {
            Ok(()) => pr_info!("domain {domain} has a copy of the OpRegion\n"),
            Err(e) => pr_warn!(
                "domain {domain} has no OpRegion any more ({e:?}): its driver may find no displays; destroy it and create it again\n"
            ),
        }
    }
}
