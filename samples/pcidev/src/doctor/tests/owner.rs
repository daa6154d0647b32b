// SPDX-License-Identifier: GPL-2.0

//! Who has a function.

use super::{
    case,
    made_up::*,
    Case, //
};
use crate::doctor::{
    facts::*,
    finding::*, //
};

/// What is wrong, and what has to be found.
pub const CASES: &[Case] = &[
    case(Code::Bridge, Level::Note, |f| {
        f.functions[0].class = 0x06_0400
    }),
    case(Code::Gone, Level::Fails, |f| config(f).answers = false),
    case(Code::Refused, Level::Fails, |f| owner(f, Owner::Nobody)),
    case(Code::Refused, Level::Fails, |f| {
        xen(f).owners = Ok(Default::default())
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
    case(Code::Refused, Level::Fails, |f| {
        f.functions[0].physfn = Some(at(OTHER));
        owner(f, Owner::Nobody);
    }),
];
