// SPDX-License-Identifier: GPL-2.0

//! Rules about the owner of a function.

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

/// Bridges cannot be assigned.
pub fn bridge(p: &Patient<'_>) -> Option<Finding> {
    p.function
        .is_bridge()
        .then(|| Finding::note(Code::Bridge, "a bridge cannot be assigned to a guest"))
}

/// A function that was unplugged or has no power.
pub fn gone(p: &Patient<'_>) -> Option<Finding> {
    (!p.function.config.as_ref()?.answers).then(|| {
        let text = "it does not answer: its configuration space reads all ones";
        Finding::fails(Code::Gone, text).remedy(format!(
            "check that it is plugged in and powered; then echo 1 >/sys/bus/pci/devices/{}/remove; \
             echo 1 >/sys/bus/pci/rescan",
            p.function.sbdf
        ))
    })
}

/// A function that Xen did not accept when Linux announced it.
pub fn refused(p: &Patient<'_>) -> Option<Finding> {
    if p.owner()? != Owner::Nobody {
        return None;
    }
    let mut text = "Xen refuses it: it cannot be assigned to a guest".to_owned();
    if p.function.physfn.is_some() && p.xen.is_pvh() {
        text += "; this Xen does not support SR-IOV virtual functions of a PVH dom0";
    }
    if p.facts.pciback == Some(Pciback::Stock) {
        text += "; do not make it assignable: the stock xen-pciback would crash Xen";
    }
    let remedy = if p.function.physfn.is_some() {
        "use Xen 4.21 or later, or assign the physical function instead"
    } else {
        "see xl dmesg for the reason; then remove it and rescan"
    };
    Some(Finding::fails(Code::Refused, text).remedy(remedy))
}

/// A function that Xen keeps, such as its serial port.
pub fn xen_uses(p: &Patient<'_>) -> Option<Finding> {
    (p.owner()? == Owner::Xen)
        .then(|| Finding::fails(Code::XenUses, "Xen uses it itself and hides it from dom0"))
}

/// A function that dom0 itself cannot do without.
pub fn in_use(p: &Patient<'_>) -> Option<Finding> {
    (!p.function.uses.is_empty()).then(|| {
        let text = format!("dom0 uses it for {}", p.function.uses.join(", "));
        Finding::warning(Code::InUse, text)
            .remedy("do not make it assignable before dom0 can do without it")
    })
}

/// A function that only another driver may have.
pub fn other_override(p: &Patient<'_>) -> Option<Finding> {
    let driver = p.function.driver_override.as_deref()?;
    (driver != "pciback" && !p.function.seized()).then(|| {
        let text = format!("its driver_override is {driver}: xl cannot make it assignable");
        Finding::warning(Code::Override, text).remedy(format!(
            "driverctl unset-override {0}, or echo >/sys/bus/pci/devices/{0}/driver_override",
            p.function.sbdf
        ))
    })
}

/// A function that was unbound from xen-pciback by hand.
pub fn quarantine(p: &Patient<'_>) -> Option<Finding> {
    let left = match p.owner() {
        Some(owner) => owner == Owner::Quarantine,
        // The table of a function that dom0 owns is not held.
        None => p.function.msix.as_deref() == Some("held"),
    };
    if p.function.seized() || !left {
        return None;
    }
    let text = "in Xen's quarantine, but not bound to xen-pciback: dom0 cannot use it, since Xen \
                blocks its DMA and interrupts";
    Some(Finding::fails(Code::Quarantine, text).remedy(format!(
        "xl pci-assignable-add {0}, then xl pci-assignable-remove {0}",
        p.function.sbdf
    )))
}

/// Xen assigned it to a guest, but xen-pciback or the toolstack does not know.
pub fn stray(p: &Patient<'_>) -> Option<Finding> {
    let Some(Owner::Domain(domain @ 1..)) = p.owner() else {
        return None;
    };
    let text = if !p.function.seized() {
        format!("assigned to guest {domain}, but not bound to xen-pciback")
    } else if p.xen.guests.is_ok() && p.guest().is_none() {
        format!("assigned to guest {domain} in Xen, but not in XenStore")
    } else {
        return None;
    };
    Some(Finding::fails(Code::Stray, text).remedy(format!("xl destroy {domain}")))
}

/// A function that the Rust xen-pciback gave up.
pub fn broken(p: &Patient<'_>) -> Option<Finding> {
    (p.function.state.as_deref() == Some("broken")).then(|| {
        Finding::fails(
            Code::Broken,
            "its reset failed, so no guest can have it: see the kernel log",
        )
        .remedy(format!(
            "xl pci-assignable-add {} tries the reset again",
            p.function.sbdf
        ))
    })
}

/// A function that the stock xen-pciback refuses.
pub fn stock_refuses(p: &Patient<'_>) -> Option<Finding> {
    let stock = p.facts.pciback == Some(Pciback::Stock) && p.xen.is_pvh();
    let no_pin = p.function.config.as_ref()?.pin.is_none();
    (stock && (no_pin || p.has_unrouted_pin())).then(|| {
        Finding::fails(
            Code::StockRefuses,
            "the stock xen-pciback refuses it: it has no INTx line",
        )
        .remedy("use the Rust xen-pciback")
    })
}
