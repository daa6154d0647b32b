// SPDX-License-Identifier: GPL-2.0

//! Tests of the doctor, with made-up facts.

mod captured;
mod groups;

use std::collections::{
    BTreeMap,
    BTreeSet, //
};

use clap::ValueEnum;

use crate::{
    doctor::{
        config::Config,
        facts::*,
        finding::*,
        report::{
            Report,
            Verdict, //
        }, //
    },
    sbdf::Sbdf,
    uapi::Region, //
};

fn at(text: &str) -> Sbdf {
    text.parse().unwrap()
}

const NIC: &str = "0000:04:00.0";
const OTHER: &str = "0000:05:00.0";

fn nic(sbdf: &str, gsi: u32) -> Function {
    Function {
        sbdf: at(sbdf),
        name: "82574L".to_owned(),
        vendor: 0x8086,
        class: 0x02_0000,
        driver: Some("pciback".to_owned()),
        config: Some(Config {
            answers: true,
            pin: Some('A'),
            bars_are_set: true,
            msi: true,
            msix_entries: 5,
            express: Some(0),
            acs: None,
        }),
        resources: vec![Resource {
            start: u64::from(gsi) << 16,
            end: (u64::from(gsi) << 16) + 0xfff,
            flags: 0x200,
        }],
        reset: vec!["flr".to_owned()],
        gsi: Some(gsi),
        msix: Some("held".to_owned()),
        state: Some("clean".to_owned()),
        ..Default::default()
    }
}

/// A dom0 in which all is well: one NIC for guests, one of dom0's.
fn well() -> Facts {
    let other = Function {
        driver: Some("e1000e".to_owned()),
        msix: Some("free".to_owned()),
        state: None,
        ..nic(OTHER, 21)
    };
    Facts {
        kernel: "7.2".to_owned(),
        privileged: true,
        xen: Some(Xen {
            version: "4.20.4".to_owned(),
            release: Some((4, 20)),
            kind: "PVH".to_owned(),
            dom0: true,
            capabilities: Ok(vec!["hvm_directio".to_owned()]),
            remapping: Some(true),
            guest_irqs: 32,
            owners: Ok([(at(NIC), Owner::Quarantine), (at(OTHER), Owner::Domain(0))].into()),
            guests: Ok(BTreeMap::new()),
        }),
        pcidev: Some(Pcidev {
            unmask: true,
            reset: true,
            hold: true,
            guard: true,
            vbt: true,
        }),
        pciback: Some(Pciback::Ours { tell: true }),
        ours_is_installed: true,
        functions: vec![nic(NIC, 20), other],
        beyond: Vec::new(),
        guests: Vec::new(),
    }
}

/// A guest with the NIC, in which it works.
fn guest(facts: &mut Facts) -> &mut Guest {
    give(facts, 3);
    facts.functions[0].state = Some("assigned 3".to_owned());
    facts.guests.push(Guest {
        name: "win11".to_owned(),
        domain: Some(3),
        qemu: Some("qemu-system-i386: warning: something\n".to_owned()),
        errors: Vec::new(),
        interrupts: Ok(Interrupts {
            lines: 1,
            messages: 5,
        }),
    });
    facts.guests.last_mut().unwrap()
}

fn region(start: u64, size: u64) -> Region {
    Region { start, size }
}

type Change = fn(&mut Facts);

fn xen(facts: &mut Facts) -> &mut Xen {
    facts.xen.as_mut().unwrap()
}

fn config(facts: &mut Facts) -> &mut Config {
    facts.functions[0].config.as_mut().unwrap()
}

fn owner(facts: &mut Facts, owner: Owner) {
    xen(facts).owners.as_mut().unwrap().insert(at(NIC), owner);
}

fn give(facts: &mut Facts, guest: u32) {
    owner(facts, Owner::Domain(guest));
    xen(facts).guests.as_mut().unwrap().insert(at(NIC), guest);
}

