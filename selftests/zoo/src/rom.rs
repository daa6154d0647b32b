// SPDX-License-Identifier: GPL-2.0

//! An expansion ROM whose code returns at once.

use crate::description::Function;

const PCI_DATA: usize = 0x20;

/// The contents of the ROM of a function; nothing if it has none.
pub fn contents(function: &Function) -> Vec<u8> {
    let Some(rom) = &function.rom else {
        return Vec::new();
    };
    let mut data = vec![0; rom.size.0 as usize];
    // One block of 512 bytes, and RETF.
    data[..4].copy_from_slice(&[0x55, 0xaa, 1, 0xcb]);
    data[0x18] = PCI_DATA as u8;
    let mut header = b"PCIR".to_vec();
    header.extend(function.vendor.to_le_bytes());
    header.extend(function.device.to_le_bytes());
    header.extend([0, 0, 24, 0, 0]);
    header.extend(&function.class.to_le_bytes()[..3]);
    header.extend([1, 0, 0, 0, 0, 0x80]);
    data[PCI_DATA..PCI_DATA + header.len()].copy_from_slice(&header);
    let sum = data[..512]
        .iter()
        .fold(0u8, |sum, &byte| sum.wrapping_add(byte));
    data[511] = sum.wrapping_neg();
    data
}

#[cfg(test)]
mod tests {
    use crate::description::Card;

    #[test]
    fn firmware_accepts_it() {
        let text = "[[function]]\nvendor = 0x1234\ndevice = 1\nclass = 0x030000\n\
                    [function.rom]\nsize = \"2K\"\n";
        let card: Card = toml::from_str(text).unwrap();
        let data = super::contents(&card.functions[0]);
        assert_eq!(data.len(), 2048);
        assert_eq!(data[..2], [0x55, 0xaa]);
        let sum = data[..512]
            .iter()
            .fold(0u8, |sum, &byte| sum.wrapping_add(byte));
        assert_eq!(sum, 0);
        assert_eq!(&data[0x20..0x26], b"PCIR\x34\x12");
    }
}
