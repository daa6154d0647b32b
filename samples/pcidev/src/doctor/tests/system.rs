// SPDX-License-Identifier: GPL-2.0

//! The whole system.

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
        f.pciback = Some(Pciback::Ours {
            tell: false,
            serves_pv: true,
        })
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
        f.pcidev.as_mut().unwrap().lend = false
    }),
    case(Code::Parameter, Level::Warning, |f| {
        f.pciback = Some(Pciback::Stock);
        f.pcidev.as_mut().unwrap().reset = false;
    }),
    case(Code::Segment, Level::Note, |f| {
        f.beyond.push("10000:e1:00.0".to_owned())
    }),
];

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
