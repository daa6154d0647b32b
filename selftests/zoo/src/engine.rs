// SPDX-License-Identifier: GPL-2.0

//! The registers of the zoo itself, in a BAR: a tattoo, DMA, interrupts, and the facts that a
//! test in dom0 reads without another channel.

use crate::facts::Counters;

/// Bytes that the registers take.
pub const LENGTH: u64 = 0x40;

/// "ZOO1", at [`SIGNATURE`].
pub const MAGIC: u32 = 0x314f_4f5a;

/// Read: [`MAGIC`].
pub const SIGNATURE: u64 = 0x00;
/// Read and write: a value that resets clear.
pub const TATTOO: u64 = 0x04;
/// Read and write: the bus address for DMA, two registers.
pub const ADDRESS: u64 = 0x08;
/// Read and write: the 32 bits that DMA writes.
pub const DATA: u64 = 0x10;
/// Write 1: DMA once; 2: again and again until a reset. Read: whether it goes on.
pub const GO: u64 = 0x14;
/// Write: raise an interrupt: the kind (0 INTx, 1 MSI, 2 MSI-X) in bits 16 and up, and the vector.
pub const RAISE: u64 = 0x18;
/// Read: how many interrupts were raised; lowers INTx.
pub const RAISED: u64 = 0x1c;
/// Read: resets by FLR; by the bus; from D3hot to D0.
pub const RESETS: u64 = 0x20;
/// Read: writes to COMMAND.
pub const COMMANDS: u64 = 0x2c;
/// Read: DMA done; tried without bus mastering; failed, as the IOMMU maps nothing there.
pub const DMA: u64 = 0x30;

/// A kind of interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    Intx,
    Msi(u16),
    Msix(u16),
}

/// What a write to a register makes the function do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Dma,
    Raise(Interrupt),
}

/// The registers that hold something.
#[derive(Debug, Default)]
pub struct Engine {
    pub tattoo: u32,
    pub address: u64,
    pub data: u32,
    /// DMA goes on.
    pub running: bool,
}

impl Engine {
    /// Reads a register. [`RAISED`] lowers INTx, which is up to the caller.
    pub fn read(&self, register: u64, facts: &Counters) -> u32 {
        match register {
            SIGNATURE => MAGIC,
            TATTOO => self.tattoo,
            ADDRESS => self.address as u32,
            0x0c => (self.address >> 32) as u32,
            DATA => self.data,
            GO => self.running.into(),
            RAISED => facts.interrupts,
            RESETS => facts.resets.flr,
            0x24 => facts.resets.bus,
            0x28 => facts.resets.pm,
            COMMANDS => facts.command_writes,
            DMA => facts.dma_done,
            0x34 => facts.dma_tried,
            0x38 => facts.dma_failed,
            _ => 0,
        }
    }

    /// Writes a register.
    pub fn write(&mut self, register: u64, value: u32, goes_on: bool) -> Option<Action> {
        match register {
            TATTOO => self.tattoo = value,
            ADDRESS => self.address = self.address & !0xffff_ffff | u64::from(value),
            0x0c => self.address = self.address & 0xffff_ffff | (u64::from(value) << 32),
            DATA => self.data = value,
            GO if value == 1 || value == 2 => {
                self.running |= value == 2 || goes_on;
                return Some(Action::Dma);
            }
            RAISE => {
                return match value >> 16 {
                    0 => Some(Action::Raise(Interrupt::Intx)),
                    1 => Some(Action::Raise(Interrupt::Msi(value as u16))),
                    2 => Some(Action::Raise(Interrupt::Msix(value as u16))),
                    _ => None,
                }
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_hold_values() {
        let mut engine = Engine::default();
        let facts = Counters::default();
        assert_eq!(engine.write(TATTOO, 7, false), None);
        engine.write(0x0c, 1, false);
        engine.write(ADDRESS, 0x1000, false);
        assert_eq!(engine.read(TATTOO, &facts), 7);
        assert_eq!(engine.address, 0x1_0000_1000);
        assert_eq!(engine.read(SIGNATURE, &facts), MAGIC);
    }

    #[test]
    fn dma_and_interrupts_are_ordered() {
        let mut engine = Engine::default();
        assert_eq!(engine.write(GO, 1, false), Some(Action::Dma));
        assert!(!engine.running);
        assert_eq!(engine.write(GO, 1, true), Some(Action::Dma));
        assert!(engine.running);
        let raise = engine.write(RAISE, 0x0002_0003, false);
        assert_eq!(raise, Some(Action::Raise(Interrupt::Msix(3))));
        assert_eq!(engine.write(RAISE, 0x0003_0000, false), None);
    }
}
