// SPDX-License-Identifier: GPL-2.0

//! Turns a description into configuration space: the header and the capabilities.

use crate::config::{Config, SIZE};
use crate::description::{BarKind, Function};
use crate::offset;
use crate::place::{place, Part, What};
use crate::wrong::{wrong, Wrong};

/// Where the capabilities are that do something.
#[derive(Clone, Debug)]
pub struct Layout {
    pub config: Config,
    pub pcie: Option<usize>,
    pub pm: Option<usize>,
    pub vpd: Option<usize>,
    /// Of the standard capabilities, in their order.
    pub places: Vec<usize>,
}

/// Lays out the configuration space of a function.
pub fn build(function: &Function, integrated: bool) -> Result<Layout, Wrong> {
    let mut config = Config::new();
    header(&mut config, function);
    let standard = place(standard_parts(function, integrated), 0x40..0x100)?;
    let extended = place(extended_parts(function), 0x100..SIZE)?;
    if let Some((at, part)) = extended.first().filter(|(at, _)| *at != 0x100) {
        return wrong(
            format!("{}.at", part.field),
            format!("the first extended capability is at {at:#x}"),
            "one has to be at 0x100",
        );
    }
    if !extended.is_empty() && function.pcie.is_none() {
        return wrong(
            "pcie",
            "only PCI Express functions have extended capabilities",
            "add [function.pcie]",
        );
    }
    let places: Vec<usize> = standard.iter().map(|(at, _)| *at).collect();
    for (index, (at, part)) in standard.iter().enumerate() {
        config.add(*at, part);
        config.set8(at + 1, places.get(index + 1).map_or(0, |&next| next as u8));
    }
    if let Some(&first) = places.first() {
        config.set8(offset::CAPABILITIES, first as u8);
        config.set8(offset::STATUS, 0x10);
    }
    for (index, (at, part)) in extended.iter().enumerate() {
        config.add(*at, part);
        let next = extended.get(index + 1).map_or(0, |(next, _)| *next as u16);
        let version = u16::from(part.bytes[2] & 0xf);
        config.set16(at + 2, version | (next << 4));
    }
    let find = |what| {
        let found = standard.iter().find(|(_, part)| part.what == what);
        found.map(|(at, _)| *at)
    };
    for (number, register) in function.registers.iter().enumerate() {
        if let Some(at) = register.config {
            let at = usize::from(at);
            let all = standard.iter().chain(&extended);
            let inside = all.clone().any(|(start, part)| {
                part.what != What::Other && at + 4 > *start && at < start + part.bytes.len()
            });
            if inside {
                return wrong(
                    format!("register[{number}].config"),
                    format!("a capability is at {at:#x}"),
                    "give a place outside of it, or in a raw capability",
                );
            }
            match register.read_only {
                true => config.set32(at, register.value),
                false => config.register(at, register.value),
            }
        }
    }
    Ok(Layout {
        pcie: find(What::Pcie),
        pm: find(What::Pm),
        vpd: find(What::Vpd),
        places,
        config: config.powered_on(),
    })
}

fn header(config: &mut Config, function: &Function) {
    config.set16(0, function.vendor);
    config.set16(2, function.device);
    config.set32(8, (function.class << 8) | u32::from(function.revision));
    config.set16(offset::SUBSYSTEM, function.subsystem[0]);
    config.set16(offset::SUBSYSTEM + 2, function.subsystem[1]);
    config.set8(offset::PIN, function.pin);
    // I/O, memory, bus master, parity, SERR, INTx disable; cache line, latency; interrupt line.
    config.allow(offset::COMMAND, &[0x47, 0x05]);
    config.allow_clear(offset::STATUS, &[0, 0xf9]);
    config.allow(0x0c, &[0xff, 0xff]);
    config.allow(0x3c, &[0xff]);
    for bar in &function.bars {
        let at = offset::BARS + 4 * usize::from(bar.index);
        let mask = !(bar.size.0 - 1);
        let prefetchable = u32::from(bar.prefetchable) << 3;
        match bar.kind {
            BarKind::Io => config.set32(at, 1),
            BarKind::Mem32 => config.set32(at, prefetchable),
            BarKind::Mem64 => {
                config.set32(at, 4 | prefetchable);
                config.allow(at + 4, &((mask >> 32) as u32).to_le_bytes());
            }
        }
        config.allow(at, &(mask as u32).to_le_bytes());
    }
    if let Some(rom) = &function.rom {
        let mask = !(rom.size.0 as u32 - 1) | 1;
        config.allow(offset::ROM, &mask.to_le_bytes());
    }
}

