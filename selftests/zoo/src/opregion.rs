// SPDX-License-Identifier: GPL-2.0

//! What firmware gives the driver of an Intel GPU: an OpRegion with a video BIOS table (VBT), and
//! the size of stolen memory. The emulated machine's SeaBIOS takes both as files, puts them into
//! memory, and writes the addresses to ASLS (0xfc) and BDSM (0x5c) of each Intel VGA controller.

use crate::description::OpRegion;
use crate::wrong::{wrong, Wrong};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SIZE: usize = 0x2000;
const PAGE: usize = 0x1000;
const MAILBOX_4: usize = 0x400;
const MAILBOX_5: usize = 0x1c00;
/// Mailboxes 1, 3 and 4.
const MAILBOXES: u32 = 0x0d;

pub(crate) fn check(opregion: &OpRegion) -> Result<(), Wrong> {
    if opregion.reserved && opregion.stolen.is_none() {
        return wrong(
            "opregion.reserved",
            "there is no stolen memory",
            "give stolen, or remove it",
        );
    }
    let Some(vbt) = opregion.extended_vbt else {
        return Ok(());
    };
    if opregion.version < [2, 1] {
        return wrong(
            "opregion.extended_vbt",
            "before 2.1 the OpRegion has its address, which firmware chooses later",
            "give version = [2, 1], or remove it",
        );
    }
    if !(128..=0xffff).contains(&vbt.0) {
        return wrong(
            "opregion.extended_vbt",
            format!("{} bytes are not possible", vbt.0),
            "give 128 to 65535 bytes",
        );
    }
    Ok(())
}

/// A VBT without blocks. Its last bytes show whether all of it can be read.
fn vbt(size: usize) -> Vec<u8> {
    const HEADER: u16 = 48;
    const BLOCKS: u16 = 22;
    let mut table = b"$VBT ZOO            ".to_vec();
    for number in [100, HEADER, size as u16, 0] {
        table.extend(number.to_le_bytes());
    }
    table.extend(u32::from(HEADER).to_le_bytes());
    table.resize(HEADER.into(), 0);
    table.extend(b"BIOS_DATA_BLOCK ");
    for number in [228, BLOCKS, size as u16 - HEADER] {
        table.extend(number.to_le_bytes());
    }
    table.resize(size - 8, 0);
    table.extend(b"VBT-END.");
    let sum = table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    // The checksum.
    table[26] = sum.wrapping_neg();
    table
}

/// The OpRegion, with an extended VBT right behind it; else with another page of the firmware, as
/// device models map three pages.
fn contents(opregion: &OpRegion) -> Vec<u8> {
    let mut region = vec![0; SIZE];
    let mut set = |at: usize, bytes: &[u8]| region[at..at + bytes.len()].copy_from_slice(bytes);
    let [major, minor] = opregion.version;
    set(0, b"IntelGraphicsMem");
    set(0x10, &(SIZE as u32 / 1024).to_le_bytes());
    set(0x16, &[minor, major]);
    set(0x58, &MAILBOXES.to_le_bytes());
    set(SIZE - 8, b"END-OPR.");
    let Some(size) = opregion.extended_vbt else {
        set(MAILBOX_4, &vbt(MAILBOX_5 - MAILBOX_4));
        region.resize(SIZE + PAGE, 0);
        return region;
    };
    set(0x3ba, &(SIZE as u64).to_le_bytes());
    set(0x3c2, &(size.0 as u32).to_le_bytes());
    region.extend(vbt(size.0 as usize));
    region
}

/// Writes the files; returns them by the names that SeaBIOS knows.
pub(crate) fn write(
    directory: &Path,
    opregion: &OpRegion,
) -> Result<BTreeMap<&'static str, PathBuf>, String> {
    let mut files = BTreeMap::from([("etc/igd-opregion", contents(opregion))]);
    if let Some(stolen) = opregion.stolen {
        files.insert("etc/igd-bdsm-size", stolen.0.to_le_bytes().to_vec());
    }
    files
        .into_iter()
        .map(|(name, contents)| {
            let path = directory.join(name.replace('/', "-"));
            std::fs::write(&path, contents)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            Ok((name, path))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{check, contents, MAILBOX_4, PAGE, SIZE};
    use crate::description::OpRegion;

    fn opregion(text: &str) -> OpRegion {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_vbt_is_inside_or_behind() {
        let inside = contents(&opregion("version = [2, 0]"));
        assert_eq!(inside.len(), SIZE + PAGE);
        assert!(inside.starts_with(b"IntelGraphicsMem"));
        assert!(inside[MAILBOX_4..].starts_with(b"$VBT"));
        let behind = contents(&opregion("version = [2, 1]\nextended_vbt = \"9K\"\n"));
        assert_eq!(behind.len(), SIZE + 9 * 1024);
        assert!(behind[SIZE..].starts_with(b"$VBT"));
        assert!(behind.ends_with(b"VBT-END."));
        let sum = behind[SIZE..]
            .iter()
            .fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        assert_eq!(sum, 0);
    }

    #[test]
    fn impossible_ones_are_refused() {
        let old = opregion("version = [2, 0]\nextended_vbt = \"9K\"\n");
        assert!(check(&old).is_err());
        let nothing = opregion("version = [2, 0]\nreserved = true\n");
        assert!(check(&nothing).is_err());
        let large = opregion("version = [2, 1]\nextended_vbt = \"64K\"\n");
        assert!(check(&large).is_err());
    }
}
