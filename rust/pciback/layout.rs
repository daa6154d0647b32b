// SPDX-License-Identifier: GPL-2.0

//! Which of the rules in [`crate::registers`] apply to a function, by its BARs and capabilities.

use kernel::prelude::*;

use crate::{
    operation::Access,
    registers::{
        Rule,
        BARS,
        CAPABILITIES,
        CLOSED,
        COMMAND,
        HEADER,
        HIDDEN,
        ID,
        INTERRUPT,
        INTX_DISABLE,
        MSI,
        MSIX,
        MSIX_ENABLE,
        MSIX_MASK_ALL,
        MSI_ENABLE,
        ROM,
        SHOWN, //
    }, //
};

/// The configuration space of a function.
pub(crate) trait Config {
    fn read(&self, access: Access) -> Result<u32>;
    fn write(&self, access: Access, value: u32) -> Result;
}

/// What a virtual function (SR-IOV) has instead of registers, which read as ones and zeros.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Virtual {
    /// Vendor and device.
    pub(crate) ids: [u16; 2],
    /// The addresses in the BARs.
    pub(crate) starts: [u64; 6],
    /// The flags in the BARs: the lowest four bits.
    pub(crate) flags: [u8; 6],
}

impl Virtual {
    fn id(&self) -> u32 {
        let [vendor, device] = self.ids;
        u32::from(device) << 16 | u32::from(vendor)
    }

    /// Returns the registers of the BARs.
    fn bars(&self) -> [u32; 6] {
        let mut registers = [0; 6];
        let mut left = registers.iter_mut();
        let mut bars = self.starts.into_iter().zip(self.flags);
        while let (Some(register), Some((start, flags))) = (left.next(), bars.next()) {
            let flags = u32::from(flags & 0xf);
            // CAST: The halves of the address have a register each.
            *register = start as u32 | flags;
            if flags & TYPE == TYPE_64 {
                if let (Some(upper), Some(_)) = (left.next(), bars.next()) {
                    *upper = (start >> 32) as u32;
                }
            }
        }
        registers
    }
}

/// What has to be known of a function besides its configuration space.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traits {
    /// The lengths of the BARs, and of the ROM. 0: it has no register, or is not in use.
    pub(crate) lengths: [u64; 7],
    /// Of a virtual function.
    pub(crate) virtual_function: Option<Virtual>,
    /// What the guest sees as its interrupt line: the pirq of its INTx.
    pub(crate) line: u8,
    /// Whether the guest writes registers that no table names.
    pub(crate) is_permissive: bool,
    /// Whether the guest enables its interrupts in the function itself.
    pub(crate) controls_interrupts: bool,
}

/// The rules for a function.
pub(crate) struct Layout {
    /// Registers, each once.
    pub(crate) rules: KVec<(u16, Rule)>,
    /// The number of entries of the MSI-X table that the guest sees.
    pub(crate) msix_entries: u16,
    /// Each kind of interrupts that the function has.
    pub(crate) switches: KVec<Switch>,
}

/// What enables a kind of interrupts: a bit of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Switch {
    pub(crate) register: u16,
    pub(crate) bit: u32,
    /// What the bit is while the kind is enabled.
    pub(crate) on: bool,
}

/// As many capabilities as there is space for.
const MOST_CAPABILITIES: u16 = 48;
const MOST_EXTENDED: u16 = 480;
/// The bits of a BAR that tell I/O from memory and give the width of a memory BAR, and their value
/// for one of 64 bits: the next register holds the upper half of the address.
const TYPE: u32 = 0x7;
const TYPE_64: u32 = 0x4;
/// The bits of [`INTERRUPT`] that name the pin: 0 if the function has none.
const PIN: u32 = 0xff00;
/// Where extended configuration space begins.
const EXTENDED: u16 = 0x100;

impl Layout {
    /// Finds the rules for a function. Errors: `ENOMEM`; else those of `config`.
    pub(crate) fn new(config: &impl Config, traits: &Traits) -> Result<Self> {
        let mut layout = Self {
            rules: KVec::new(),
            msix_entries: 0,
            switches: KVec::new(),
        };
        // A function without a pin need not have the bit.
        if read(config, INTERRUPT)? & PIN != 0 {
            layout.add_switch(COMMAND, INTX_DISABLE, false)?;
        }
        if let Some(function) = traits.virtual_function {
            let id = Rule {
                value: function.id(),
                ..HIDDEN
            };
            layout.add(ID, id)?;
        }
        for (register, rule) in HEADER {
            layout.add(*register, *rule)?;
        }
        let line = Rule {
            show: !0xff,
            value: traits.line.into(),
            ..SHOWN
        };
        layout.add(INTERRUPT, line)?;
        layout.add_bars(config, traits)?;
        layout.add_capabilities(config)?;
        layout.close_extended(config)?;
        if traits.controls_interrupts {
            layout.open_switches();
        }
        Ok(layout)
    }

    fn add_switch(&mut self, register: u16, bit: u32, on: bool) -> Result {
        let switch = Switch { register, bit, on };
        Ok(self.switches.push(switch, GFP_KERNEL)?)
    }

    /// Lets the guest write what enables its interrupts, and mask all MSI-X.
    fn open_switches(&mut self) {
        for switch in &self.switches {
            let found = self.rules.iter_mut().find(|(at, _)| *at == switch.register);
            if let Some((_, rule)) = found {
                let bits = match switch.bit {
                    MSIX_ENABLE => MSIX_ENABLE | MSIX_MASK_ALL,
                    bit => bit,
                };
                rule.show |= bits;
                rule.write |= bits;
                rule.shadow &= !bits;
            }
        }
    }

