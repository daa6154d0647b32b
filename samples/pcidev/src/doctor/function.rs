// SPDX-License-Identifier: GPL-2.0

//! Findings about one function.

use crate::doctor::{
    device,
    finding::Finding,
    graphics,
    interrupts,
    limits,
    owner,
    patient::Patient, //
};

type Rule = fn(&Patient<'_>) -> Option<Finding>;

/// If one of these applies, no other rule is tried.
const FATAL: [Rule; 4] = [owner::bridge, owner::gone, owner::refused, owner::xen_uses];

const RULES: [Rule; 24] = [
    owner::in_use,
    owner::other_override,
    owner::quarantine,
    owner::stray,
    owner::broken,
    owner::stock_refuses,
    interrupts::no_interrupt,
    interrupts::no_route,
    interrupts::shared_line,
    interrupts::no_hold,
    interrupts::many_interrupts,
    interrupts::only_msix,
    device::no_reset,
    device::shared_dma,
    device::bar_unset,
    device::bars_lost,
    device::shared_page,
    device::reserved_memory,
    limits::mmio_hole,
    graphics::boot_display,
    graphics::intel_graphics,
    graphics::stolen_memory,
    graphics::slot_of_graphics,
    device::virtual_functions,
];

/// Why no guest can have the function, whatever else is true of it.
pub fn fatal(patient: &Patient<'_>) -> Option<Finding> {
    FATAL.iter().find_map(|rule| rule(patient))
}

/// The features that work, or would work in a guest, and all findings.
pub fn examine(patient: &Patient<'_>) -> (Vec<String>, Vec<Finding>) {
    if let Some(finding) = fatal(patient) {
        return (Vec::new(), vec![finding]);
    }
    let findings = RULES.iter().filter_map(|rule| rule(patient));
    (patient.works(), findings.collect())
}
