// SPDX-License-Identifier: GPL-2.0

//! Reads the file of a card, and refuses what no card can be.

use crate::capabilities;
use crate::description::{Answer, BarKind, Card, Function, InBar, Register};
use crate::engine;
use crate::ne2000;
use crate::opregion;
use crate::size::Size;
use crate::wrong::{wrong, Wrong};
use std::path::Path;

/// Reads and checks a file. The error names it, the field and the remedy.
pub fn read(path: &Path) -> Result<Card, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{}: {error}; name a file in animals/", path.display()))?;
    parse(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Reads and checks the text of a file.
pub fn parse(text: &str) -> Result<Card, String> {
    let card: Card = toml::from_str(text)
        .map_err(|error| format!("{error}Documentation/zoo.rst lists the fields"))?;
    check_card(&card).map_err(|wrong| wrong.to_string())?;
    Ok(card)
}

fn check_card(card: &Card) -> Result<(), Wrong> {
    if !(1..=8).contains(&card.functions.len()) {
        return wrong(
            "function",
            format!("a card has 1 to 8 functions, not {}", card.functions.len()),
            "add or remove [[function]] tables",
        );
    }
    if let Some(slot) = card.slot {
        if !card.integrated || !(1..=0x1e).contains(&slot) {
            return wrong(
                "slot",
                format!("{slot:#x} is not possible"),
                "give 1 to 0x1e, of a card with integrated = true",
            );
        }
    }
    if let Some(opregion) = &card.opregion {
        opregion::check(opregion)?;
    }
    for (index, function) in card.functions.iter().enumerate() {
        let at = |wrong: Wrong| Wrong {
            field: format!("function[{index}].{}", wrong.field),
            ..wrong
        };
        check_function(function).map_err(at)?;
        capabilities::build(function, card.integrated).map_err(at)?;
    }
    Ok(())
}

fn check_function(function: &Function) -> Result<(), Wrong> {
    if matches!(function.vendor, 0 | 1 | 0xffff) {
        return wrong(
            "vendor",
            format!("{:#06x} means that there is no function", function.vendor),
            "give the vendor ID that lspci -n shows",
        );
    }
    if function.class > 0xff_ffff || function.class >> 16 == 6 {
        return wrong(
            "class",
            format!("{:#x} is not the class of an endpoint", function.class),
            "give base class, subclass and interface, such as 0x030000",
        );
    }
    if function.pin > 4 {
        return wrong(
            "pin",
            format!("there is no pin {}", function.pin),
            "1 is INTA, 4 is INTD, 0 is none",
        );
    }
    check_bars(function)?;
    if let Some(rom) = &function.rom {
        check_size("rom.size", rom.size, 2048, 16 << 20)?;
    }
    if let Some(msi) = &function.msi {
        if !msi.vectors.is_power_of_two() || msi.vectors > 32 {
            return wrong(
                "msi.vectors",
                format!("{} is not possible", msi.vectors),
                "give 1, 2, 4, 8, 16 or 32",
            );
        }
    }
    if let Some(msix) = &function.msix {
        if !(1..=2048).contains(&msix.vectors) {
            return wrong(
                "msix.vectors",
                format!("{} is not possible", msix.vectors),
                "give 1 to 2048",
            );
        }
        let vectors = u64::from(msix.vectors);
        check_place(function, "msix.table", msix.table, 16 * vectors)?;
        check_place(function, "msix.pba", msix.pba, vectors.div_ceil(64) * 8)?;
    }
    if let Some(engine) = &function.engine {
        check_inside(
            function,
            "engine",
            engine.bar,
            engine.offset,
            engine::LENGTH,
        )?;
    }
    if let Some(ne2000) = &function.ne2000 {
        check_inside(function, "ne2000", ne2000.bar, 0, ne2000::LENGTH)?;
    }
    for (number, register) in function.registers.iter().enumerate() {
        check_register(function, &format!("register[{number}]"), register)?;
    }
    if function.lies.ones_each == Some(0) {
        return wrong(
            "lies.ones_each",
            "it cannot be 0",
            "remove it, or give 2 or more",
        );
    }
    let after = &function.after_reset;
    if matches!(after.answer, Answer::Rrs | Answer::Ones) && after.reads == 0 {
        return wrong(
            "after_reset.reads",
            "it is missing",
            "say for how many reads it does not answer",
        );
    }
    Ok(())
}

fn check_bars(function: &Function) -> Result<(), Wrong> {
    let mut used = [false; 6];
    for bar in &function.bars {
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

fn check_place(function: &Function, field: &str, place: InBar, length: u64) -> Result<(), Wrong> {
    if place.offset % 8 != 0 {
        return wrong(
            format!("{field}.offset"),
            format!("{:#x} is not aligned", place.offset),
            "give a multiple of 8",
        );
    }
    check_inside(function, field, place.bar, place.offset.into(), length)
}

fn check_inside(
    function: &Function,
    field: &str,
    bar: u8,
    offset: u64,
    length: u64,
) -> Result<(), Wrong> {
    let Some(found) = function.bar(bar) else {
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

fn check_register(function: &Function, field: &str, register: &Register) -> Result<(), Wrong> {
    match (register.config, register.bar) {
        (Some(at), None) if at % 4 == 0 && (0x40..0x1000).contains(&at) => Ok(()),
        (Some(at), None) => wrong(
            format!("{field}.config"),
            format!("there can be no register at {at:#x}"),
            "give a multiple of 4 from 0x40 to 0xffc",
        ),
        (None, Some(_)) if register.read_only => wrong(
            format!("{field}.read_only"),
            "a register in a BAR can be written",
            "remove it",
        ),
        (None, Some(bar)) => check_inside(function, field, bar, register.offset, 4),
        _ => wrong(
            field,
            "it has to be in configuration space or in a BAR",
            "give either config, or bar and offset",
        ),
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
    use super::parse;

    const GOOD: &str = "[[function]]\nvendor = 0x1234\ndevice = 1\nclass = 0x020000\n";

    fn refused(more: &str) -> String {
        parse(&format!("{GOOD}{more}")).unwrap_err()
    }

    #[test]
    fn little_is_needed() {
        assert_eq!(parse(GOOD).unwrap().functions.len(), 1);
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
