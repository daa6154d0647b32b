// SPDX-License-Identifier: GPL-2.0

//! `OpRegion`: memory at an address, which firmware or a guest has written.

use crate::{
    bytes::Bytes,
    opregion_decoder::{
        Invalid,
        OpRegion, //
    },
};

/// What has fields.
const LENGTH: usize = 0x400;

/// The fields as Intel's specification lists them: name, offset, bytes.
struct Fields {
    signature: [u8; 16],
    kib: u32,
    minor: u8,
    major: u8,
    mailboxes: u32,
    rvda: u64,
    rvds: u32,
}

impl Fields {
    fn of(memory: &[u8]) -> Self {
        let word = |at: usize| u32::from_le_bytes(memory[at..at + 4].try_into().expect("four"));
        Self {
            signature: memory[..16].try_into().expect("sixteen"),
            kib: word(0x10),
            minor: memory[0x16],
            major: memory[0x17],
            mailboxes: word(0x58),
            rvda: u64::from(word(0x3ba)) + u64::from(word(0x3be)) * 0x1_0000_0000,
            rvds: word(0x3c2),
        }
    }
}

/// With numbers that cannot overflow.
fn naively(address: u32, memory: &[u8]) -> Result<(u8, u8, Option<(u128, u128)>), Invalid> {
    let fields = Fields::of(memory);
    if address == 0 {
        return Err(Invalid::NoAddress);
    }
    if &fields.signature != b"IntelGraphicsMem" {
        return Err(Invalid::Signature);
    }
    if fields.kib != 8 {
        return Err(Invalid::Size);
    }
    if fields.major == 0 {
        return Err(Invalid::Version);
    }
    let (start, end) = (u128::from(address), u128::from(address) + 8192);
    let tells = fields.major >= 2 && fields.mailboxes / 4 % 2 == 1;
    if !tells || fields.rvda == 0 || fields.rvds == 0 {
        return Ok((fields.major, fields.minor, None));
    }
    let mut vbt = u128::from(fields.rvda);
    if fields.major > 2 || fields.minor > 0 {
        vbt += start;
    }
    let vbt_end = vbt + u128::from(fields.rvds);
    if vbt_end > u128::from(u64::MAX) || (vbt < end && vbt_end > start) || fields.rvds > 65535 {
        return Err(Invalid::VbtBounds);
    }
    Ok((fields.major, fields.minor, Some((vbt, vbt_end))))
}

/// Where a guest has its copy of an extended VBT.
const GUEST_VBT: u64 = 0xfe10_0000;

/// Moving the VBT changes its address and nothing that matters besides.
fn moved(address: u32, memory: &[u8], start: u128, end: u128) {
    let mut moved = memory.to_vec();
    OpRegion::decode(address, memory)
        .expect("valid")
        .move_vbt(&mut moved, GUEST_VBT);
    let fields = Fields::of(&moved);
    assert_eq!((fields.major, fields.minor, fields.rvda), (2, 0, GUEST_VBT));
    assert_eq!(u128::from(fields.rvds), end - start);
    for (at, (old, new)) in memory.iter().zip(&moved).enumerate() {
        assert!(old == new || matches!(at, 0x16 | 0x17 | 0x58 | 0x3ba..0x3c2));
    }
}

pub(crate) fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let address = bytes.word();
    // One that is valid, with changes: few inputs have a signature.
    let mut memory = [0; LENGTH];
    memory[..16].copy_from_slice(b"IntelGraphicsMem");
    memory[0x10] = 8;
    memory[0x16..0x18].copy_from_slice(&[bytes.byte(), bytes.byte()]);
    memory[0x58] = 0x1d;
    for byte in &mut memory[0x3ba..0x3c6] {
        *byte = bytes.byte();
    }
    while !bytes.is_empty() {
        let at = bytes.word() as usize % LENGTH;
        memory[at] = bytes.byte();
    }
    let decoded = OpRegion::decode(address, &memory);
    let mapped = OpRegion::mapped(address.into());
    assert_eq!(mapped.end - mapped.start, 3 * 4096);
    if let Ok(region) = &decoded {
        assert!(mapped.start <= region.range.start && region.range.end <= mapped.end);
        assert!(!region
            .extended_vbt
            .as_ref()
            .is_some_and(|vbt| vbt.is_empty()));
    }
    let found = decoded.map(|region| {
        let vbt = region.extended_vbt;
        (
            region.version.0,
            region.version.1,
            vbt.map(|vbt| (u128::from(vbt.start), u128::from(vbt.end))),
        )
    });
    if let Ok((_, _, Some((start, end)))) = found {
        moved(address, &memory, start, end);
    }
    if let Err(reason) = found {
        assert!(!reason.reason().is_empty());
    }
    assert_eq!(found, naively(address, &memory));
}
