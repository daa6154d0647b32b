// SPDX-License-Identifier: GPL-2.0

//! One function that lives: all its state, and what reads, writes and resets do to it.

use crate::answering::{not_ready, Answering};
use crate::capabilities::{build, Layout};
use crate::description::{Function, Register};
use crate::dma::Dma;
use crate::engine::{self, Action, Engine, Interrupt};
use crate::facts::{Counters, Report};
use crate::interrupts::Interrupts;
use crate::lies::Liar;
use crate::memory::Memory;
use crate::ne2000::Ne2000;
use crate::offset;
use crate::resets::{Effect, Kind};
use crate::rmrr;
use crate::rom;
use crate::wrong::Wrong;
use log::{info, warn};

const IO: u16 = 1;
const MEMORY: u16 = 1 << 1;
const BUS_MASTER: u16 = 1 << 2;
const INTX_DISABLE: u16 = 1 << 10;
const FLR: u16 = 1 << 15;
/// In PM control: from D3hot to D0 the function keeps its state.
const NO_SOFT_RESET: u16 = 1 << 3;
/// Where firmware writes the address of stolen memory.
const BDSM: usize = 0x5c;

/// A function. The layout is as at power-on, but for its configuration space, which is now.
pub struct Animal {
    pub name: String,
    pub description: Function,
    layout: Layout,
    bars: [Memory; 6],
    rom: Vec<u8>,
    engine: Engine,
    ne2000: Option<Ne2000>,
    liar: Liar,
    /// Somebody has enabled it since power-on.
    used: bool,
    /// The size of the memory that firmware has yet to reserve at BDSM, and the slot.
    pub reserves: Option<(u64, u8)>,
    pub dma: Dma,
    pub interrupts: Interrupts,
    pub answering: Answering,
    pub facts: Counters,
}

impl Animal {
    /// A function that was just switched on.
    pub fn new(name: String, description: Function, integrated: bool) -> Result<Animal, Wrong> {
        let mut animal = Animal {
            layout: build(&description, integrated)?,
            rom: rom::contents(&description),
            name,
            description,
            bars: Default::default(),
            engine: Engine::default(),
            ne2000: None,
            liar: Liar::default(),
            used: false,
            reserves: None,
            dma: Dma::default(),
            interrupts: Interrupts::default(),
            answering: Answering::default(),
            facts: Counters::default(),
        };
        animal.power_on();
        Ok(animal)
    }

    /// Everything as at power-on, except for the facts.
    pub fn power_on(&mut self) {
        self.start();
        self.dma.clear();
        self.interrupts = Interrupts::default();
    }

    /// The registers and the behaviour as at power-on.
    fn start(&mut self) {
        self.clear();
        for register in self.description.registers.clone() {
            self.set_register(&register, register.value);
        }
        self.liar = Liar::default();
        self.answering = Answering::default();
        self.used = false;
    }

    fn clear(&mut self) {
        self.layout.config.reset();
        self.bars.iter_mut().for_each(Memory::clear);
        self.engine = Engine::default();
        let ne2000 = self.description.ne2000.as_ref();
        self.ne2000 = ne2000.map(|at| Ne2000::new(at.mac));
        self.interrupts.level = false;
    }

    /// A reset of any kind has come. QEMU resets the bus of the whole machine when that is switched
    /// on, before anybody has enabled the function: nothing to count, and nobody has to wait.
    pub fn reset(&mut self, kind: Kind) {
        if kind == Kind::Bus && !self.used {
            info!("{}: power-on", self.name);
            self.start();
            return;
        }
        self.facts.resets.count(kind);
        info!(
            "{}: reset {kind:?}, tattoo {:#x}",
            self.name, self.engine.tattoo
        );
        if self.description.resets.effect(kind) == Effect::Ignore {
            return;
        }
        let registers = self.description.registers.clone();
        let values: Vec<u32> = registers
            .iter()
            .map(|register| register.after(kind, self.register(register)))
            .collect();
        self.clear();
        for (register, value) in registers.iter().zip(values) {
            self.set_register(register, value);
        }
        self.liar.reset();
        self.answering.reset(&self.description.after_reset, kind);
    }

    fn register(&self, register: &Register) -> u32 {
        match (register.config, register.bar) {
            (Some(at), _) => self.layout.config.read32(at.into()),
            (None, Some(bar)) => self.bars[usize::from(bar)].read32(register.offset),
            (None, None) => 0,
        }
    }

