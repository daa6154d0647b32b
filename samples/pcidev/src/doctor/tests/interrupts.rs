// SPDX-License-Identifier: GPL-2.0

//! Interrupts of a function.

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
    case(Code::OnlyMsix, Level::Warning, |f| {
        f.functions[1].config = None
    }),
    case(Code::OnlyMsix, Level::Warning, |f| {
        f.functions[1].driver = Some("pciback".to_owned())
    }),
    case(Code::NoHold, Level::Fails, |f| {
        f.pciback = Some(Pciback::Stock);
        f.functions[0].msix = Some("refused".to_owned());
    }),
];
