// SPDX-License-Identifier: GPL-2.0

//! Tests of the doctor.

mod captured;
mod device;
mod graphics;
mod groups;
mod guest;
mod interrupts;
mod limits;
mod made_up;
mod owner;
mod system;

use std::collections::BTreeSet;

use clap::ValueEnum;

use crate::doctor::{
    facts::Facts,
    finding::*,
    report::{
        Report,
        Verdict, //
    }, //
};
use made_up::*;

type Change = fn(&mut Facts);
type Case = (Code, Level, Change);

const fn case(code: Code, level: Level, change: Change) -> Case {
    (code, level, change)
}

fn cases() -> impl Iterator<Item = &'static Case> {
    let all = [
        system::CASES,
        owner::CASES,
        interrupts::CASES,
        device::CASES,
        graphics::CASES,
        limits::CASES,
        guest::CASES,
    ];
    all.into_iter().flatten()
}

#[test]
fn all_is_well() {
    let report = Report::new(&well(), &[], &[]);
    assert_eq!(found(&report), []);
    assert_eq!(report.verdict(), Verdict::Well);
}

#[test]
fn each_is_found_unless_it_is_ignored() {
    for &(code, level, change) in cases() {
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
    let tested: BTreeSet<_> = cases().map(|(code, ..)| code.name()).collect();
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
fn text() {
    let mut facts = well();
    facts.functions.truncate(1);
    facts.functions[0].reset.clear();
    no_tables(&mut facts);
    assert_eq!(
        Report::new(&facts, &[], &[]).text(),
        "\
Xen 4.20.4, PVH dom0, Linux 7.2
  works  IOMMU; interrupt remapping; xen-pcidev; Rust xen-pciback

0000:04:00.0 82574L: for guests, clean
  works    INTx, GSI 20; MSI
  warning  no-reset: Linux has no way to reset it: state leaks to its next owner
           -> assign it only to guests that you trust

Fails: 0, warnings: 1 (system, functions for guests, what was named)."
    );
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
