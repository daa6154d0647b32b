// SPDX-License-Identifier: GPL-2.0

//! Integrated graphics devices (IGD) of Intel: the memory in which firmware tells their drivers
//! about displays.

mod opregion;

use kernel::prelude::*;

use crate::linux::firmware_memory;

pub use self::opregion::{
    Invalid,
    OpRegion, //
};

/// Returns the OpRegion at `address`, if a guest may have the pages that a device model maps for
/// it. May sleep.
pub fn opregion(address: u32) -> Result<OpRegion, Invalid> {
    if address == 0 {
        return Err(Invalid::NoAddress);
    }
    if !firmware_memory::is_reserved(OpRegion::mapped(address)) {
        return Err(Invalid::NotReserved);
    }
    let region = read(address).map_err(|_| Invalid::NotMapped)??;
    match &region.extended_vbt {
        Some(vbt) if !firmware_memory::is_reserved(vbt.clone()) => Err(Invalid::VbtNotReserved),
        _ => Ok(region),
    }
}

/// Reads the OpRegion at `address`. Without the signature it reads no more than that: a device may
/// be there.
fn read(address: u32) -> Result<Result<OpRegion, Invalid>> {
    let mut signature = [0; opregion::SIGNATURE.len()];
    firmware_memory::read(address.into(), &mut signature)?;
    if signature != *opregion::SIGNATURE {
        return Ok(Err(Invalid::Signature));
    }
    let mut bytes = [0; opregion::DECODED];
    firmware_memory::read(address.into(), &mut bytes)?;
    Ok(OpRegion::decode(address, &bytes))
}