fn intel_graphics(facts: &mut Facts) -> &mut Function {
    xen(facts).owners = Err(String::new());
    let gpu = &mut facts.functions[0];
    gpu.sbdf = at("00:02.0");
    gpu.class = 0x03_8000;
    gpu
}

fn no_messages(facts: &mut Facts) {
    config(facts).msi = false;
    config(facts).msix_entries = 0;
}

const fn case(code: Code, level: Level, change: Change) -> (Code, Level, Change) {
    (code, level, change)
}

/// What is wrong, and what has to be found.
const CASES: [(Code, Level, Change); 71] = [
    case(Code::NoXen, Level::Fails, |f| f.xen = None),
    case(Code::Guest, Level::Fails, |f| xen(f).dom0 = false),
    case(Code::PvDom0, Level::Warning, |f| {
        xen(f).kind = "PV".to_owned()
    }),
    case(Code::OldXen, Level::Fails, |f| {
        xen(f).release = Some((4, 19))
    }),
    case(Code::NewXen, Level::Note, |f| xen(f).release = Some((5, 0))),
    case(Code::NoIommu, Level::Fails, |f| {
        xen(f).capabilities = Ok(vec!["hvm".to_owned()])
    }),
    case(Code::NoRemapping, Level::Warning, |f| {
        xen(f).remapping = Some(false)
    }),
    case(Code::NoRemapping, Level::Unknown, |f| {
        xen(f).remapping = None
    }),
    case(Code::NotRoot, Level::Unknown, |f| f.privileged = false),
    case(Code::NoXl, Level::Unknown, |f| {
        xen(f).capabilities = Err("no xl".to_owned())
    }),
    case(Code::NoOwners, Level::Unknown, |f| {
        xen(f).owners = Err("no list".to_owned())
    }),
    case(Code::NoXenstore, Level::Unknown, |f| {
        xen(f).guests = Err("no answer".to_owned())
    }),
    case(Code::NoXenPcidev, Level::Fails, |f| f.pcidev = None),
    case(Code::NoXenPciback, Level::Warning, |f| f.pciback = None),
    case(Code::StockXenPciback, Level::Warning, |f| {
        f.pciback = Some(Pciback::Stock)
    }),
    case(Code::Parameter, Level::Warning, |f| {
        f.pciback = Some(Pciback::Ours { tell: false })
    }),
    case(Code::Parameter, Level::Warning, |f| {
        f.pcidev.as_mut().unwrap().hold = false
    }),
    case(Code::Parameter, Level::Warning, |f| {
        f.pcidev.as_mut().unwrap().guard = false
    }),
    case(Code::Parameter, Level::Warning, |f| {
        f.pcidev.as_mut().unwrap().unmask = false
    }),
    case(Code::Parameter, Level::Warning, |f| {
        f.pciback = Some(Pciback::Stock);
        f.pcidev.as_mut().unwrap().reset = false;
    }),
    case(Code::Segment, Level::Note, |f| {
        f.beyond.push("10000:e1:00.0".to_owned())
    }),
    case(Code::Bridge, Level::Note, |f| {
        f.functions[0].class = 0x06_0400
    }),
    case(Code::Gone, Level::Fails, |f| config(f).answers = false),
    case(Code::Refused, Level::Fails, |f| owner(f, Owner::Nobody)),
    case(Code::Refused, Level::Fails, |f| {
        xen(f).owners = Ok(BTreeMap::new())
    }),
    case(Code::XenUses, Level::Fails, |f| owner(f, Owner::Xen)),
    case(Code::InUse, Level::Warning, |f| {
        f.functions[0].uses = vec!["swap".to_owned()];
    }),
    case(Code::Override, Level::Warning, |f| {
        f.functions[0].driver = None;
        f.functions[0].driver_override = Some("vfio-pci".to_owned());
    }),
    case(Code::Quarantine, Level::Fails, |f| {
        f.functions[0].driver = None;
        f.functions[0].msix = Some("free".to_owned());
    }),
    case(Code::Quarantine, Level::Fails, |f| {
        f.functions[0].driver = None;
        xen(f).owners = Err("no list".to_owned());
    }),
    case(Code::Stray, Level::Fails, |f| owner(f, Owner::Domain(3))),
    case(Code::Stray, Level::Fails, |f| {
        give(f, 3);
        f.functions[0].driver = None;
    }),
    case(Code::Broken, Level::Fails, |f| {
        f.functions[0].state = Some("broken".to_owned())
    }),
    case(Code::StockRefuses, Level::Fails, |f| {
        f.pciback = Some(Pciback::Stock);
        config(f).pin = None;
    }),
    case(Code::StockRefuses, Level::Fails, |f| {
        f.pciback = Some(Pciback::Stock);
        f.functions[0].gsi = None;
    }),
    case(Code::NoInterrupt, Level::Note, |f| {
        no_messages(f);
        config(f).pin = None;
    }),
    case(Code::NoRoute, Level::Note, |f| f.functions[0].gsi = None),
    case(Code::NoRoute, Level::Warning, |f| {
        no_messages(f);
        f.functions[0].gsi = None;
    }),
    case(Code::SharedLine, Level::Note, |f| {
        f.functions[1].gsi = Some(20)
    }),
    case(Code::SharedLine, Level::Warning, |f| {
        no_messages(f);
        f.functions[1].gsi = Some(20);
    }),
    case(Code::NoHold, Level::Fails, |f| {
        f.functions[0].msix = Some("free".to_owned())
    }),
    case(Code::NoHold, Level::Fails, |f| {
        f.functions[0].msix = Some("refused".to_owned())
    }),
    case(Code::NoHold, Level::Fails, |f| {
        f.pcidev = None;
        f.functions[0].msix = None;
    }),
    case(Code::ManyInterrupts, Level::Note, |f| {
        config(f).msix_entries = 33
    }),
    case(Code::QemuLog, Level::Fails, |f| {
        guest(f).qemu = Some("[00:05.0] Mapping of MSI-X (err: 28, vec: 0, entry 0)".to_owned());
    }),
    case(Code::QemuLog, Level::Fails, |f| {
        guest(f).qemu = Some("[00:05.0] Updating of MSI failed. (err: 22)".to_owned());
    }),
    case(Code::QemuLog, Level::Unknown, |f| guest(f).qemu = None),
    case(Code::QemuLog, Level::Fails, |f| {
        let guest = guest(f);
        guest.domain = None;
        guest.interrupts = Err(String::new());
        guest.qemu = Some("Need to enable igd-passthru".to_owned());
    }),
    case(Code::BackendError, Level::Fails, |f| {
        guest(f).errors.push("16 in use".to_owned());
    }),
    case(Code::NoFunction, Level::Warning, |f| {
        guest(f);
        xen(f).guests = Ok(BTreeMap::new());
        owner(f, Owner::Quarantine);
    }),
    case(Code::NotBound, Level::Warning, |f| {
        guest(f).interrupts = Ok(Interrupts::default());
    }),
    case(Code::NoReset, Level::Warning, |f| {
        f.functions[0].reset.clear()
    }),
    case(Code::NoReset, Level::Warning, |f| {
        let mut sibling = nic("0000:04:00.1", 22);
        sibling.state = None;
        sibling.driver = None;
        f.functions.push(sibling);
        f.functions[0].reset = vec!["bus".to_owned()];
    }),
    case(Code::SharedDma, Level::Warning, |f| {
        f.functions[0].group.push(at("06:00.0"))
    }),
    case(Code::SharedDma, Level::Warning, |f| {
        let mut bridge = nic("0000:03:00.0", 22);
        bridge.class = 0x06_0400;
        bridge.config.as_mut().unwrap().express = Some(7);
        f.functions.push(bridge);
        f.functions[0].bridges.push(at("03:00.0"));
        f.functions[1].bridges.push(at("03:00.0"));
    }),
    case(Code::BarUnset, Level::Fails, |f| {
        f.functions[0].resources[0].flags = 0x2000_0200
    }),
    case(Code::BarsLost, Level::Fails, |f| {
        config(f).bars_are_set = false
    }),
    case(Code::SharedPage, Level::Warning, |f| {
        f.functions[1].resources[0].start = f.functions[0].resources[0].start + 0x800;
    }),
    case(Code::ReservedMemory, Level::Note, |f| {
        f.functions[0].reserved = Some(vec![region(0x7cf0_0000, 0x200_0000)])
    }),
    case(Code::ReservedMemory, Level::Warning, |f| {
        f.functions[0].reserved = Some(vec![region(0x7000, 0x1000), region(0x9000, 0x2000)]);
        f.functions[1].reserved = Some(vec![region(0xa000, 0x1000)]);
    }),
    case(Code::BootDisplay, Level::Warning, |f| {
        f.functions[0].boot_display = true
    }),
    case(Code::IntelGraphics, Level::Unknown, |f| {
        intel_graphics(f);
    }),
    case(Code::IntelGraphics, Level::Warning, |f| {
        intel_graphics(f).sbdf = at("00:03.0");
    }),
    case(Code::IntelGraphics, Level::Fails, |f| {
        intel_graphics(f).opregion = Some("invalid: there is no address".to_owned());
    }),
    case(Code::IntelGraphics, Level::Note, |f| {
        intel_graphics(f).opregion = Some("2.1 0".to_owned());
    }),
    case(Code::IntelGraphics, Level::Warning, |f| {
        intel_graphics(f).opregion = Some("2.1 9216".to_owned());
        f.pcidev.as_mut().unwrap().vbt = false;
    }),
    case(Code::StolenMemory, Level::Warning, |f| {
        let gpu = intel_graphics(f);
        gpu.opregion = Some("2.0 0".to_owned());
        gpu.stolen_memory = Some(0x7cf0_0000..0x7ef0_0000);
        gpu.reserved = Some(vec![region(0x7cf0_0000, 0x1ff_f000)]);
    }),
    case(Code::IntelGraphics, Level::Fails, |f| {
        f.functions[0].sbdf = at("00:02.0");
        xen(f).owners = Err(String::new());
    }),
    case(Code::VirtualFunctions, Level::Note, |f| {
        f.functions[0].virtual_functions = 2
    }),
    case(Code::Refused, Level::Fails, |f| {
        f.functions[0].is_virtual = true;
        owner(f, Owner::Nobody);
    }),
    case(Code::NoHold, Level::Fails, |f| {
        f.pciback = Some(Pciback::Stock);
        f.functions[0].msix = Some("refused".to_owned());
    }),
];

