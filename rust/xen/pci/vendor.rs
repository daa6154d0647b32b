// SPDX-License-Identifier: GPL-2.0

//! The vendor's own registers in configuration space.

use kernel::prelude::*;

use crate::{
    bindings,
    pci::{
        as_raw,
        config::ConfigSpace, //
    }, //
};

// CAST: The ID of a capability is a byte.
const VENDOR_SPECIFIC: u8 = bindings::PCI_CAP_ID_VNDR as u8;
/// The offset of the length in a vendor-specific capability.
const LENGTH: u8 = 2;
/// The size of what all such capabilities begin with: ID, link, length.
const HEADER: u8 = 4;
/// The most capabilities that fit. Their list may have a loop.
const MOST: u32 = 48;

/// The registers in a function's vendor-specific capabilities, with their offsets. Firmware may
/// have written them. A reset may clear them, and nobody restores them.
pub(super) struct VendorRegisters(KVec<(u16, u32)>);

impl VendorRegisters {
    /// Reads all registers. `EIO` if the function does not answer; `ENOMEM`.
    pub(super) fn read(config: &ConfigSpace) -> Result<Self> {
        let raw = as_raw(config.device());
        let mut all = KVec::new();
        // SAFETY: `raw` is a valid `struct pci_dev`.
        let mut at = unsafe { bindings::pci_find_capability(raw, VENDOR_SPECIFIC.into()) };
        for _ in 0..MOST {
            if at == 0 {
                break;
            }
            let length: u8 = config.read(at.saturating_add(LENGTH).into())?;
            let (first, end) = (at.saturating_add(HEADER), at.saturating_add(length));
            for offset in (u16::from(first)..end.into()).step_by(4) {
                all.push((offset, config.read(offset)?), GFP_KERNEL)?;
            }
            // SAFETY: `raw` is a valid `struct pci_dev`.
            at = unsafe { bindings::pci_find_next_capability(raw, at, VENDOR_SPECIFIC.into()) };
        }
        Ok(Self(all))
    }

    /// Returns the offset, value and former value of the first register that has changed. `EIO` if
    /// the function does not answer.
    pub(super) fn changed(&self, config: &ConfigSpace) -> Result<Option<(u16, u32, u32)>> {
        for (offset, was) in self.0.iter().copied() {
            let is = config.read(offset)?;
            if is != was {
                return Ok(Some((offset, is, was)));
            }
        }
        Ok(None)
    }
}
