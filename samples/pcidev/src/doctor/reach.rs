// SPDX-License-Identifier: GPL-2.0

//! Which functions a reset, or a function's own requests, can reach; which share memory.

use crate::{
    doctor::facts::{
        Facts,
        Function, //
    },
    sbdf::Sbdf,
    uapi::Region, //
};

/// PCI Express port types.
const ROOT_PORT: u8 = 4;
const DOWNSTREAM_PORT: u8 = 6;
const EXPRESS_TO_PCI: u8 = 7;

/// The other functions on its bus, which a reset of the bus would reach.
fn siblings(facts: &Facts, function: &Function) -> Vec<Sbdf> {
    let on_bus = facts.functions.iter().map(|other| other.sbdf);
    on_bus
        .filter(|sbdf| *sbdf != function.sbdf && sbdf.is_on_bus_of(function.sbdf))
        .collect()
}

/// The method that resets it alone. Linux lists a reset of the bus before it knows the siblings of
/// a function, and refuses it if there are any.
pub fn own_reset<'a>(facts: &Facts, function: &'a Function) -> Option<&'a str> {
    let mut methods = function.reset.iter().map(String::as_str);
    methods.find(|method| !method.ends_with("bus") || siblings(facts, function).is_empty())
}

/// The siblings that are reset with it, as only a reset of the bus can reset it.
pub fn reset_with(facts: &Facts, function: &Function) -> Vec<Sbdf> {
    let siblings = siblings(facts, function);
    let is_by_bus = |function: &Function| function.reset.iter().any(|method| method == "bus");
    let mut card = facts
        .functions
        .iter()
        .filter(|other| other.sbdf == function.sbdf || siblings.contains(&other.sbdf));
    if own_reset(facts, function).is_none() && card.any(is_by_bus) {
        siblings
    } else {
        Vec::new()
    }
}

/// The functions that firmware reserved the same memory for, if that is known.
pub fn shares_memory(facts: &Facts, function: &Function) -> Option<Vec<Sbdf>> {
    let own = function.reserved.as_ref()?;
    let meet = |a: &Region, b: &Region| {
        a.start < b.start.saturating_add(b.size) && b.start < a.start.saturating_add(a.size)
    };
    let others = facts.functions.iter().filter(|other| {
        let mut regions = other.reserved.iter().flatten();
        other.sbdf != function.sbdf && regions.any(|a| own.iter().any(|b| meet(a, b)))
    });
    Some(others.map(|other| other.sbdf).collect())
}

/// Whether it is a bridge to conventional PCI, whose functions see each other's requests, and have
/// one requester ID.
pub fn joins(function: &Function) -> bool {
    let config = function.config.as_ref();
    function.class >> 8 == 0x0604
        && config.is_some_and(|config| matches!(config.express, None | Some(EXPRESS_TO_PCI)))
}

/// The functions that it can reach, or be reached from, without passing the IOMMU. Bridges are left
/// out.
pub fn reaches(facts: &Facts, function: &Function) -> Vec<Sbdf> {
    let others = facts.functions.iter().filter(|other| {
        other.sbdf != function.sbdf && !other.is_bridge() && meets(facts, function, other)
    });
    others.map(|other| other.sbdf).collect()
}

/// Whether requests of two functions can meet where nothing sends them up to the IOMMU.
fn meets(facts: &Facts, one: &Function, other: &Function) -> bool {
    let path = |function: &Function| -> Vec<Sbdf> {
        let own = std::iter::once(function.sbdf);
        own.chain(function.bridges.iter().copied()).collect()
    };
    let find = |sbdf: &Sbdf| facts.functions.iter().find(|f| f.sbdf == *sbdf);
    let others = path(other);
    // The lowest bus that both are on, or behind.
    let met = path(one).into_iter().enumerate().find_map(|(index, near)| {
        let far = others.iter().find(|far| far.is_on_bus_of(near))?;
        Some((index, near, *far))
    });
    let Some((index, near, far)) = met else {
        return false;
    };
    // The bridge above that bus.
    if path(one).get(index + 1).and_then(find).is_some_and(joins) {
        return true;
    }
    let (Some(near), Some(far)) = (find(&near), find(&far)) else {
        return false;
    };
    if near.sbdf == far.sbdf {
        return false;
    }
    let is_port = is_downstream(near) && is_downstream(far);
    let may_meet = is_port || near.sbdf.is_in_slot_of(far.sbdf);
    may_meet && !(isolates(near) && isolates(far))
}

fn is_downstream(function: &Function) -> bool {
    let express = function.config.as_ref().and_then(|config| config.express);
    matches!(express, Some(ROOT_PORT | DOWNSTREAM_PORT))
}

/// Whether all its requests to others go up to the IOMMU.
fn isolates(function: &Function) -> bool {
    let acs = function.config.as_ref().and_then(|config| config.acs);
    acs.is_some_and(|acs| match is_downstream(function) {
        true => acs.isolates_port(),
        false => acs.isolates_function(),
    })
}