/// Level and code of all findings about the system and the NIC.
fn found(report: &Report) -> Vec<(Level, Code)> {
    report
        .counted()
        .map(|finding| (finding.level, finding.code))
        .collect()
}

#[test]
fn all_is_well() {
    let report = Report::new(&well(), &[], &[]);
    assert_eq!(found(&report), []);
    assert_eq!(report.verdict(), Verdict::Well);
}

#[test]
fn a_guest_in_which_all_is_well() {
    let mut facts = well();
    guest(&mut facts);
    let report = Report::new(&facts, &[], &[]);
    assert_eq!(found(&report), []);
    assert_eq!(
        report.text(),
        "\
Xen 4.20.4, PVH dom0, Linux 7.2
  works  IOMMU; interrupt remapping; xen-pcidev; Rust xen-pciback

guest win11 (domain 3)
  works  has 0000:04:00.0; INTx lines bound: 1; MSI and MSI-X bound: 5

0000:04:00.0 82574L: assigned to guest 3
  works  INTx, GSI 20; MSI; MSI-X, 5 entries, held; reset by flr

All is well (system, functions for guests, what was named)."
    );
}

#[test]
fn each_is_found_unless_it_is_ignored() {
    for (code, level, change) in CASES {
        let mut facts = well();
        change(&mut facts);
        let nic = facts.functions[0].sbdf;
        let all = found(&Report::new(&facts, &[nic], &[]));
        assert!(all.contains(&(level, code)), "{code:?}: {all:?}");
        let rest = found(&Report::new(&facts, &[nic], &[code]));
        let wanted: Vec<_> = all
            .iter()
            .filter(|(_, other)| *other != code)
            .copied()
            .collect();
        assert_eq!(rest, wanted, "{code:?}");
    }
}

