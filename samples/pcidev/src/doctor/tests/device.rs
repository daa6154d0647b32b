// SPDX-License-Identifier: GPL-2.0

//! The function itself: resets, DMA, memory.

use super::{
    case,
    made_up::*,
    Case, //
};
use crate::doctor::{
    facts::Facts,
    finding::*,
    report::Report, //
};

/// What is wrong, and what has to be found.
pub const CASES: &[Case] = &[
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
    case(Code::VirtualFunctions, Level::Note, |f| {
        f.functions[0].virtual_functions = 2
    }),
];

#[test]
fn a_guest_has_a_virtual_function() {
    let mut facts = well();
    facts.functions[1].virtual_functions = 2;
    facts.functions[1].reset.clear();
    facts.functions[0].physfn = Some(at(OTHER));
    let text = |facts: &Facts| Report::new(facts, &[], &[]).text();
    assert!(text(&facts).contains("its 2 virtual functions disappear"));
    assert!(text(&facts).contains("0000:04:00.0 82574L, VF of 0000:05:00.0: "));
    give(&mut facts, 3);
    let text = text(&facts);
    assert!(
        text.contains("nor made assignable while guests have") && !text.contains("no-reset"),
        "{text}"
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
