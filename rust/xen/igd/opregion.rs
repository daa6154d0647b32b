// SPDX-License-Identifier: GPL-2.0

//! Decoding an OpRegion: 8 KiB in which firmware tells the driver of an Intel GPU about displays.
//!
//! Intel's "IGD OpRegion Specification" describes it. The driver i915 reads it in
//! `drivers/gpu/drm/i915/display/intel_opregion.c`.

use core::ops::Range;

/// The size of an OpRegion in bytes.
pub(super) const SIZE: usize = 0x2000;
/// The number of pages that a device model maps to a guest, from the page in which the OpRegion
/// begins.
const MAPPED_PAGES: u64 = 3;
const PAGE: u64 = 0x1000;

pub(super) const SIGNATURE: &[u8; 16] = b"IntelGraphicsMem";
/// The size in KiB.
const KIB: usize = 0x10;
const MINOR: usize = 0x16;
const MAJOR: usize = 0x17;
const MAILBOXES: usize = 0x58;
/// The bit of mailbox 2, which version 3 does not have.
const MAILBOX_2: u32 = 1 << 1;
/// The bit of mailbox 3, which has [`RVDA`] and [`RVDS`].
const MAILBOX_3: u32 = 1 << 2;
/// The address of an extended VBT, or since version 2.1 its distance from the OpRegion.
const RVDA: usize = 0x3ba;
/// The size of an extended VBT in bytes.
const RVDS: usize = 0x3c2;
/// The largest VBT in bytes: its header has 16 bits for the size.
const MOST_VBT: u64 = 0xffff;

/// An OpRegion whose header makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpRegion {
    /// The major and minor version.
    pub version: (u8, u8),
    /// The physical addresses of the OpRegion.
    pub range: Range<u64>,
    /// The physical addresses of a video BIOS table (VBT) outside of it.
    pub extended_vbt: Option<Range<u64>>,
}

/// Why an OpRegion is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// The GPU does not answer.
    NoAnswer,
    /// The register with its address is 0.
    NoAddress,
    /// The pages that a device model maps for it are not all reserved.
    NotReserved,
    /// The memory at its address cannot be mapped.
    NotMapped,
    /// It does not begin with `IntelGraphicsMem`.
    Signature,
    /// It is not of 8 KiB.
    Size,
    /// Its version is 0.
    Version,
    /// The extended VBT has no possible address, overlaps the OpRegion, or has 64 KiB or more.
    VbtBounds,
    /// The memory of the extended VBT is not reserved.
    VbtNotReserved,
}

impl Invalid {
    /// Returns the reason in words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoAnswer => "the GPU does not answer",
            Self::NoAddress => "there is no address",
            Self::NotReserved => "firmware has not reserved all of the three pages there",
            Self::NotMapped => "the kernel cannot map it",
            Self::Signature => "no signature IntelGraphicsMem there",
            Self::Size => "its size is not 8 KiB",
            Self::Version => "its version is 0",
            Self::VbtBounds => "the address or size of its extended VBT is impossible",
            Self::VbtNotReserved => "firmware has not reserved the memory of its extended VBT",
        }
    }
}

impl OpRegion {
    /// Decodes `bytes`, the beginning of what is at the physical address `address`; what is missing
    /// counts as 0. Whether the memory is reserved is for the caller to ask.
    pub fn decode(address: u32, bytes: &[u8]) -> Result<Self, Invalid> {
        if address == 0 {
            return Err(Invalid::NoAddress);
        }
        if !bytes.starts_with(SIGNATURE) {
            return Err(Invalid::Signature);
        }
        if number(bytes, KIB, 4) != SIZE as u64 / 1024 {
            return Err(Invalid::Size);
        }
        // CAST: One byte each.
        let version = (number(bytes, MAJOR, 1) as u8, number(bytes, MINOR, 1) as u8);
        if version.0 == 0 {
            return Err(Invalid::Version);
        }
        let start = u64::from(address);
        let range = start..start.saturating_add(SIZE as u64);
        let extended_vbt = extended_vbt(version, &range, bytes)?;
        Ok(Self {
            version,
            range,
            extended_vbt,
        })
    }

    /// Changes `bytes`, the beginning of this OpRegion, so that its extended VBT is at the guest's
    /// physical address `address`. Only version 2.0 has an address that does not depend on where
    /// the guest has the OpRegion.
    pub fn move_vbt(&self, bytes: &mut [u8], address: u64) {
        // CAST: Four bytes.
        let mut mailboxes = number(bytes, MAILBOXES, 4) as u32;
        if self.version.0 > 2 {
            mailboxes &= !MAILBOX_2;
        }
        set(bytes, MINOR, &[0, 2]);
        set(bytes, MAILBOXES, &mailboxes.to_le_bytes());
        set(bytes, RVDA, &address.to_le_bytes());
    }

    /// Returns the physical addresses that a device model maps to a guest for an OpRegion at
    /// `start`.
    pub fn mapped(start: u64) -> Range<u64> {
        let start = start / PAGE * PAGE;
        start..start.saturating_add(MAPPED_PAGES * PAGE)
    }
}

fn extended_vbt(
    version: (u8, u8),
    range: &Range<u64>,
    bytes: &[u8],
) -> Result<Option<Range<u64>>, Invalid> {
    // CAST: Four bytes.
    let has_mailbox_3 = number(bytes, MAILBOXES, 4) as u32 & MAILBOX_3 != 0;
    let (address, size) = (number(bytes, RVDA, 8), number(bytes, RVDS, 4));
    if version < (2, 0) || !has_mailbox_3 || address == 0 || size == 0 {
        return Ok(None);
    }
    let start = match version {
        (2, 0) => Some(address),
        _ => range.start.checked_add(address),
    };
    let vbt = start
        .and_then(|start| Some(start..start.checked_add(size)?))
        .ok_or(Invalid::VbtBounds)?;
    let overlaps = vbt.start < range.end && range.start < vbt.end;
    if overlaps || size > MOST_VBT {
        return Err(Invalid::VbtBounds);
    }
    Ok(Some(vbt))
}

