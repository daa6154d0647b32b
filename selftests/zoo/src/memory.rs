// SPDX-License-Identifier: GPL-2.0

//! The memory behind a BAR: as large as it says, but only pages that were written take room.

use std::collections::BTreeMap;

const PAGE: u64 = 4096;

/// Memory that is zero until it is written.
#[derive(Debug, Default)]
pub struct Memory {
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl Memory {
    /// Reads any bytes.
    pub fn read(&self, at: u64, data: &mut [u8]) {
        for (at, byte) in (at..).zip(data) {
            let page = self.pages.get(&(at / PAGE));
            *byte = page.map_or(0, |page| page[(at % PAGE) as usize]);
        }
    }

    /// Writes any bytes.
    pub fn write(&mut self, at: u64, data: &[u8]) {
        for (at, &byte) in (at..).zip(data) {
            let page = self.pages.entry(at / PAGE);
            let page = page.or_insert_with(|| vec![0; PAGE as usize].into());
            page[(at % PAGE) as usize] = byte;
        }
    }

    /// A register of 32 bits.
    pub fn read32(&self, at: u64) -> u32 {
        let mut data = [0; 4];
        self.read(at, &mut data);
        u32::from_le_bytes(data)
    }

    /// All zero again.
    pub fn clear(&mut self) {
        self.pages.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn pages_come_when_written() {
        let mut memory = Memory::default();
        memory.write(4094, &[1, 2, 3, 4]);
        assert_eq!(
            (memory.read32(4094), memory.read32(1 << 39)),
            (0x0403_0201, 0)
        );
        assert_eq!(memory.pages.len(), 2);
        memory.clear();
        assert_eq!(memory.read32(4094), 0);
    }
}