fn standard_parts(function: &Function, integrated: bool) -> Vec<Part> {
    let mut parts = Vec::new();
    if let Some(pcie) = &function.pcie {
        parts.push(pcie_part(pcie.flr, pcie.at, integrated));
    }
    if let Some(pm) = &function.pm {
        let mut bytes = vec![1, 0, 3, 0, 0, 0, 0, 0];
        bytes[4] = u8::from(pm.no_soft_reset) << 3;
        let part = Part::new("pm", What::Pm, pm.at, bytes);
        let states = 3 | (u8::from(pm.fickle) << 3);
        parts.push(part.can_write(4, &[states, 1]).can_clear(5, &[0x80]));
    }
    if let Some(msi) = &function.msi {
        let log = msi.vectors.trailing_zeros() as u8;
        let mut bytes = vec![0; if msi.maskable { 24 } else { 14 }];
        bytes[..4].copy_from_slice(&[5, 0, 0x80 | (log << 1), u8::from(msi.maskable)]);
        let part = Part::new("msi", What::Other, msi.at, bytes)
            .can_write(2, &[0x71])
            .can_write(4, &[0xfc, 0xff, 0xff, 0xff])
            .can_write(8, &[0xff; 6]);
        let all = u32::MAX >> (32 - u32::from(msi.vectors));
        parts.push(match msi.maskable {
            true => part.can_write(16, &all.to_le_bytes()),
            false => part,
        });
    }
    if let Some(msix) = &function.msix {
        let mut bytes = vec![0x11, 0];
        bytes.extend((msix.vectors - 1).to_le_bytes());
        for place in [msix.table, msix.pba] {
            bytes.extend((place.offset | u32::from(place.bar)).to_le_bytes());
        }
        parts.push(Part::new("msix", What::Other, msix.at, bytes).can_write(3, &[0xc0]));
    }
    if let Some(vpd) = &function.vpd {
        let part = Part::new("vpd", What::Vpd, vpd.at, vec![3, 0, 0, 0, 0, 0, 0, 0]);
        parts.push(part.can_write(2, &[0xff; 6]));
    }
    if let Some(ea) = &function.ea {
        let mut bytes = vec![0x14, 0, ea.entries.len() as u8 & 0x3f, 0];
        for dword in ea.entries.iter().flatten() {
            bytes.extend(dword.to_le_bytes());
        }
        parts.push(Part::new("ea", What::Other, ea.at, bytes));
    }
    for (number, raw) in function.capabilities.iter().enumerate() {
        let mut bytes = vec![raw.id, 0];
        bytes.extend(&raw.bytes);
        let field = format!("capability[{number}]");
        parts.push(Part::new(field, What::Other, raw.at, bytes));
    }
    parts
}

/// Version 2 of the capability, with a link of the first speed and one lane.
fn pcie_part(flr: bool, at: Option<u16>, integrated: bool) -> Part {
    let mut bytes = vec![0; 0x3c];
    bytes[0] = 0x10;
    // An endpoint, or one that is integrated into the root complex.
    bytes[2] = 2 | if integrated { 0x90 } else { 0 };
    let capabilities = (u32::from(flr) << 28) | (1 << 15);
    bytes[4..8].copy_from_slice(&capabilities.to_le_bytes());
    if !integrated {
        bytes[0x0c] = 0x11;
        bytes[0x12] = 0x11;
        bytes[0x2c] = 2;
        bytes[0x30] = 1;
    }
    Part::new("pcie", What::Pcie, at, bytes)
        .can_write(8, &[0xff, 0x7f])
        .can_clear(0x0a, &[0x0f])
        .can_write(0x10, &[0xcb, 0x0f])
        .can_write(0x28, &[0xff, 0x7f])
}

fn extended_parts(function: &Function) -> Vec<Part> {
    let mut parts = Vec::new();
    if let Some(aer) = &function.aer {
        let mut bytes = vec![0; 0x48];
        bytes[0] = 1;
        bytes[2] = 2;
        // Severities as they are after a reset.
        bytes[0x0c..0x10].copy_from_slice(&0x0046_2030u32.to_le_bytes());
        bytes[0x14..0x18].copy_from_slice(&0x2000u32.to_le_bytes());
        let part = Part::new("aer", What::Other, aer.at, bytes);
        let uncorrectable = 0x03ff_f030u32.to_le_bytes();
        let correctable = 0x0000_f1c1u32.to_le_bytes();
        parts.push(
            part.can_clear(4, &uncorrectable)
                .can_write(8, &uncorrectable)
                .can_write(0x0c, &uncorrectable)
                .can_clear(0x10, &correctable)
                .can_write(0x14, &correctable),
        );
    }
    for (number, raw) in function.extended.iter().enumerate() {
        let mut bytes = raw.id.to_le_bytes().to_vec();
        bytes.extend([raw.version & 0xf, 0]);
        bytes.extend(&raw.bytes);
        let field = format!("extended[{number}]");
        parts.push(Part::new(field, What::Other, raw.at, bytes));
    }
    parts
}

#[cfg(test)]
mod tests {
    use crate::description::Card;

    fn layout(more: &str) -> super::Layout {
        let text = format!("[[function]]\nvendor = 0x1234\ndevice = 1\nclass = 0x020000\n{more}");
        let card: Card = toml::from_str(&text).unwrap();
        super::build(&card.functions[0], false).unwrap()
    }

    #[test]
    fn capabilities_are_linked() {
        let layout = layout(
            "[function.pcie]\nflr = true\nat = 0x60\n[function.pm]\n[function.aer]\n\
             [[function.extended]]\nid = 11\nbytes = [1, 2, 3, 4]\n",
        );
        let config = &layout.config;
        assert_eq!((layout.pm, layout.pcie), (Some(0x40), Some(0x60)));
        assert_eq!(config.read32(0x34) & 0xff, 0x40);
        assert_eq!(config.read32(0x40) & 0xffff, 0x6001);
        assert_eq!(config.read32(0x60) & 0xffff, 0x0010);
        assert_eq!(config.read32(0x64) >> 28, 1);
        assert_eq!(config.read32(0x100), 0x1482_0001);
        assert_eq!(config.read32(0x148), 0x0001_000b);
    }

    #[test]
    fn bars_tell_their_size() {
        let mut config = layout(
            "[[function.bar]]\nindex = 0\nkind = \"mem64\"\nsize = \"16M\"\nprefetchable = true\n\
             [[function.bar]]\nindex = 2\nkind = \"io\"\nsize = 32\n",
        )
        .config;
        config.write(0x10, &[0xff; 12]);
        assert_eq!(config.read32(0x10), 0xff00_000c);
        assert_eq!(config.read32(0x14), 0xffff_ffff);
        assert_eq!(config.read32(0x18), 0xffff_ffe1);
    }
}