    fn set_register(&mut self, register: &Register, value: u32) {
        match (register.config, register.bar) {
            (Some(at), _) => self.layout.config.set32(at.into(), value),
            (None, Some(bar)) => {
                self.bars[usize::from(bar)].write(register.offset, &value.to_le_bytes());
            }
            (None, None) => {}
        }
    }

    /// A read of configuration space.
    pub fn read_config(&mut self, at: usize, data: &mut [u8]) {
        self.tick();
        if at == offset::PIN && data.len() == 1 {
            self.layout.config.read(at, data);
            return;
        }
        match self.answering.read(at, data.len()) {
            Answering::Truth => {
                self.layout.config.read(at, data);
                if self.interrupts.level && at <= offset::STATUS && offset::STATUS < at + data.len()
                {
                    data[offset::STATUS - at] |= 1 << 3;
                }
                let lies = &self.description.lies;
                self.liar.read(lies, &self.layout, at, data);
            }
            answer => not_ready(answer, at, data),
        }
    }

    /// A write to configuration space.
    pub fn write_config(&mut self, at: usize, data: &[u8]) {
        self.tick();
        let touches = |register: usize| at <= register && register < at + data.len();
        if touches(offset::COMMAND) {
            let low = data[offset::COMMAND - at];
            let high = data.get(offset::COMMAND + 1 - at).copied();
            let high = high.unwrap_or((self.layout.config.command() >> 8) as u8);
            let command = u16::from_le_bytes([low, high]);
            self.used |= command & (IO | MEMORY | BUS_MASTER) != 0;
            self.facts.command(command);
        }
        if self.answering != Answering::Truth {
            return;
        }
        let power = self.power_state();
        self.layout.config.write(at, data);
        if let Some(vpd) = self.layout.vpd.filter(|vpd| touches(vpd + 3)) {
            self.vital_product_data(vpd);
        }
        if power == 3 && self.power_state() == 0 && !self.keeps_state() {
            self.reset(Kind::Pm);
        }
        let has_flr = self.description.pcie.as_ref().is_some_and(|pcie| pcie.flr);
        let control = self.layout.pcie.map(|pcie| pcie + offset::PCIE_CONTROL + 1);
        if let Some(control) = control.filter(|&control| has_flr && touches(control)) {
            if (u16::from(data[control - at]) << 8) & FLR != 0 {
                self.reset(Kind::Flr);
            }
        }
        self.fire_intx();
    }

    fn power_control(&self) -> u16 {
        let control = self.layout.pm.map(|pm| pm + offset::PM_CONTROL);
        control.map_or(0, |control| self.layout.config.read16(control))
    }

    fn power_state(&self) -> u16 {
        self.power_control() & 3
    }

    fn keeps_state(&self) -> bool {
        self.power_control() & NO_SOFT_RESET != 0
    }

    /// The address was written: without the flag, the data is fetched and the flag set.
    fn vital_product_data(&mut self, vpd: usize) {
        let config = &mut self.layout.config;
        let address = config.read16(vpd + offset::VPD_ADDRESS);
        let text = self.description.vpd.as_ref().map_or("", |vpd| &vpd.text);
        if address & 0x8000 != 0 {
            config.set16(vpd + offset::VPD_ADDRESS, address & 0x7fff);
            return;
        }
        let mut data = [0; 4];
        for (byte, &from) in data
            .iter_mut()
            .zip(text.as_bytes().iter().skip(address.into()))
        {
            *byte = from;
        }
        config.set32(vpd + offset::VPD_DATA, u32::from_le_bytes(data));
        config.set16(vpd + offset::VPD_ADDRESS, address | 0x8000);
    }

    /// A read of a BAR, dword by dword where the zoo's registers are.
    pub fn read_bar(&mut self, bar: usize, at: u64, data: &mut [u8]) {
        self.tick();
        if self.answering != Answering::Truth || self.power_state() != 0 {
            data.fill(0xff);
            return;
        }
        if let Some(ne2000) = self.ne2000_at(bar) {
            ne2000.read(at, data);
            self.interrupt_of_ne2000();
            return;
        }
        self.bars[bar].read(at, data);
        let end = at + data.len() as u64;
        for dword in (at / 4 * 4..end).step_by(4) {
            let Some(register) = self.engine_register(bar, dword) else {
                continue;
            };
            let value = self.engine.read(register, &self.facts);
            if register == engine::RAISED {
                self.interrupts.level = false;
            }
            for (place, byte) in (dword..).zip(value.to_le_bytes()) {
                if (at..end).contains(&place) {
                    data[(place - at) as usize] = byte;
                }
            }
        }
    }

