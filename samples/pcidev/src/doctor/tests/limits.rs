// SPDX-License-Identifier: GPL-2.0

//! Limits for the memory of guests.

use super::{
    case,
    made_up::*,
    Case, //
};
use crate::doctor::{
    facts::*,
    finding::*,
    guest_config::{
        GuestConfig,
        Named, //
    },
    report::Report, //
};

const MIB: u64 = 1 << 20;
/// Memory, with addresses of 32 and of 64 bits.
const NARROW: u64 = 0x200;
const WIDE: u64 = 0x10_2200;

/// A BAR of the NIC.
fn bar(facts: &mut Facts, mib: u64, flags: u64) {
    let start = 0x80_0000_0000;
    facts.functions[0].resources.push(Resource {
        start,
        end: start + mib * MIB - 1,
        flags,
    });
}

/// A file for a guest with the NIC and that much memory.
fn described(facts: &mut Facts, mib: u64) -> &mut GuestConfig {
    let config = GuestConfig {
        name: "win11".to_owned(),
        kind: "hvm".to_owned(),
        memory: Some(mib << 10),
        most_memory: Some(mib << 10),
        functions: vec![Named {
            sbdf: at(NIC),
            is_relaxed: false,
            is_seized: false,
        }],
        ..GuestConfig::default()
    };
    facts.guests.push(Guest {
        name: "win11".to_owned(),
        domain: None,
        file: Some("win11.cfg".to_owned()),
        config: Some(Ok(config)),
        qemu: None,
        errors: Vec::new(),
        interrupts: Err(String::new()),
    });
    let guest = facts.guests.last_mut().unwrap();
    guest.config.as_mut().unwrap().as_mut().unwrap()
}

/// What is wrong, and what has to be found.
pub const CASES: &[Case] = &[
    case(Code::MmioHole, Level::Note, |f| bar(f, 256, WIDE)),
    case(Code::MmioHole, Level::Warning, |f| bar(f, 256, NARROW)),
    case(Code::MmioHole, Level::Warning, |f| {
        bar(f, 256, NARROW);
        described(f, 4096);
    }),
    case(Code::GuestConfig, Level::Fails, |f| {
        described(f, 512);
        f.guests[0].config = Some(Err("line 3".to_owned()));
    }),
    case(Code::NoFunction, Level::Fails, |f| {
        described(f, 512).functions[0].sbdf = at("09:00.0")
    }),
    case(Code::NoFunction, Level::Fails, |f| {
        described(f, 512).functions[0].sbdf = at(OTHER)
    }),
    case(Code::GuestType, Level::Fails, |f| {
        f.pciback = Some(Pciback::Ours {
            tell: true,
            serves_pv: false,
        });
        described(f, 512).kind = "pv".to_owned()
    }),
    case(Code::GuestType, Level::Fails, |f| {
        f.pciback = Some(Pciback::Stock);
        described(f, 512).kind = "pv".to_owned()
    }),
    case(Code::GuestType, Level::Fails, |f| {
        described(f, 512).kind = "pvh".to_owned()
    }),
    case(Code::PopulateOnDemand, Level::Fails, |f| {
        described(f, 512).most_memory = Some(1 << 20)
    }),
    case(Code::ReservedMemory, Level::Fails, |f| {
        f.functions[0].reserved = Some(vec![region(0x7cf0_0000, 0x200_0000)]);
        described(f, 4096);
    }),
];

/// Levels and texts of what is found of the guest.
fn of_guest(facts: &Facts) -> Vec<(Level, String)> {
    let config = facts.guests[0].examine(facts).1;
    { config.into_iter() }
        .map(|finding| {
            (
                finding.level,
                format!("{} -> {}", finding.text, finding.remedy.unwrap()),
            )
        })
        .collect()
}

