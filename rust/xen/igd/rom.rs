// SPDX-License-Identifier: GPL-2.0

//! A ROM for a GPU that has none: device models and firmware of guests want one.
//!
//! The PCI Firmware Specification describes the header and the PCI data structure.

/// The size of the ROM in bytes, the unit that its header counts in.
const SIZE: usize = 512;
const DATA: u16 = 0x20;
/// The data structure has 24 bytes.
const DATA_LENGTH: u16 = 24;
/// Return to the caller, far.
const RETF: u8 = 0xcb;

/// Returns a ROM of a VGA controller with these IDs, whose code returns at once.
pub fn empty_rom(vendor: u16, device: u16) -> [u8; SIZE] {
    let mut rom = [0; SIZE];
    let mut set = |at: u16, bytes: &[u8]| {
        for (to, from) in rom.iter_mut().skip(at.into()).zip(bytes) {
            *to = *from;
        }
    };
    set(0, &[0x55, 0xaa, 1, RETF]);
    set(0x18, &DATA.to_le_bytes());
    set(DATA, b"PCIR");
    set(DATA + 4, &vendor.to_le_bytes());
    set(DATA + 6, &device.to_le_bytes());
    set(DATA + 10, &DATA_LENGTH.to_le_bytes());
    // A VGA controller.
    set(DATA + 13, &[0x00, 0x00, 0x03]);
    // One unit, and the last image.
    set(DATA + 16, &[1]);
    set(DATA + 21, &[0x80]);
    let sum = rom.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    if let Some(last) = rom.last_mut() {
        *last = sum.wrapping_neg();
    }
    rom
}

#[kernel::macros::kunit_tests(xen_igd_rom)]
mod tests {
    use super::*;

    #[test]
    fn firmware_accepts_it() {
        let rom = empty_rom(0x8086, 0x1912);
        assert!(rom.starts_with(&[0x55, 0xaa, 1]));
        let sum = rom.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        assert_eq!(sum, 0);
        let data = &rom[0x20..];
        assert!(data.starts_with(b"PCIR\x86\x80\x12\x19"));
        assert_eq!(data[16], 1);
        assert_eq!(data[20..22], [0, 0x80]);
    }
}