#[test]
fn there_is_a_case_of_each() {
    let tested: BTreeSet<_> = CASES.iter().map(|(code, ..)| code.name()).collect();
    let all: BTreeSet<_> = Code::value_variants()
        .iter()
        .map(|code| code.name())
        .collect();
    assert_eq!(tested, all);
}

#[test]
fn the_manual_has_each() {
    let manual = include_str!("../../../../Documentation/pcidev.rst");
    for code in Code::value_variants() {
        let entry = format!("\n{}\n    ", code.name());
        assert!(manual.contains(&entry), "{}", code.name());
    }
}

#[test]
fn a_function_with_a_guest_is_well() {
    let mut facts = well();
    give(&mut facts, 3);
    config(&mut facts).bars_are_set = false;
    assert_eq!(found(&Report::new(&facts, &[], &[])), []);
    // Two of one guest on a line.
    facts.functions[1].gsi = Some(20);
    facts.functions[1].driver = Some("pciback".to_owned());
    facts.functions[1].msix = Some("held".to_owned());
    no_messages(&mut facts);
    let guests = xen(&mut facts).guests.as_mut().unwrap();
    guests.insert(at(OTHER), 3);
    assert_eq!(found(&Report::new(&facts, &[], &[])), []);
}

#[test]
fn one_that_was_taken_from_a_guest_is_with_the_guest() {
    let mut facts = well();
    give(&mut facts, 3);
    facts.functions[0].driver = None;
    let all = found(&Report::new(&facts, &[], &[]));
    assert_eq!(all, [(Level::Fails, Code::Stray)]);
}

