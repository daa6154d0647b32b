// SPDX-License-Identifier: GPL-2.0

//! What was done to a function: what a test asks for. No reset clears it.

use crate::resets::Kind;
use serde::Serialize;

/// How often each kind of reset came, whether it did anything or not.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Count {
    pub flr: u32,
    pub bus: u32,
    pub pm: u32,
}

impl Count {
    /// One more.
    pub fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Flr => self.flr += 1,
            Kind::Bus => self.bus += 1,
            Kind::Pm => self.pm += 1,
        }
    }
}

/// The counts of one function.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counters {
    /// How often a client (QEMU) has gone, which is a power cycle.
    pub disconnections: u32,
    pub resets: Count,
    /// Writes to COMMAND, and the last ones.
    pub command_writes: u32,
    pub commands: Vec<u16>,
    pub dma_done: u32,
    /// Without bus mastering.
    pub dma_tried: u32,
    /// Where nothing is mapped.
    pub dma_failed: u32,
    pub interrupts: u32,
    /// Interrupts for which nobody listened.
    pub interrupts_lost: u32,
    /// The last tattoo that software wrote.
    pub tattoo_written: u32,
}

impl Counters {
    /// A write to COMMAND.
    pub fn command(&mut self, value: u16) {
        self.command_writes += 1;
        if self.commands.len() == 32 {
            self.commands.remove(0);
        }
        self.commands.push(value);
    }
}

/// The facts, with what a function is now.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub facts: Counters,
    pub tattoo: u32,
    pub command: u16,
    /// Whether reads are answered with the truth.
    pub answers: bool,
    /// Whether DMA goes on.
    pub running: bool,
    /// Packets that a NIC has sent since it was reset.
    pub packets: u32,
    /// Runs of guest memory that it can reach.
    pub dma_mappings: usize,
}
