// SPDX-License-Identifier: GPL-2.0

//! What a file says of a card. `Documentation/zoo.rst` explains each field.

use crate::capabilities;
use crate::engine;
use crate::size::Size;
use serde::Deserialize;
use std::fmt;
use std::path::Path;

/// Why a description is refused.
#[derive(Debug)]
pub struct Wrong {
    /// Where, such as `function[0].msix.table.bar`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.field, self.problem, self.remedy)
    }
}

/// Makes a [`Wrong`].
pub fn wrong<T>(
    field: impl Into<String>,
    problem: impl Into<String>,
    remedy: impl Into<String>,
) -> Result<T, Wrong> {
    Err(Wrong {
        field: field.into(),
        problem: problem.into(),
        remedy: remedy.into(),
    })
}

/// One card, with a function or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Part of the root complex: no port above it.
    #[serde(default)]
    pub integrated: bool,
    #[serde(rename = "function")]
    pub functions: Vec<Function>,
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
    #[serde(default, rename = "register")]
    pub registers: Vec<Register>,
    #[serde(default)]
    pub resets: Resets,
    #[serde(default)]
    pub after_reset: AfterReset,
    #[serde(default)]
    pub lies: Lies,
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
    /// What a reset leaves in it; default: `value`.
    pub lost: Option<u32>,
    /// The resets that do not touch it.
    #[serde(default)]
    pub kept_by: Vec<Kind>,
}

/// Kinds of reset.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Function level reset, by the device control register.
    Flr,
    /// The reset of the bus above it, or of the slot.
    Bus,
    /// From D3hot to D0.
    Pm,
}

/// What a reset does.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    #[default]
    Clear,
    /// Nothing at all, whatever the capability promises.
    Ignore,
}

/// What each kind of reset does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resets {
    pub flr: Effect,
    pub bus: Effect,
    pub pm: Effect,
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

impl Card {
    /// Reads and checks a file. The error names it, the field and the remedy.
    pub fn read(path: &Path) -> Result<Card, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}; name a file in animals/", path.display()))?;
        Card::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Reads and checks the text of a file.
    pub fn parse(text: &str) -> Result<Card, String> {
        let card: Card = toml::from_str(text)
            .map_err(|error| format!("{error}Documentation/zoo.rst lists the fields"))?;
        card.check().map_err(|wrong| wrong.to_string())?;
        Ok(card)
    }

    fn check(&self) -> Result<(), Wrong> {
        if !(1..=8).contains(&self.functions.len()) {
            return wrong(
                "function",
                format!("a card has 1 to 8 functions, not {}", self.functions.len()),
                "add or remove [[function]] tables",
            );
        }
        for (index, function) in self.functions.iter().enumerate() {
            let at = |wrong: Wrong| Wrong {
                field: format!("function[{index}].{}", wrong.field),
                ..wrong
            };
            function.check().map_err(at)?;
            capabilities::build(function, self.integrated).map_err(at)?;
        }
        Ok(())
    }
}

impl Function {
    /// The BAR of that index.
    pub fn bar(&self, index: u8) -> Option<&Bar> {
        self.bars.iter().find(|bar| bar.index == index)
    }

    fn check(&self) -> Result<(), Wrong> {
        if matches!(self.vendor, 0 | 1 | 0xffff) {
            return wrong(
                "vendor",
                format!("{:#06x} means that there is no function", self.vendor),
                "give the vendor ID that lspci -n shows",
            );
        }
        if self.class > 0xff_ffff || self.class >> 16 == 6 {
            return wrong(
                "class",
                format!("{:#x} is not the class of an endpoint", self.class),
                "give base class, subclass and interface, such as 0x030000",
            );
        }
        if self.pin > 4 {
            return wrong(
                "pin",
                format!("there is no pin {}", self.pin),
                "1 is INTA, 4 is INTD, 0 is none",
            );
        }
        self.check_bars()?;
        if let Some(rom) = &self.rom {
            check_size("rom.size", rom.size, 2048, 16 << 20)?;
        }
        if let Some(msi) = &self.msi {
            if !msi.vectors.is_power_of_two() || msi.vectors > 32 {
                return wrong(
                    "msi.vectors",
                    format!("{} is not possible", msi.vectors),
                    "give 1, 2, 4, 8, 16 or 32",
                );
            }
        }
        if let Some(msix) = &self.msix {
            if !(1..=2048).contains(&msix.vectors) {
                return wrong(
                    "msix.vectors",
                    format!("{} is not possible", msix.vectors),
                    "give 1 to 2048",
                );
            }
            let vectors = u64::from(msix.vectors);
            self.check_place("msix.table", msix.table, 16 * vectors)?;
            self.check_place("msix.pba", msix.pba, vectors.div_ceil(64) * 8)?;
        }
        if let Some(engine) = &self.engine {
            self.check_inside("engine", engine.bar, engine.offset, engine::LENGTH)?;
        }
        for (number, register) in self.registers.iter().enumerate() {
            self.check_register(&format!("register[{number}]"), register)?;
        }
        if self.lies.ones_each == Some(0) {
            return wrong(
                "lies.ones_each",
                "it cannot be 0",
                "remove it, or give 2 or more",
            );
        }
        let after = &self.after_reset;
        if matches!(after.answer, Answer::Rrs | Answer::Ones) && after.reads == 0 {
            return wrong(
                "after_reset.reads",
                "it is missing",
                "say for how many reads it does not answer",
            );
        }
        Ok(())
    }