#[test]
fn what_dom0_uses_counts_only_if_named() {
    let mut facts = well();
    facts.functions[1].reset.clear();
    assert_eq!(Report::new(&facts, &[], &[]).verdict(), Verdict::Well);
    let named = Report::new(&facts, &[at(OTHER)], &[]);
    assert_eq!(named.verdict(), Verdict::Findings);
    assert!(!named.text().contains(NIC));
}

#[test]
fn what_fails_counts_more_than_what_is_unknown() {
    let mut facts = well();
    xen(&mut facts).guests = Err(String::new());
    assert_eq!(Report::new(&facts, &[], &[]).verdict(), Verdict::Unknown);
    facts.pcidev = None;
    assert_eq!(Report::new(&facts, &[], &[]).verdict(), Verdict::Findings);
}

#[test]
fn a_pv_dom0_needs_no_hold() {
    let mut facts = well();
    xen(&mut facts).kind = "PV".to_owned();
    facts.pcidev = None;
    facts.pciback = Some(Pciback::Stock);
    facts.functions[0].msix = None;
    facts.functions[0].gsi = None;
    let report = Report::new(&facts, &[], &[]);
    assert_eq!(found(&report), [(Level::Warning, Code::PvDom0)]);
}

#[test]
fn text() {
    let mut facts = well();
    facts.functions.truncate(1);
    facts.functions[0].reset.clear();
    assert_eq!(
        Report::new(&facts, &[], &[]).text(),
        "\
Xen 4.20.4, PVH dom0, Linux 7.2
  works  IOMMU; interrupt remapping; xen-pcidev; Rust xen-pciback

0000:04:00.0 82574L: for guests, clean
  works    INTx, GSI 20; MSI; MSI-X, 5 entries, held
  warning  no-reset: Linux has no way to reset it: state leaks to its next owner
           -> assign it only to guests that you trust

Fails: 0, warnings: 1 (system, functions for guests, what was named)."
    );
}

