// SPDX-License-Identifier: GPL-2.0

//! Who has a function, and who may have it.

use crate::doctor::{
    facts::{
        Owner,
        Pciback, //
    },
    finding::{
        Code,
        Finding, //
    },
    patient::Patient,
};

/// Bridges stay with dom0.
pub fn bridge(p: &Patient<'_>) -> Option<Finding> {
    p.function
        .is_bridge()
        .then(|| Finding::note(Code::Bridge, "a bridge cannot be handed to a guest"))
}

/// What was unplugged or has no power.
pub fn gone(p: &Patient<'_>) -> Option<Finding> {
    (!p.function.config.as_ref()?.answers).then(|| {
        let text = "it does not answer: its configuration space reads as ones";
        Finding::fails(Code::Gone, text).remedy(format!(
            "see whether it is plugged in and powered; echo 1 >/sys/bus/pci/devices/{}/remove \
             and rescan",
            p.function.sbdf
        ))
    })
}

/// What Xen did not accept from Linux.
pub fn refused(p: &Patient<'_>) -> Option<Finding> {
    if p.owner()? != Owner::Nobody {
        return None;
    }
    let mut text = "Xen refuses it, so no guest can have it".to_owned();
    if p.function.is_virtual && p.xen.is_pvh() {
        text += ": it is an SR-IOV virtual function, which this Xen does not know in a PVH dom0";
    }
    if p.facts.pciback == Some(Pciback::Stock) {
        text += "; do not make it assignable, as the kernel's own xen-pciback would bring Xen down";
    }
    let remedy = if p.function.is_virtual {
        "give a guest the physical function"
    } else {
        "see xl dmesg for the reason; remove it and rescan"
    };
    Some(Finding::fails(Code::Refused, text).remedy(remedy))
}

/// What Xen keeps, such as its serial port.
pub fn xen_uses(p: &Patient<'_>) -> Option<Finding> {
    (p.owner()? == Owner::Xen)
        .then(|| Finding::fails(Code::XenUses, "Xen uses it itself, and hides it from dom0"))
}

/// What was unbound from xen-pciback by hand.
pub fn quarantine(p: &Patient<'_>) -> Option<Finding> {
    let left = match p.owner() {
        Some(owner) => owner == Owner::Quarantine,
        // The table of one that dom0 has is not held.
        None => p.function.msix.as_deref() == Some("held"),
    };
    if p.function.seized() || !left {
        return None;
    }
    let text = "it was taken from xen-pciback while Xen has it in quarantine: dom0 cannot use it, \
                as its DMA and interrupts lead nowhere";
    Some(Finding::fails(Code::Quarantine, text).remedy(format!(
        "xl pci-assignable-add {0} and then xl pci-assignable-remove {0}",
        p.function.sbdf
    )))
}

/// A guest has it, by Xen alone.
pub fn stray(p: &Patient<'_>) -> Option<Finding> {
    let Some(Owner::Domain(domain @ 1..)) = p.owner() else {
        return None;
    };
    let text = if !p.function.seized() {
        format!("guest {domain} has it, but it was taken from xen-pciback")
    } else if p.xen.guests.is_ok() && p.guest().is_none() {
        format!("Xen says that guest {domain} has it, but the toolstack knows nothing of that")
    } else {
        return None;
    };
    Some(Finding::fails(Code::Stray, text).remedy(format!("xl destroy {domain}")))
}

/// What our xen-pciback has given up.
pub fn broken(p: &Patient<'_>) -> Option<Finding> {
    (p.function.state.as_deref() == Some("broken")).then(|| {
        Finding::fails(
            Code::Broken,
            "its reset failed, so no guest gets it: see the kernel log",
        )
        .remedy(format!(
            "xl pci-assignable-add {} tries again",
            p.function.sbdf
        ))
    })
}

/// What the kernel's own xen-pciback gives up.
pub fn stock_refuses(p: &Patient<'_>) -> Option<Finding> {
    let stock = p.facts.pciback == Some(Pciback::Stock) && p.xen.is_pvh();
    let no_pin = p.function.config.as_ref()?.pin.is_none();
    (stock && (no_pin || p.has_unrouted_pin())).then(|| {
        Finding::fails(
            Code::StockRefuses,
            "the kernel's own xen-pciback does not take it, as it has no INTx line",
        )
        .remedy("use the xen-pciback in Rust")
    })
}
