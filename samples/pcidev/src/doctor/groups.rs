// SPDX-License-Identifier: GPL-2.0

//! `pcidev groups`: what each function belongs together with.

use serde::Serialize;

use crate::{
    doctor::{
        facts::Facts,
        patient::list,
        reach, //
    },
    function::full_name,
    sbdf::Sbdf,
    table, //
};

/// A function and those that it belongs together with.
#[derive(Debug, Serialize)]
pub struct Group {
    sbdf: Sbdf,
    /// The physical function of a virtual function.
    physfn: Option<Sbdf>,
    driver: Option<String>,
    /// How it is reset, without the Rust xen-pciback.
    reset: Option<String>,
    /// Those that are reset with it.
    reset_with: Vec<Sbdf>,
    /// Those that it can reach without the IOMMU.
    reaches: Vec<Sbdf>,
    /// Those that firmware reserved the same memory for; `None` if that is not known.
    shares_rmrr: Option<Vec<Sbdf>>,
    name: String,
}

/// The functions that are `wanted`, or all but bridges.
pub fn all(facts: &Facts, wanted: &[Sbdf]) -> Vec<Group> {
    let shown = facts.functions.iter().filter(|function| {
        wanted.contains(&function.sbdf) || wanted.is_empty() && !function.is_bridge()
    });
    shown
        .map(|function| Group {
            sbdf: function.sbdf,
            physfn: function.physfn,
            driver: function.driver.clone(),
            reset: reach::own_reset(facts, function).map(str::to_owned),
            reset_with: reach::reset_with(facts, function),
            reaches: reach::reaches(facts, function),
            shares_rmrr: reach::shares_memory(facts, function),
            name: function.name.clone(),
        })
        .collect()
}

/// The table.
pub fn text(groups: &[Group]) -> String {
    let header = [
        "FUNCTION",
        "DRIVER",
        "RESET",
        "RESET WITH",
        "REACHES",
        "SHARES RMRR",
        "NAME",
    ];
    let or_none = |text: &str| if text.is_empty() { "-" } else { text }.to_owned();
    let rows = groups.iter().map(|group| {
        let reset = match &group.reset {
            Some(method) => method,
            None if group.reset_with.is_empty() => "none",
            None => "bus",
        };
        [
            group.sbdf.to_string(),
            or_none(group.driver.as_deref().unwrap_or_default()),
            reset.to_owned(),
            or_none(&list(group.reset_with.iter().copied())),
            or_none(&list(group.reaches.iter().copied())),
            match &group.shares_rmrr {
                Some(others) => or_none(&list(others.iter().copied())),
                None => "unknown".to_owned(),
            },
            full_name(&group.name, group.physfn),
        ]
    });
    table::rows(header, rows)
}
