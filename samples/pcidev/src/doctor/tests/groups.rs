// SPDX-License-Identifier: GPL-2.0

//! Which functions reach each other, and are reset together.

use super::made_up::{
    at,
    nic,
    region,
    well, //
};
use crate::doctor::{
    config::Acs,
    facts::*,
    groups, //
};

/// A function with this ACS control register; a bridge, if it has a port type.
fn place(sbdf: &str, bridges: &[&str], port: Option<u8>, acs: Option<u16>) -> Function {
    let mut function = nic(sbdf, 0);
    function.bridges = bridges.iter().map(|bridge| at(bridge)).collect();
    if port.is_some() {
        function.class = 0x06_0400;
    }
    let config = function.config.as_mut().unwrap();
    config.express = port.or(Some(0));
    config.acs = acs.map(|control| Acs {
        capability: 0x1f,
        control,
    });
    function
}

/// What a function reaches.
fn reached(functions: Vec<Function>, from: &str) -> String {
    let mut facts = well();
    facts.functions = functions;
    let groups = serde_json::to_value(groups::all(&facts, &[at(from)])).unwrap();
    let reached = groups[0]["reaches"].as_array().unwrap();
    let names: Vec<_> = reached.iter().map(|name| name.as_str().unwrap()).collect();
    names.join(" ")
}

#[test]
fn functions_of_a_card_reach_each_other() {
    let card = |acs| {
        vec![
            place("0000:01:00.0", &["0000:00:01.0"], None, acs),
            place("0000:01:00.1", &["0000:00:01.0"], None, acs),
            place("0000:01:01.0", &["0000:00:01.0"], None, acs),
            place("0000:00:02.0", &[], None, acs),
        ]
    };
    assert_eq!(reached(card(None), "0000:01:00.0"), "0000:01:00.1");
    assert_eq!(reached(card(Some(0x1d)), "0000:01:00.0"), "");
    assert_eq!(reached(card(Some(0x01)), "0000:01:00.0"), "0000:01:00.1");
}

#[test]
fn ports_isolate_what_is_below() {
    let ports = |acs| {
        vec![
            place("0000:00:01.0", &[], Some(4), Some(0x1d)),
            place("0000:00:02.0", &[], Some(4), acs),
            place("0000:01:00.0", &["0000:00:01.0"], None, None),
            place("0000:02:00.0", &["0000:00:02.0"], None, None),
        ]
    };
    assert_eq!(reached(ports(Some(0x1d)), "0000:01:00.0"), "");
    assert_eq!(reached(ports(Some(0x0d)), "0000:01:00.0"), "0000:02:00.0");
    assert_eq!(reached(ports(None), "0000:02:00.0"), "0000:01:00.0");
}

#[test]
fn conventional_functions_see_each_other() {
    let bridged = |port| {
        vec![
            place("0000:00:01.0", &[], Some(port), Some(0x1d)),
            place("0000:01:03.0", &["0000:00:01.0"], None, Some(0x1d)),
            place("0000:01:04.0", &["0000:00:01.0"], None, Some(0x1d)),
        ]
    };
    assert_eq!(reached(bridged(7), "0000:01:03.0"), "0000:01:04.0");
    assert_eq!(reached(bridged(4), "0000:01:03.0"), "");
}

/// Neighbours share nothing; a region may be inside another; and it may not be known.
#[test]
fn reserved_memory_is_shared() {
    let mut facts = well();
    let third = nic("0000:06:00.0", 22);
    facts.functions.push(third);
    facts.functions[0].reserved = Some(vec![region(0x1000, 0x1000), region(0x8000, 0x4000)]);
    facts.functions[1].reserved = Some(vec![region(0x2000, 0x1000), region(0x9000, 0x1000)]);
    facts.functions[2].reserved = Some(vec![region(0x3000, 0x5000)]);
    let shared = |facts: &_, index: usize| {
        let groups = serde_json::to_value(groups::all(facts, &[])).unwrap();
        groups[index]["shares_rmrr"].to_string()
    };
    assert_eq!(shared(&facts, 0), r#"["0000:05:00.0"]"#);
    assert_eq!(shared(&facts, 1), r#"["0000:04:00.0"]"#);
    assert_eq!(shared(&facts, 2), "[]");
    assert_eq!(
        groups::text(&groups::all(&facts, &[]))
            .matches("unknown")
            .count(),
        0
    );

    facts.functions[0].reserved = None;
    assert_eq!(shared(&facts, 0), "null");
    assert_eq!(shared(&facts, 1), "[]");
    assert_eq!(
        groups::text(&groups::all(&facts, &[]))
            .matches("unknown")
            .count(),
        1
    );
}

#[test]
fn groups_are_a_table() {
    let mut facts = well();
    facts.functions[0].reset = vec!["bus".to_owned()];
    let mut sibling = nic("0000:04:00.1", 22);
    sibling.reset.clear();
    facts.functions.push(sibling);
    facts.functions[0].reserved = Some(Vec::new());
    let text = groups::text(&groups::all(&facts, &[]));
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("FUNCTION"));
    let words: Vec<_> = lines[1].split_whitespace().collect();
    let card = "0000:04:00.1";
    assert_eq!(
        words,
        ["0000:04:00.0", "pciback", "bus", card, card, "-", "82574L"]
    );
}
