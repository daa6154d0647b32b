// SPDX-License-Identifier: GPL-2.0

//! Configuration space: 4 KiB of registers, the bits of them that software can write, and their
//! values at power-on.
//!
//! What a program sees through QEMU is not all of it. QEMU asks us at each read, and then puts its
//! own bits over: all of the BARs, of the ROM's BAR, of MSI and of MSI-X, the links of both
//! capability lists, the bit of the header type for several functions and the bit of STATUS for a
//! capability list. Everything else comes from here: IDs, class, COMMAND, the pin, power
//! management, PCI Express, AER, and vendor registers. QEMU hands on every write, those to its own
//! registers too.
//!
//! So a function level reset clears our BARs but not QEMU's: its own survive, and MSI-X stays
//! enabled there. A reset of the bus clears both.

use crate::offset;
use crate::place::Part;

/// Bytes of configuration space.
pub const SIZE: usize = 4096;

/// The registers of one function.
#[derive(Clone, Debug)]
pub struct Config {
    now: Vec<u8>,
    power_on: Vec<u8>,
    writable: Vec<u8>,
    clears: Vec<u8>,
}

impl Config {
    pub(crate) fn new() -> Config {
        Config {
            now: vec![0; SIZE],
            power_on: vec![0; SIZE],
            writable: vec![0; SIZE],
            clears: vec![0; SIZE],
        }
    }

    pub(crate) fn add(&mut self, at: usize, part: &Part) {
        let all = at..at + part.bytes.len();
        self.now[all.clone()].copy_from_slice(&part.bytes);
        self.writable[all.clone()].copy_from_slice(&part.writable);
        self.clears[all].copy_from_slice(&part.clears);
    }

    pub(crate) fn allow(&mut self, at: usize, bits: &[u8]) {
        self.writable[at..at + bits.len()].copy_from_slice(bits);
    }

    pub(crate) fn allow_clear(&mut self, at: usize, bits: &[u8]) {
        self.clears[at..at + bits.len()].copy_from_slice(bits);
    }

    /// A register of the vendor's, all of whose bits software can write.
    pub(crate) fn register(&mut self, at: usize, value: u32) {
        self.set32(at, value);
        self.allow(at, &[0xff; 4]);
    }

    /// What it holds now is what it will hold at power-on.
    pub(crate) fn powered_on(mut self) -> Config {
        self.power_on.clone_from(&self.now);
        self
    }

    pub(crate) fn set8(&mut self, at: usize, value: u8) {
        self.now[at] = value;
    }

    pub(crate) fn set16(&mut self, at: usize, value: u16) {
        self.now[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn set32(&mut self, at: usize, value: u32) {
        self.now[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// The register of 32 bits at a multiple of 4.
    pub fn read32(&self, at: usize) -> u32 {
        u32::from(self.read16(at)) | (u32::from(self.read16(at + 2)) << 16)
    }

    /// The register of 16 bits at a multiple of 2.
    pub fn read16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.now[at], self.now[at + 1]])
    }

    /// COMMAND.
    pub fn command(&self) -> u16 {
        self.read16(offset::COMMAND)
    }

    /// Reads any bytes; what is behind the end is all ones.
    pub fn read(&self, at: usize, data: &mut [u8]) {
        data.fill(0xff);
        let count = data.len().min(SIZE.saturating_sub(at));
        data[..count].copy_from_slice(&self.now[at.min(SIZE)..][..count]);
    }

    /// Writes the bits that software can write.
    pub fn write(&mut self, at: usize, data: &[u8]) {
        for (at, &byte) in (at..SIZE).zip(data) {
            let old = self.now[at];
            let writable = self.writable[at];
            self.now[at] = (old & !writable | byte & writable) & !(byte & self.clears[at]);
        }
    }

    /// Everything as at power-on.
    pub fn reset(&mut self) {
        self.now.clone_from(&self.power_on);
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn only_writable_bits_change() {
        let mut config = Config::new();
        config.set16(0, 0x1234);
        config.register(0x40, 5);
        let mut config = config.powered_on();
        config.write(0, &[0xff; 2]);
        config.write(0x40, &[7, 0]);
        assert_eq!((config.read16(0), config.read32(0x40)), (0x1234, 7));
        config.reset();
        assert_eq!(config.read32(0x40), 5);
    }

    #[test]
    fn bits_are_cleared_by_ones() {
        let mut config = Config::new();
        config.allow_clear(6, &[0, 0xf9]);
        config.set16(6, 0xf910);
        config.write(6, &[0xff, 0x81]);
        assert_eq!(config.read16(6), 0x7810);
    }

    #[test]
    fn behind_the_end_is_nothing() {
        let mut data = [0; 8];
        Config::new().read(4092, &mut data);
        assert_eq!(data, [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        Config::new().read(5000, &mut data);
        Config::new().write(4094, &data);
    }
}
