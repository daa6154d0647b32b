// SPDX-License-Identifier: GPL-2.0

//! What a file says of a card. `Documentation/zoo.rst` explains each field.

use crate::resets::{Kind, Resets};
use crate::size::Size;
use serde::Deserialize;

/// One card, with a function or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Part of the root complex: no port above it.
    #[serde(default)]
    pub integrated: bool,
    /// The slot of an integrated card.
    pub slot: Option<u8>,
    pub opregion: Option<OpRegion>,
    #[serde(rename = "function")]
    pub functions: Vec<Function>,
}

/// What firmware tells the driver of an Intel GPU, in memory whose address it writes to ASLS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpRegion {
    /// Major and minor.
    pub version: [u8; 2],
    /// The size of a video BIOS table outside of it, for version 2.1 and later.
    pub extended_vbt: Option<Size>,
    /// The size of stolen memory, whose address firmware writes to BDSM.
    pub stolen: Option<Size>,
    /// Firmware reserves stolen memory for the GPU (RMRR).
    #[serde(default)]
    pub reserved: bool,
}

/// One function.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    pub vendor: u16,
    pub device: u16,
    /// Base class, subclass and interface: 0x030000 is a VGA controller.
    pub class: u32,
    #[serde(default)]
    pub revision: u8,
    /// Vendor and device of the subsystem.
    #[serde(default)]
    pub subsystem: [u16; 2],
    /// Interrupt pin, 1 (INTA) to 4 (INTD); 0: none.
    #[serde(default)]
    pub pin: u8,
    pub pcie: Option<Pcie>,
    pub pm: Option<Pm>,
    pub msi: Option<Msi>,
    pub msix: Option<Msix>,
    pub vpd: Option<Vpd>,
    pub ea: Option<Ea>,
    pub aer: Option<Aer>,
    #[serde(default, rename = "capability")]
    pub capabilities: Vec<RawCapability>,
    #[serde(default, rename = "extended")]
    pub extended: Vec<RawExtended>,
    #[serde(default, rename = "bar")]
    pub bars: Vec<Bar>,
    pub rom: Option<Rom>,
    pub engine: Option<EngineAt>,
    pub ne2000: Option<Ne2000At>,
    #[serde(default, rename = "register")]
    pub registers: Vec<Register>,
    #[serde(default)]
    pub resets: Resets,
    #[serde(default)]
    pub after_reset: AfterReset,
    #[serde(default)]
    pub lies: Lies,
}

impl Function {
    /// The BAR of that index.
    pub fn bar(&self, index: u8) -> Option<&Bar> {
        self.bars.iter().find(|bar| bar.index == index)
    }
}

/// PCI Express capability.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pcie {
    #[serde(default)]
    pub flr: bool,
    pub at: Option<u16>,
}

/// Power management capability.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pm {
    /// From D3hot to D0 it keeps its registers: no reset.
    #[serde(default)]
    pub no_soft_reset: bool,
    /// Software can write that bit.
    #[serde(default)]
    pub fickle: bool,
    pub at: Option<u16>,
}

/// MSI capability, with 64-bit addresses.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Msi {
    pub vectors: u8,
    #[serde(default)]
    pub maskable: bool,
    pub at: Option<u16>,
}

/// MSI-X capability.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Msix {
    pub vectors: u16,
    pub table: InBar,
    pub pba: InBar,
    pub at: Option<u16>,
}

/// A place in a BAR.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InBar {
    pub bar: u8,
    pub offset: u32,
}

/// Vital product data: any text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vpd {
    pub text: String,
    pub at: Option<u16>,
}

/// Enhanced allocation: the dwords of each entry as they are in the capability.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ea {
    pub entries: Vec<Vec<u32>>,
    pub at: Option<u16>,
}

/// Advanced error reporting.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aer {
    pub at: Option<u16>,
}

/// Any other capability: what follows its ID and link.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCapability {
    pub id: u8,
    #[serde(default)]
    pub bytes: Vec<u8>,
    pub at: Option<u16>,
}

/// Any other extended capability: what follows its header.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawExtended {
    pub id: u16,
    #[serde(default = "one")]
    pub version: u8,
    #[serde(default)]
    pub bytes: Vec<u8>,
    pub at: Option<u16>,
}

fn one() -> u8 {
    1
}

/// What a BAR addresses.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum BarKind {
    Mem32,
    Mem64,
    Io,
}

/// A BAR.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bar {
    pub index: u8,
    pub kind: BarKind,
    pub size: Size,
    #[serde(default)]
    pub prefetchable: bool,
}

/// An expansion ROM that does nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rom {
    pub size: Size,
}

/// Where the registers of the zoo itself are: tattoo, DMA, interrupts, counts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineAt {
    pub bar: u8,
    #[serde(default)]
    pub offset: u64,
    /// Once told to do DMA, it goes on until a reset.
    #[serde(default)]
    pub goes_on: bool,
}

/// Where the registers of an NE2000 are: all of a BAR.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ne2000At {
    pub bar: u8,
    pub mac: [u8; 6],
}

/// A register of the vendor's, of 32 bits: in configuration space or in a BAR.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    pub config: Option<u16>,
    pub bar: Option<u8>,
    #[serde(default)]
    pub offset: u64,
    /// At power-on, as if firmware had written it.
    #[serde(default)]
    pub value: u32,
    /// Software cannot write it.
    #[serde(default)]
    pub read_only: bool,
    /// What a reset leaves in it; default: `value`.
    pub lost: Option<u32>,
    /// The resets that do not touch it.
    #[serde(default)]
    pub kept_by: Vec<Kind>,
}

impl Register {
    /// The value after a reset, if it was `now` before.
    pub fn after(&self, kind: Kind, now: u32) -> u32 {
        match self.kept_by.contains(&kind) {
            true => now,
            false => self.lost.unwrap_or(self.value),
        }
    }
}

/// How a function answers reads.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    #[default]
    AtOnce,
    /// Request retry status: vendor 0x0001, all ones else.
    Rrs,
    /// All ones.
    Ones,
    /// All ones for ever.
    Never,
}

/// How it answers after a reset.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AfterReset {
    pub answer: Answer,
    /// So many reads of configuration space.
    pub reads: u32,
    /// After these kinds of reset.
    pub by: Vec<Kind>,
}

impl Default for AfterReset {
    fn default() -> Self {
        AfterReset {
            answer: Answer::AtOnce,
            reads: 0,
            by: vec![Kind::Flr, Kind::Bus, Kind::Pm],
        }
    }
}

/// What it lies about.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lies {
    /// The last capability links to the first.
    pub capability_loop: bool,
    /// Each time a BAR is sized it has half the size, or all of it again.
    pub bar_sizes: bool,
    /// Of so many reads of configuration space, the last one is all ones.
    pub ones_each: Option<u32>,
    /// The device ID after a reset.
    pub device_after_reset: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::{Kind, Register};

    #[test]
    fn registers_are_kept_or_lost() {
        let text = "config = 0xf0\nvalue = 5\nlost = 0\nkept_by = [\"flr\"]\n";
        let register: Register = toml::from_str(text).unwrap();
        assert_eq!(register.after(Kind::Flr, 7), 7);
        assert_eq!(register.after(Kind::Bus, 7), 0);
        let register = Register {
            lost: None,
            ..register
        };
        assert_eq!(register.after(Kind::Bus, 7), 5);
    }
}