    /// Adds a rule, unless the register has one: a function's capabilities may overlap.
    fn add(&mut self, register: u16, rule: Rule) -> Result {
        if self.rules.iter().all(|(at, _)| *at != register) {
            self.rules.push((register, rule), GFP_KERNEL)?;
        }
        Ok(())
    }

    /// Guests see the addresses of the host, and learn the lengths as from a BAR: by writing ones.
    fn add_bars(&mut self, config: &impl Config, traits: &Traits) -> Result {
        const IO: u32 = 0x1;
        let [lengths @ .., rom] = &traits.lengths;
        let mut values = [0; 6];
        match traits.virtual_function {
            Some(function) => values = function.bars(),
            None => {
                for (value, register) in values.iter_mut().zip(BARS) {
                    *value = read(config, register)?;
                }
            }
        }
        let mut registers = BARS.into_iter().zip(values).zip(lengths);
        while let Some(((register, value), length)) = registers.next() {
            let flags = if value & IO != 0 { 0x3 } else { 0xf };
            let bits = address_bits(*length) & !flags;
            // CAST: The halves of the address have a register each.
            self.add(register, bar(value, bits, bits as u32))?;
            if value & TYPE == TYPE_64 {
                if let Some(((register, value), _)) = registers.next() {
                    self.add(register, bar(value, bits, (bits >> 32) as u32))?;
                }
            }
        }
        // The lowest bit enables it. In the function, it stays off.
        let bits = address_bits(*rom) & !0x7ff;
        let value = read(config, ROM)? & !1;
        self.add(ROM, bar(value, bits, bits as u32 | u32::from(bits != 0)))
    }

    fn add_capabilities(&mut self, config: &impl Config) -> Result {
        const HAS_LIST: u32 = 1 << 20;
        const FIRST: u16 = 0x34;
        if read(config, COMMAND)? & HAS_LIST == 0 {
            return Ok(());
        }
        // CAST: The pointers and identifiers are bytes.
        let mut at = read(config, FIRST)? as u8 & !3;
        for _ in 0..MOST_CAPABILITIES {
            if at < 0x40 {
                break;
            }
            let head = read(config, at.into())?;
            self.add_capability(at.into(), head as u8, head)?;
            at = (head >> 8) as u8 & !3;
        }
        Ok(())
    }

    fn add_capability(&mut self, at: u16, id: u8, head: u32) -> Result {
        match id {
            MSI => {
                self.add_switch(at, MSI_ENABLE, true)?;
                self.hide_message(at, head)?;
            }
            MSIX => {
                self.add_switch(at, MSIX_ENABLE, true)?;
                self.shorten_table(at, head)?;
            }
            _ => (),
        }
        let capability = CAPABILITIES.iter().find(|capability| capability.id == id);
        for (register, rule) in capability.into_iter().flat_map(|found| found.rules) {
            self.add(at.saturating_add(*register), *rule)?;
        }
        Ok(())
    }

    /// The address and the data of an MSI are Xen's.
    fn hide_message(&mut self, at: u16, head: u32) -> Result {
        const IS_64: u32 = 1 << 23;
        const HAS_MASKS: u32 = 1 << 24;
        let upper = u16::from(head & IS_64 != 0);
        let masks = u16::from(head & HAS_MASKS != 0);
        for register in (4..).step_by(4).take((2 + upper + 2 * masks).into()) {
            self.add(at.saturating_add(register), HIDDEN)?;
        }
        Ok(())
    }

    /// The last entry of an MSI-X table is not the guest's: see [`xen::vpci::Hold`]. A guest that
    /// has none left sees an empty capability.
    fn shorten_table(&mut self, at: u16, head: u32) -> Result {
        const SIZE: u32 = 0x07ff_0000;
        const ID: u32 = 0xff;
        // CAST: The number has 11 bits. It is one less than the size of the table.
        let entries = ((head & SIZE) >> 16) as u16;
        let (hidden, value) = match entries.checked_sub(1) {
            Some(last) => (SIZE, u32::from(last) << 16),
            None => (ID, 0),
        };
        if self.msix_entries == 0 {
            self.msix_entries = entries;
        }
        let rule = Rule {
            show: !hidden,
            value,
            ..SHOWN
        };
        self.add(at, rule)
    }

    fn close_extended(&mut self, config: &impl Config) -> Result {
        let mut at = EXTENDED;
        for _ in 0..MOST_EXTENDED {
            let head = match read(config, at) {
                // There is none if nobody reaches it, without MMCONFIG, but the function answers.
                Err(_) if at == EXTENDED && read(config, ID).is_ok() => break,
                head => head?,
            };
            if head == 0 || head == u32::MAX {
                break;
            }
            // CAST: The identifier is in the lower half, the pointer has 12 bits.
            let (id, next) = (head as u16, (head >> 20) as u16 & !3);
            let closed = CLOSED.iter().find(|(closed, _)| *closed == id);
            let registers = closed.map_or(0, |(_, registers)| *registers);
            for register in (at..).step_by(4).take(registers.into()) {
                self.add(register, SHOWN)?;
            }
            if next < EXTENDED {
                break;
            }
            at = next;
        }
        Ok(())
    }
}

fn read(config: &impl Config, register: u16) -> Result<u32> {
    config.read(Access::new(register.into(), 4).ok_or(EINVAL)?)
}

/// Returns the bits of an address that a BAR of this length has. None for what is no length.
fn address_bits(length: u64) -> u64 {
    if length.is_power_of_two() {
        length.wrapping_neg()
    } else {
        0
    }
}

/// Returns the rule for a register of a BAR. `value` is the register; the guest writes the bits
/// `shadow` of what it sees. A BAR without address bits reads as zero.
fn bar(value: u32, bits: u64, shadow: u32) -> Rule {
    Rule {
        shadow,
        value: if bits == 0 { 0 } else { value },
        ..HIDDEN
    }
}
