// SPDX-License-Identifier: GPL-2.0

//! `Table`: what is known of functions that come, change, are assigned and go.

use std::collections::BTreeMap;

use kernel::{
    prelude::*,
    rbtree::RBTreeNode, //
};
use xen::{
    gsi::{
        NoRoute,
        Route, //
    },
    header::Pin,
    msix_table::MsixTable,
    Sbdf, //
};

use crate::{
    bytes::Bytes,
    table::{
        Facts,
        Holder,
        Msix,
        Table, //
    },
    uapi, //
};

/// Few functions on few lines, so that they meet.
pub(crate) fn address(byte: u8) -> Sbdf {
    let byte = u32::from(byte);
    Sbdf::from_u32((byte & 1) << 16 | (byte >> 1 & 1) << 8 | byte >> 2 & 7)
}

/// Anything that may be known of a function.
pub(crate) fn facts(bytes: &mut Bytes<'_>) -> Facts {
    let (line, rest) = (bytes.byte(), bytes.byte());
    Facts {
        pin: Pin::decode(rest & 7),
        route: match line & 7 {
            6 => Err(NoRoute::NoPin),
            7 => Err(NoRoute::Unrouted),
            gsi => Route::decode(
                i32::from(gsi),
                (line >> 3 & 1).into(),
                (line >> 4 & 1).into(),
            ),
        },
        table: MsixTable::decode(rest.into(), u32::from(line >> 5)),
        holder: match rest >> 3 & 3 {
            0 => Holder::Nobody,
            1 => Holder::Driver,
            _ => Holder::Pciback,
        },
        irq: (rest & 0x20 != 0).then_some(u32::from(line & 3)),
        msix: match rest >> 6 {
            0 => Msix::Free,
            1 => Msix::Refused,
            _ => Msix::Held,
        },
        domain: (line & 0x80 != 0).then_some(u16::from(rest & 3)),
    }
}

fn gsi_of(known: &BTreeMap<u32, Facts>, sbdf: Sbdf) -> Result<u32> {
    let facts = known.get(&sbdf.to_u32()).ok_or(ENODEV)?;
    let gsi = match facts.route {
        Ok(route) => route.gsi,
        Err(NoRoute::NoPin) => return Err(ENOENT),
        Err(NoRoute::Unrouted) => return Err(ENXIO),
    };
    let sharing = known
        .values()
        .filter(|other| other.domain == facts.domain)
        .filter(|other| other.route.map(|route| route.gsi) == Ok(gsi))
        .count();
    if facts.domain.is_some() && sharing > 1 {
        Err(ENOENT)
    } else {
        Ok(gsi)
    }
}

fn check_info(sbdf: Sbdf, facts: &Facts) {
    let info = facts.info(sbdf);
    let words = info.to_words();
    assert_eq!((words[0], words[2]), (48, sbdf.to_u32()));
    // A field without its flag is zero.
    let has = |flag| info.flags & flag != 0;
    assert_eq!(has(uapi::FLAG_GSI), facts.route.is_ok());
    assert_eq!(has(uapi::FLAG_IRQ), facts.irq.is_some());
    assert_eq!(has(uapi::FLAG_DOMID), facts.domain.is_some());
    assert!(has(uapi::FLAG_GSI) || (info.gsi, info.trigger, info.polarity) == (0, 0, 0));
    assert_eq!(info.irq, facts.irq.unwrap_or(0));
    assert_eq!(info.domid, facts.domain.map_or(0, u32::from));
    assert_eq!(
        info.msix_entries,
        facts.table.map_or(0, |table| table.entries.into())
    );
    assert!(info.flags < 8 && info.pin <= 4 && info.holder <= 2 && info.msix <= 2);
}

fn check(table: &Table, known: &BTreeMap<u32, Facts>, sbdf: Sbdf) {
    let wanted = known.get(&sbdf.to_u32()).copied();
    assert_eq!(table.get(sbdf).ok(), wanted);
    assert_eq!(table.gsi_for_toolstack(sbdf), gsi_of(known, sbdf));
    if let Some(facts) = wanted {
        check_info(sbdf, &facts);
    }
}

pub(crate) fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (mut table, mut known) = (Table::new(), BTreeMap::new());
    while !bytes.is_empty() {
        let (what, where_) = (bytes.byte(), bytes.byte());
        let sbdf = address(where_);
        match what % 4 {
            0 => {
                let facts = facts(&mut bytes);
                let node = RBTreeNode::new(sbdf, facts, GFP_KERNEL).expect("a node");
                let old = table.insert(node).is_some();
                assert_eq!(old, known.insert(sbdf.to_u32(), facts).is_some());
            }
            1 => {
                let old = table.remove(sbdf).is_some();
                assert_eq!(old, known.remove(&sbdf.to_u32()).is_some());
            }
            2 => {
                let new = facts(&mut bytes);
                table.update(sbdf, |facts| *facts = new);
                known.entry(sbdf.to_u32()).and_modify(|facts| *facts = new);
            }
            _ => {
                // The first one counts.
                let owners: Vec<_> = (0..where_ % 4)
                    .map(|_| {
                        let byte = bytes.byte();
                        (address(byte), u16::from(byte >> 6))
                    })
                    .collect();
                table.assign(&owners);
                for (sbdf, facts) in &mut known {
                    let owner = owners.iter().find(|(other, _)| other.to_u32() == *sbdf);
                    facts.domain = owner.map(|(_, domain)| *domain);
                }
            }
        }
        check(&table, &known, sbdf);
    }
    for byte in 0..32 {
        check(&table, &known, address(byte));
    }
    let listed = table.iter().map(|(sbdf, facts)| (sbdf.to_u32(), facts));
    assert!(listed.eq(known.iter().map(|(sbdf, facts)| (*sbdf, facts))));
}
