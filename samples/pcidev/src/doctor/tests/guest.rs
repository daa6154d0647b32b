// SPDX-License-Identifier: GPL-2.0

//! A guest, and functions that one has.

use super::{
    case,
    made_up::*,
    Case, //
};
use crate::doctor::{
    facts::*,
    finding::*,
    report::Report, //
};

/// What is wrong, and what has to be found.
pub const CASES: &[Case] = &[
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
        xen(f).guests = Ok(Default::default());
        owner(f, Owner::Quarantine);
    }),
    case(Code::NotBound, Level::Warning, |f| {
        guest(f).interrupts = Ok(Interrupts::default());
    }),
];

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
    no_tables(&mut facts);
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