    fn check_bars(&self) -> Result<(), Wrong> {
        let mut used = [false; 6];
        for bar in &self.bars {
            let field = format!("bar[{}]", bar.index);
            let registers = if bar.kind == BarKind::Mem64 { 2 } else { 1 };
            let index = usize::from(bar.index);
            if index + registers > used.len() {
                return wrong(
                    field,
                    "there are BARs 0 to 5",
                    "a mem64 BAR takes two of them",
                );
            }
            for taken in &mut used[index..index + registers] {
                if std::mem::replace(taken, true) {
                    return wrong(
                        field,
                        "another BAR is there",
                        "change index; a mem64 BAR takes two",
                    );
                }
            }
            let field = format!("{field}.size");
            match bar.kind {
                BarKind::Io => check_size(&field, bar.size, 4, 256)?,
                BarKind::Mem32 => check_size(&field, bar.size, 16, 1 << 30)?,
                BarKind::Mem64 => check_size(&field, bar.size, 16, 1 << 40)?,
            }
        }
        Ok(())
    }

    fn check_place(&self, field: &str, place: InBar, length: u64) -> Result<(), Wrong> {
        if place.offset % 8 != 0 {
            return wrong(
                format!("{field}.offset"),
                format!("{:#x} is not aligned", place.offset),
                "give a multiple of 8",
            );
        }
        self.check_inside(field, place.bar, place.offset.into(), length)
    }

    fn check_inside(&self, field: &str, bar: u8, offset: u64, length: u64) -> Result<(), Wrong> {
        let Some(found) = self.bar(bar) else {
            return wrong(
                format!("{field}.bar"),
                format!("there is no BAR {bar}"),
                format!("add a [[function.bar]] with index = {bar}"),
            );
        };
        if offset % 4 != 0
            || offset
                .checked_add(length)
                .is_none_or(|end| end > found.size.0)
        {
            return wrong(
                format!("{field}.offset"),
                format!("{length} bytes at {offset:#x} do not fit into BAR {bar}"),
                "give a multiple of 4 below its size, or enlarge the BAR",
            );
        }
        Ok(())
    }

    fn check_register(&self, field: &str, register: &Register) -> Result<(), Wrong> {
        match (register.config, register.bar) {
            (Some(at), None) if at % 4 == 0 && (0x40..0x1000).contains(&at) => Ok(()),
            (Some(at), None) => wrong(
                format!("{field}.config"),
                format!("there can be no register at {at:#x}"),
                "give a multiple of 4 from 0x40 to 0xffc",
            ),
            (None, Some(bar)) => self.check_inside(field, bar, register.offset, 4),
            _ => wrong(
                field,
                "it has to be in configuration space or in a BAR",
                "give either config, or bar and offset",
            ),
        }
    }
}

fn check_size(field: &str, size: Size, least: u64, most: u64) -> Result<(), Wrong> {
    if size.0.is_power_of_two() && (least..=most).contains(&size.0) {
        return Ok(());
    }
    wrong(
        field,
        format!("{:#x} is not possible", size.0),
        format!("give a power of two from {least:#x} to {most:#x}"),
    )
}

#[cfg(test)]
mod tests {
    use super::Card;

    const GOOD: &str = "[[function]]\nvendor = 0x1234\ndevice = 1\nclass = 0x020000\n";

    fn refused(more: &str) -> String {
        Card::parse(&format!("{GOOD}{more}")).unwrap_err()
    }

    #[test]
    fn little_is_needed() {
        assert_eq!(Card::parse(GOOD).unwrap().functions.len(), 1);
    }

    #[test]
    fn errors_name_the_field_and_the_remedy() {
        let text = refused("[function.engine]\nbar = 2\n");
        assert!(
            text.contains("function[0].engine.bar: there is no BAR 2; add"),
            "{text}"
        );
        let text = refused("[[function.bar]]\nindex = 0\nkind = \"mem32\"\nsize = 100\n");
        assert!(
            text.contains("function[0].bar[0].size: 0x64 is not possible; give"),
            "{text}"
        );
        let text = refused("[[function.bar]]\nindex = 5\nkind = \"mem64\"\nsize = \"4K\"\n");
        assert!(text.contains("function[0].bar[5]"), "{text}");
        let text = refused("[function.after_reset]\nanswer = \"rrs\"\n");
        assert!(text.contains("after_reset.reads"), "{text}");
        assert!(refused("pin = 7\n").contains("pin"));
        assert!(refused("[function.msi]\nvectors = 3\n").contains("msi.vectors"));
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(refused("flr = true\n").contains("unknown field `flr`"));
        assert!(refused("[function.pcie]\nfrl = true\n").contains("unknown field `frl`"));
    }
}
