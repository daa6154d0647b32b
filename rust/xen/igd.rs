// SPDX-License-Identifier: GPL-2.0

//! Integrated graphics devices (IGD) of Intel: the memory in which firmware tells their drivers
//! about displays.

mod opregion;
mod permission;
mod rom;

use kernel::prelude::*;

use crate::linux::firmware_memory;

pub use self::{
    opregion::{
        Invalid,
        OpRegion, //
    },
    permission::Permission,
    rom::empty_rom, //
};

/// An OpRegion that a guest may have, and a copy of it. Whoever has the GPU may write to the
/// OpRegion: its next user must not find that.
///
/// # Invariants
///
/// An OpRegion was at `region.range`, and firmware has reserved the pages that a device model maps
/// for it, and those of its extended VBT.
pub struct SharedOpRegion {
    region: OpRegion,
    bytes: KVec<u8>,
}

impl SharedOpRegion {
    /// Reads the OpRegion at `address`. May sleep.
    pub fn new(address: u32) -> Result<Self, Invalid> {
        if address == 0 {
            return Err(Invalid::NoAddress);
        }
        if !firmware_memory::is_reserved(OpRegion::mapped(address.into())) {
            return Err(Invalid::NotReserved);
        }
        let bytes = read(address.into()).map_err(|_| Invalid::NotMapped)?;
        let region = OpRegion::decode(address, &bytes)?;
        match &region.extended_vbt {
            Some(vbt) if !firmware_memory::is_reserved(vbt.clone()) => Err(Invalid::VbtNotReserved),
            // INVARIANT: All of this was checked.
            _ => Ok(Self { region, bytes }),
        }
    }

    /// Returns what its header says.
    pub fn header(&self) -> &OpRegion {
        &self.region
    }

    /// Permits `domain` to have the pages of it mapped that device models map, and those of its
    /// extended VBT.
    ///
    /// Errors: `EINVAL` if `domain` is no guest; `ESRCH` if there is none; `ENOMEM`; `EACCES` if
    /// Xen's version of domctls is unknown.
    pub fn permit(&self, domain: u16) -> Result<Permission> {
        let ranges = [
            Some(OpRegion::mapped(self.region.range.start)),
            self.region.extended_vbt.clone(),
        ];
        // SAFETY: By the type invariant this is memory in which firmware and drivers tell each
        // other of displays. They have to expect anything in it.
        unsafe { Permission::new(domain, ranges) }
    }

    /// Writes what has changed in the OpRegion. May sleep. `ENOMEM`.
    pub fn restore(&self) -> Result {
        // SAFETY: By the type invariant this is memory in which firmware and drivers tell each
        // other of displays. They have to expect anything in it.
        unsafe { firmware_memory::write(self.region.range.start, &self.bytes) }
    }
}

/// Reads an OpRegion. Without the signature it reads no more than that: a device may be there.
fn read(start: u64) -> Result<KVec<u8>> {
    let mut bytes = KVec::from_elem(0, opregion::SIGNATURE.len(), GFP_KERNEL)?;
    firmware_memory::read(start, &mut bytes)?;
    if *bytes == *opregion::SIGNATURE {
        bytes.resize(opregion::SIZE, 0, GFP_KERNEL)?;
        firmware_memory::read(start, &mut bytes)?;
    }
    Ok(bytes)
}
