// SPDX-License-Identifier: GPL-2.0

//! Integrated graphics devices (IGD) of Intel: the memory in which firmware tells their drivers
//! about displays.

mod opregion;
mod rom;

use kernel::prelude::*;

use crate::linux::firmware_memory;

pub use self::{
    opregion::{
        Invalid,
        OpRegion, //
    },
    rom::empty_rom, //
};

/// Returns the OpRegion at `address`, and a copy, if a guest may have the pages that a device model
/// maps for it. May sleep.
pub fn opregion(address: u32) -> Result<(OpRegion, Contents), Invalid> {
    if address == 0 {
        return Err(Invalid::NoAddress);
    }
    if !firmware_memory::is_reserved(OpRegion::mapped(address)) {
        return Err(Invalid::NotReserved);
    }
    let contents = Contents::read(address.into()).map_err(|_| Invalid::NotMapped)?;
    let region = OpRegion::decode(address, &contents.bytes)?;
    match &region.extended_vbt {
        Some(vbt) if !firmware_memory::is_reserved(vbt.clone()) => Err(Invalid::VbtNotReserved),
        _ => Ok((region, contents)),
    }
}

/// A copy of an OpRegion. Whoever has the GPU may write to the OpRegion: its next user must not
/// find that.
pub struct Contents {
    start: u64,
    bytes: KVec<u8>,
}

impl Contents {
    /// Reads an OpRegion. Without the signature it reads no more than that: a device may be there.
    fn read(start: u64) -> Result<Self> {
        let mut bytes = KVec::from_elem(0, opregion::SIGNATURE.len(), GFP_KERNEL)?;
        firmware_memory::read(start, &mut bytes)?;
        if *bytes == *opregion::SIGNATURE {
            bytes.resize(opregion::SIZE, 0, GFP_KERNEL)?;
            firmware_memory::read(start, &mut bytes)?;
        }
        Ok(Self { start, bytes })
    }

    /// Writes what has changed in the OpRegion. May sleep. `ENOMEM`.
    pub fn restore(&self) -> Result {
        // SAFETY: An OpRegion was there: memory for firmware and drivers to tell each other of
        // displays, who have to expect anything in it.
        unsafe { firmware_memory::write(self.start, &self.bytes) }
    }
}
