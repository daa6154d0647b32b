// SPDX-License-Identifier: GPL-2.0

//! Integrated graphics devices (IGD) of Intel: the memory in which firmware tells their drivers
//! about displays.

mod guest_copy;
mod opregion;
mod permission;
mod rom;

use core::ops::Range;

use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc, //
};

use crate::{
    hypercall::guest_memory,
    linux::firmware_memory, //
};

pub use self::{
    guest_copy::GuestCopy,
    opregion::{
        Invalid,
        OpRegion, //
    },
    permission::Permission,
    rom::empty_rom, //
};

/// The page of a guest's memory from which it finds its copy of an extended VBT: reserved for all
/// HVM guests, and used by nobody in Xen 4.20 to 4.23 (`tools/firmware/hvmloader/config.h`).
const GUEST_VBT_PAGE: usize = 0xfe100;

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
    /// What is in the extended VBT.
    vbt: KVec<u8>,
    /// What guests are to see instead of `bytes`.
    moved: Option<KVec<u8>>,
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
        let mut vbt = KVec::new();
        if let Some(range) = &region.extended_vbt {
            if !firmware_memory::is_reserved(range.clone()) {
                return Err(Invalid::VbtNotReserved);
            }
            read_all(range, &mut vbt).map_err(|_| Invalid::NotMapped)?;
        }
        // INVARIANT: All of this was checked.
        Ok(Self {
            region,
            bytes,
            vbt,
            moved: None,
        })
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

    /// Changes the OpRegion, if it has an extended VBT, so that guests look for a copy of that in
    /// their own memory: see [`give_vbt`](Self::give_vbt). Undone when this is dropped. May sleep.
    /// `ENOMEM`: nothing is changed.
    pub fn move_vbt(&mut self) -> Result {
        if self.vbt.is_empty() {
            return Ok(());
        }
        let mut moved = KVec::with_capacity(self.bytes.len(), GFP_KERNEL)?;
        moved.extend_from_slice(&self.bytes, GFP_KERNEL)?;
        self.region
            .move_vbt(&mut moved, (GUEST_VBT_PAGE * PAGE_SIZE) as u64);
        self.write(&moved)?;
        self.moved = Some(moved);
        Ok(())
    }

    /// Gives an HVM guest the copy of the extended VBT that the OpRegion tells of, if it does. Its
    /// memory there is overwritten. May sleep.
    ///
    /// Errors: `ENOTSUPP` if `domain` is no HVM guest; `ESRCH` if there is none; `ENOMEM`, of the
    /// guest or of dom0, or if the guest has something else than memory there; `EACCES` if Xen's
    /// version of domctls is unknown.
    pub fn give_vbt(&self, domain: u16) -> Result {
        match self.moved {
            Some(_) => guest_memory::write(domain, GUEST_VBT_PAGE, &self.vbt),
            None => Ok(()),
        }
    }

    /// Writes what has changed in the OpRegion and in its extended VBT, of which guests may have a
    /// part mapped. Tries both. May sleep. `ENOMEM`.
    pub fn restore(&self) -> Result {
        let opregion = self.write(self.contents());
        let vbt = match &self.region.extended_vbt {
            // SAFETY: As for `write()`.
            Some(range) => unsafe { firmware_memory::write(range.start, &self.vbt) },
            None => Ok(()),
        };
        opregion.and(vbt)
    }

    /// Returns what gives guests a copy of the OpRegion as they are to see it now. `ENOMEM`.
    pub fn guest_copy(&self) -> Result<Arc<GuestCopy>> {
        GuestCopy::new(self.region.range.start, self.contents())
    }

    /// Returns what guests are to see.
    fn contents(&self) -> &[u8] {
        self.moved.as_ref().unwrap_or(&self.bytes)
    }

    fn write(&self, bytes: &[u8]) -> Result {
        // SAFETY: By the type invariant this is memory in which firmware and drivers tell each
        // other of displays. They have to expect anything in it.
        unsafe { firmware_memory::write(self.region.range.start, bytes) }
    }
}

impl Drop for SharedOpRegion {
    fn drop(&mut self) {
        if self.moved.is_none() {
            return;
        }
        if let Err(e) = self.write(&self.bytes) {
            pr_warn!(
                "the OpRegion at {:#x} still tells where guests have its VBT ({e:?}): reboot\n",
                self.region.range.start
            );
        }
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

/// Reads all of `range`, which is of less than 64 KiB.
fn read_all(range: &Range<u64>, bytes: &mut KVec<u8>) -> Result {
    let length = usize::try_from(range.end.saturating_sub(range.start))?;
    bytes.resize(length, 0, GFP_KERNEL)?;
    firmware_memory::read(range.start, bytes)
}