#[test]
fn a_guest_is_told_of_reserved_memory() {
    let mut facts = well();
    facts.functions[0].reserved = Some(vec![
        region(0x7cf0_0000, 0x200_0000),
        region(0xe_0000, 0x1000),
    ]);
    facts.functions[1].reserved = Some(Vec::new());
    let text = Report::new(&facts, &[at(NIC)], &[]).text();
    let words: Vec<_> = text.split_whitespace().collect();
    let text = words.join(" ");
    assert!(text.contains("Xen maps 0x7cf00000-0x7eefffff, 0xe0000-0xe0fff into its guest"));
    assert!(text.contains("rdm = \"strategy=host\""));

    // The last page of the one is the first of the other.
    facts.functions[1].reserved = Some(vec![region(0x7eef_f000, 0x2000)]);
    let text = Report::new(&facts, &[at(NIC)], &[]).text();
    assert!(text.contains(OTHER));
    assert!(text.contains("each with \"SBDF,rdm_policy=relaxed\""));
}

#[test]
fn intel_graphics_are_explained() {
    let text = |vbt: bool, opregion: &str, reserved| {
        let mut facts = well();
        facts.pcidev.as_mut().unwrap().vbt = vbt;
        let gpu = intel_graphics(&mut facts);
        gpu.opregion = Some(opregion.to_owned());
        gpu.stolen_memory = Some(0x7cf0_0000..0x7ef0_0000);
        gpu.reserved = Some(vec![reserved]);
        let text = Report::new(&facts, &[at("00:02.0")], &[]).text();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let whole = text(true, "2.0 0", region(0x7ce0_0000, 0x210_0000));
    assert!(whole.contains("Intel graphics with OpRegion 2.0"));
    assert!(whole.contains("gfx_passthru = \"igd\""));
    assert!(whole.contains("Xen maps 0x7ce00000-0x7eefffff into its guest"));
    assert!(!whole.contains("stolen-memory") && !whole.contains("VBT"));
    let part = text(true, "2.1 9216", region(0x7cf0_0000, 0x1ff_f000));
    assert!(part.contains("extended VBT of 9216 bytes, of which guests get a copy"));
    assert!(part.contains("32 MiB of stolen memory (0x7cf00000-0x7eefffff)"));
    let none = text(
        true,
        "invalid: its version is 0",
        region(0x7ce0_0000, 0x210_0000),
    );
    assert!(none.contains("OpRegion is not valid (its version is 0): QEMU refuses"));
    let lost = text(false, "2.1 9216", region(0x7cf0_0000, 0x1ff_f000));
    assert!(lost.contains("of its extended VBT of 9216 bytes guests see the first page at most"));
}

#[test]
fn a_card_is_reset_together() {
    let mut facts = well();
    facts.functions[0].reset = vec!["bus".to_owned()];
    let mut sibling = nic("0000:04:00.1", 22);
    sibling.reset.clear();
    sibling.state = None;
    sibling.driver = None;
    facts.functions.push(sibling);
    let text = Report::new(&facts, &[], &[]).text();
    assert!(text.contains("only a reset of its bus resets it, with 0000:04:00.1"));
    assert!(text.contains("-> make 0000:04:00.1 assignable, too"));

    let sibling = facts.functions.last_mut().unwrap();
    sibling.state = Some("clean".to_owned());
    sibling.driver = Some("pciback".to_owned());
    let text = Report::new(&facts, &[], &[]).text();
    assert!(text.contains("reset by bus, with 0000:04:00.1"));
    assert!(!text.contains("no-reset"));
}

#[test]
fn json() {
    let mut facts = well();
    facts.functions[0].reset.clear();
    let report = serde_json::to_value(Report::new(&facts, &[], &[])).unwrap();
    let finding = &report["functions"][0]["findings"][0];
    assert_eq!(finding["code"], "no-reset");
    assert_eq!(finding["level"], "warning");
    assert_eq!(report["functions"][1]["counts"], false);
    assert_eq!(report["system"]["findings"].as_array().unwrap().len(), 0);
}
