// SPDX-License-Identifier: GPL-2.0

//! `empty_rom`: the ROM of a GPU with any IDs, as firmware of a guest reads it.

use crate::{
    bytes::Bytes,
    rom_maker::empty_rom, //
};

pub(crate) fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let ids = bytes.word().to_le_bytes();
    let half = |at| u16::from_le_bytes([ids[at], ids[at + 1]]);
    let rom = empty_rom(half(0), half(2));

    let sum: u32 = rom.iter().copied().map(u32::from).sum();
    assert_eq!((&rom[..2], sum % 256), (&[0x55, 0xaa][..], 0));
    // Both headers count in units of 512 bytes.
    assert_eq!(rom.len(), 512 * usize::from(rom[2]));
    let data = usize::from(rom[0x18]) + 256 * usize::from(rom[0x19]);
    assert_eq!(data % 4, 0);
    let data = &rom[data..];
    assert_eq!((&data[..4], &data[4..8]), (&b"PCIR"[..], &ids[..]));
    assert_eq!(data[10..12], [24, 0]);
    assert_eq!(data[13..16], [0, 0, 3]);
    assert_eq!(data[16..18], [rom[2], 0]);
    assert_eq!(data[20..22], [0, 0x80]);
}