#[test]
fn a_file_in_which_all_is_well() {
    let mut facts = well();
    described(&mut facts, 4096);
    let report = Report::new(&facts, &[], &[]);
    assert_eq!(found(&report), []);
    assert!(report
        .text()
        .contains("guest win11, as in win11.cfg\n  works  has 0000:04:00.0"));
    // xl takes it from its driver.
    let mut facts = well();
    no_tables(&mut facts);
    let named = &mut described(&mut facts, 4096).functions[0];
    (named.sbdf, named.is_seized) = (at(OTHER), true);
    assert_eq!(found(&Report::new(&facts, &[], &[])), []);
}

#[test]
fn a_pv_guest_is_served() {
    let mut facts = well();
    facts.functions[0].reserved = Some(vec![region(0x7cf0_0000, 0x200_0000)]);
    bar(&mut facts, 256, NARROW);
    described(&mut facts, 4096).kind = "pv".to_owned();
    assert_eq!(of_guest(&facts), []);
}

#[test]
fn the_hole_grows_where_no_memory_is() {
    let level = |memory, hole: Option<u64>, flags| {
        let mut facts = well();
        bar(&mut facts, 256, flags);
        described(&mut facts, memory).mmio_hole = hole.map(|mib| mib << 10);
        of_guest(&facts).first().map(|(level, _)| *level)
    };
    assert_eq!(level(3584, None, NARROW), None);
    assert_eq!(level(3585, None, NARROW), Some(Level::Warning));
    assert_eq!(level(3585, None, WIDE), Some(Level::Note));
    assert_eq!(level(8192, Some(512), NARROW), None);
    assert_eq!(level(512, Some(256), NARROW), Some(Level::Warning));

    let mut facts = well();
    bar(&mut facts, 512, NARROW);
    let text = Report::new(&facts, &[at(NIC)], &[]).text();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("512 MiB of its BARs"), "{text}");
    assert!(
        text.contains("in a guest with more than 3072 MiB of memory"),
        "{text}"
    );
    assert!(text.contains("-> mmio_hole = 1024 in"), "{text}");
}

#[test]
fn large_bars_are_above() {
    let mut facts = well();
    bar(&mut facts, 32 << 10, WIDE);
    assert_eq!(found(&Report::new(&facts, &[at(NIC)], &[])), []);
    bar(&mut facts, 1024, WIDE);
    bar(&mut facts, 1024, WIDE);
    bar(&mut facts, 1024, WIDE);
    let text = Report::new(&facts, &[at(NIC)], &[]).text();
    assert!(text.contains("no hole is large enough"), "{text}");
}

#[test]
fn reserved_memory_in_the_way() {
    let found = |start, change: fn(&mut GuestConfig)| {
        let mut facts = well();
        facts.functions[0].reserved = Some(vec![region(start, 0x1000)]);
        change(described(&mut facts, 2048));
        of_guest(&facts).pop().map(|(_, text)| text)
    };
    let text = found(0x7cf0_0000, |_| {}).unwrap();
    assert!(
        text.contains("at 0x7cf00000 for 0000:04:00.0, where"),
        "{text}"
    );
    assert!(
        text.ends_with("-> rdm_mem_boundary = 1998, or at most 1999 MiB of memory"),
        "{text}"
    );
    assert!(found(0xe_0000, |_| {})
        .unwrap()
        .contains("rdm_policy=relaxed"));
    // Above the boundary xl moves the guest's memory.
    assert_eq!(found(0x8cf0_0000, |_| {}), None);
    assert_eq!(
        found(0x7cf0_0000, |config| config.boundary = Some(1998 << 10)),
        None
    );
    assert_eq!(
        found(0x7cf0_0000, |config| config.most_memory = Some(1999 << 10)),
        None
    );
    assert_eq!(
        found(0x7cf0_0000, |config| config.mmio_hole = Some(3 << 20)),
        None
    );
    assert_eq!(
        found(0x7cf0_0000, |config| config.functions[0].is_relaxed = true),
        None
    );
}