    /// A write to a BAR. The zoo's registers take whole dwords only.
    pub fn write_bar(&mut self, bar: usize, at: u64, data: &[u8]) {
        self.tick();
        if self.answering != Answering::Truth || self.power_state() != 0 {
            return;
        }
        if let Some(ne2000) = self.ne2000_at(bar) {
            ne2000.write(at, data);
            self.interrupt_of_ne2000();
            return;
        }
        self.bars[bar].write(at, data);
        if at % 4 != 0 {
            return;
        }
        for (dword, bytes) in (at..).step_by(4).zip(data.chunks_exact(4)) {
            let Some(register) = self.engine_register(bar, dword) else {
                continue;
            };
            let value = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            if register == engine::TATTOO {
                self.facts.tattoo_written = value;
            }
            let goes_on = self
                .description
                .engine
                .as_ref()
                .is_some_and(|at| at.goes_on);
            match self.engine.write(register, value, goes_on) {
                Some(Action::Dma) => self.do_dma(),
                Some(Action::Raise(interrupt)) => self.raise(interrupt),
                None => {}
            }
        }
    }

    fn ne2000_at(&mut self, bar: usize) -> Option<&mut Ne2000> {
        let at = self.description.ne2000.as_ref()?;
        self.ne2000.as_mut().filter(|_| usize::from(at.bar) == bar)
    }

    fn interrupt_of_ne2000(&mut self) {
        let high = self.ne2000.as_ref().is_some_and(Ne2000::interrupt);
        if high && !self.interrupts.level {
            self.raise(Interrupt::Intx);
        }
        self.interrupts.level = high;
    }

    fn engine_register(&self, bar: usize, at: u64) -> Option<u64> {
        let engine = self.description.engine.as_ref()?;
        let register = at.checked_sub(engine.offset)?;
        (usize::from(engine.bar) == bar && register < engine::LENGTH).then_some(register)
    }

    /// The contents of the ROM.
    pub fn read_rom(&mut self, at: u64, data: &mut [u8]) {
        if let Some((size, slot)) = self.reserves.take() {
            let start = self.layout.config.read32(BDSM).into();
            match rmrr::add(&self.dma, &(start..start + size), slot) {
                Ok(()) => info!("{}: {size:#x} bytes at {start:#x} are reserved", self.name),
                Err(error) => warn!("{}: nothing is reserved for it: {error}", self.name),
            }
        }
        for (at, byte) in (at..).zip(data) {
            *byte = self.rom.get(at as usize).copied().unwrap_or(0xff);
        }
    }

    fn do_dma(&mut self) {
        let (address, data) = (self.engine.address, self.engine.data.to_le_bytes());
        if self.layout.config.command() & BUS_MASTER == 0 {
            self.facts.dma_tried += 1;
        } else if self.dma.write(address, &data).is_ok() {
            self.facts.dma_done += 1;
        } else {
            self.facts.dma_failed += 1;
        }
    }

    /// Time passes: DMA that goes on does so, at each access and now and then.
    pub fn tick(&mut self) {
        if self.engine.running {
            self.do_dma();
        }
    }

    /// Raises an interrupt.
    pub fn raise(&mut self, interrupt: Interrupt) {
        self.facts.interrupts += 1;
        if !self.interrupts.raise(interrupt) {
            self.facts.interrupts_lost += 1;
        }
        self.fire_intx();
    }

    /// Lets INTx fire if it is high and nothing keeps it from that.
    pub fn fire_intx(&mut self) {
        let disabled = self.layout.config.command() & INTX_DISABLE != 0;
        self.interrupts.fire_intx(disabled);
    }

    /// What a test asks for.
    pub fn report(&self) -> Report {
        Report {
            facts: self.facts.clone(),
            tattoo: self.engine.tattoo,
            command: self.layout.config.command(),
            answers: self.answering == Answering::Truth,
            running: self.engine.running,
            packets: self.ne2000.as_ref().map_or(0, |ne2000| ne2000.sent),
            dma_mappings: self.dma.runs(),
        }
    }
}
