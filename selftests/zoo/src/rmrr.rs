// SPDX-License-Identifier: GPL-2.0

//! Memory that firmware has reserved for a function (RMRR), in the ACPI table DMAR. QEMU makes that
//! table without any, and Xen's option `rmrr` takes 16 pages at most.
//!
//! When firmware reads the ROM of the function, QEMU's tables are in memory, and nobody has looked
//! at them. A longer DMAR goes behind the last of them, where QEMU leaves room.

use crate::dma::Dma;
use std::io;
use std::ops::Range;

/// Where firmware leaves the pointer to the tables.
const POINTERS: Range<u64> = 0xe_0000..0x10_0000;
const POINTER: &[u8] = b"RSD PTR ";
const HEADER: usize = 36;
const LENGTH: usize = 4;
const CHECKSUM: usize = 9;
/// More than QEMU's tables have.
const MOST: usize = 4096;

/// Adds `reserved` for the function 0 of `slot` on bus 0.
pub(crate) fn add(dma: &Dma, reserved: &Range<u64>, slot: u8) -> io::Result<()> {
    let pointer = POINTERS
        .step_by(16)
        .find(|at| {
            dma.read(*at, POINTER.len())
                .is_ok_and(|found| found == POINTER)
        })
        .ok_or_else(|| missing("pointer to ACPI tables"))?;
    let root_at = number(&dma.read(pointer + 16, 4)?);
    let mut root = table(dma, root_at, b"RSDT")?;
    let (index, mut dmar) = (HEADER..root.len())
        .step_by(4)
        .find_map(|index| {
            let at = number(root.get(index..index + 4)?);
            Some((index, table(dma, at, b"DMAR").ok()?))
        })
        .ok_or_else(|| missing("table DMAR"))?;
    dmar.extend(structure(reserved, slot));
    let length = dmar.len() as u32;
    dmar[LENGTH..LENGTH + 4].copy_from_slice(&length.to_le_bytes());
    let end = (root_at + root.len() as u64).next_multiple_of(16);
    if dma.read(end, dmar.len())?.iter().any(|byte| *byte != 0) {
        return Err(missing("room behind the ACPI tables"));
    }
    root[index..index + 4].copy_from_slice(&(end as u32).to_le_bytes());
    sum(&mut dmar);
    sum(&mut root);
    dma.write(end, &dmar)?;
    dma.write(root_at, &root)
}

fn missing(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no {what}"))
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn table(dma: &Dma, at: u64, signature: &[u8; 4]) -> io::Result<Vec<u8>> {
    let header = dma.read(at, HEADER)?;
    let length = number(&header[LENGTH..LENGTH + 4]) as usize;
    if !header.starts_with(signature) || !(HEADER..MOST).contains(&length) {
        return Err(missing("such table"));
    }
    dma.read(at, length)
}

/// The structure of an RMRR, with the function as its only scope.
fn structure(reserved: &Range<u64>, slot: u8) -> Vec<u8> {
    let mut bytes = vec![1, 0, 32, 0, 0, 0, 0, 0];
    bytes.extend(reserved.start.to_le_bytes());
    bytes.extend((reserved.end - 1).to_le_bytes());
    bytes.extend([1, 8, 0, 0, 0, 0, slot, 0]);
    bytes
}

/// Makes the sum of all bytes 0.
fn sum(table: &mut [u8]) {
    table[CHECKSUM] = 0;
    let sum = table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    table[CHECKSUM] = sum.wrapping_neg();
}

#[cfg(test)]
mod tests {
    use super::{add, sum, table, HEADER, LENGTH};
    use crate::dma::Dma;

    fn made(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut table = signature.to_vec();
        table.resize(HEADER, 0);
        table.extend(body);
        let length = table.len() as u32;
        table[LENGTH..LENGTH + 4].copy_from_slice(&length.to_le_bytes());
        sum(&mut table);
        table
    }

    #[test]
    fn a_region_is_added() {
        let path = std::env::temp_dir().join(format!("zoo-rmrr-{}", std::process::id()));
        let file = std::fs::File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        file.set_len(0x20_0000).unwrap();
        let mut dma = Dma::default();
        dma.map(0, 0x20_0000, 0, true, file).unwrap();
        assert!(add(&dma, &(0x7000..0x9000), 2).is_err());
        dma.write(0xf_5ab0, b"RSD PTR \0BOCHS \0\x20\0\x12\0")
            .unwrap();
        dma.write(0x11_0000, &made(b"APIC", &[])).unwrap();
        dma.write(0x11_0100, &made(b"DMAR", &[7; 20])).unwrap();
        let root = made(b"RSDT", &[0, 0, 0x11, 0, 0, 1, 0x11, 0]);
        dma.write(0x12_0020, &root).unwrap();
        // No room.
        dma.write(0x12_0060, &[1]).unwrap();
        assert!(add(&dma, &(0x7000..0x9000), 2).is_err());
        dma.write(0x12_0060, &[0]).unwrap();
        add(&dma, &(0x7000..0x9000), 2).unwrap();
        let root = table(&dma, 0x12_0020, b"RSDT").unwrap();
        assert_eq!(root[HEADER + 4..], [0x50, 0, 0x12, 0]);
        let dmar = table(&dma, 0x12_0050, b"DMAR").unwrap();
        assert_eq!(dmar.len(), HEADER + 20 + 32);
        assert_eq!(dmar[HEADER + 28..HEADER + 30], [0x00, 0x70]);
        assert_eq!(dmar[HEADER + 36..HEADER + 38], [0xff, 0x8f]);
        for table in [root, dmar] {
            assert_eq!(
                table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)),
                0
            );
        }
    }
}