fn set(bytes: &mut [u8], offset: usize, value: &[u8]) {
    for (byte, value) in bytes.iter_mut().skip(offset).zip(value) {
        *byte = *value;
    }
}

/// Returns the number of `size` bytes at `offset`, the least first.
fn number(bytes: &[u8], offset: usize, size: usize) -> u64 {
    let bytes = bytes.iter().skip(offset).take(size).rev();
    bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[kernel::macros::kunit_tests(xen_opregion)]
mod tests {
    use super::*;

    const ASLS: u32 = 0x7fff_b000;

    const LENGTH: usize = 0x400;

    /// With an extended VBT of `size` bytes, unless that is 0.
    fn opregion(version: (u8, u8), address: u64, size: u32) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        set(&mut bytes, 0, b"IntelGraphicsMem");
        set(&mut bytes, KIB, &8u32.to_le_bytes());
        set(&mut bytes, MINOR, &[version.1, version.0]);
        set(&mut bytes, MAILBOXES, &0x1du32.to_le_bytes());
        set(&mut bytes, RVDA, &address.to_le_bytes());
        set(&mut bytes, RVDS, &size.to_le_bytes());
        bytes
    }

    fn vbt(version: (u8, u8), address: u64, size: u32) -> Result<Option<Range<u64>>, Invalid> {
        OpRegion::decode(ASLS, &opregion(version, address, size)).map(|region| region.extended_vbt)
    }

    #[test]
    fn a_header() {
        let mut bytes = opregion((1, 0), 0, 0);
        let region = OpRegion {
            version: (1, 0),
            range: 0x7fff_b000..0x7fff_d000,
            extended_vbt: None,
        };
        assert_eq!(OpRegion::decode(ASLS, &bytes), Ok(region));
        assert_eq!(OpRegion::decode(0, &bytes), Err(Invalid::NoAddress));
        set(&mut bytes, MAJOR, &[0]);
        assert_eq!(OpRegion::decode(ASLS, &bytes), Err(Invalid::Version));
        set(&mut bytes, KIB, &[16]);
        assert_eq!(OpRegion::decode(ASLS, &bytes), Err(Invalid::Size));
        set(&mut bytes, 15, &[b'n']);
        assert_eq!(OpRegion::decode(ASLS, &bytes), Err(Invalid::Signature));
    }

    #[test]
    fn what_is_mapped() {
        let asls = ASLS.into();
        assert_eq!(OpRegion::mapped(asls), 0x7fff_b000..0x7fff_e000);
        assert_eq!(OpRegion::mapped(asls + 0xfff), 0x7fff_b000..0x7fff_e000);
        assert_eq!(
            OpRegion::mapped(u32::MAX.into()),
            0xffff_f000..0x1_0000_2000
        );
    }

    #[test]
    fn an_extended_vbt() {
        let after = 0x7fff_d000..0x7fff_f400;
        assert_eq!(vbt((2, 0), 0x7fff_d000, 0x2400), Ok(Some(after.clone())));
        assert_eq!(vbt((2, 1), 0x2000, 0x2400), Ok(Some(after)));
        assert_eq!(vbt((1, 9), 0x2000, 0x2400), Ok(None));
        assert_eq!(vbt((2, 1), 0, 0x2400), Ok(None));
        assert_eq!(vbt((2, 1), 0x2000, 0), Ok(None));
        // Over the OpRegion, or the end of all addresses.
        for (version, address, size) in [
            ((2, 0), 0x7fff_c000, 0x2400),
            ((2, 0), 0x7fff_a000, 0x1001),
            ((2, 0), u64::MAX, 1),
            ((2, 1), 0x1fff, 1),
            ((2, 1), u64::MAX, 1),
            ((3, 0), u64::MAX - 0x7fff_b000, 1),
            ((2, 1), 0x2000, 0x1_0000),
        ] {
            assert_eq!(vbt(version, address, size), Err(Invalid::VbtBounds));
        }
        let mut bytes = opregion((2, 1), 0x2000, 0x2400);
        set(&mut bytes, MAILBOXES, &[0x19]);
        assert_eq!(
            OpRegion::decode(ASLS, &bytes).map(|region| region.extended_vbt),
            Ok(None)
        );
    }

    /// As version 2.0, which has another mailbox than version 3.
    #[test]
    fn a_vbt_that_is_moved() {
        for version in [(2, 0), (2, 1), (3, 0)] {
            let mut bytes = opregion(version, 0x1_0000_0000, 0x2400);
            set(&mut bytes, MAILBOXES, &[0x1f]);
            let region = OpRegion::decode(ASLS, &bytes);
            if let Ok(region) = &region {
                region.move_vbt(&mut bytes, 0xfe10_0000);
            }
            let moved = OpRegion {
                version: (2, 0),
                range: 0x7fff_b000..0x7fff_d000,
                extended_vbt: Some(0xfe10_0000..0xfe10_2400),
            };
            assert_eq!(OpRegion::decode(ASLS, &bytes), Ok(moved));
            let mailboxes = if version.0 == 3 { 0x1d } else { 0x1f };
            assert_eq!(number(&bytes, MAILBOXES, 4), mailboxes);
        }
    }
}
