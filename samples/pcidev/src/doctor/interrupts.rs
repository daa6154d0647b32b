// SPDX-License-Identifier: GPL-2.0

//! Whether a function can interrupt its guest.

use crate::doctor::{
    facts::Function,
    finding::{
        Code,
        Finding, //
    },
    patient::{
        list,
        Hold,
        Patient, //
    },
};

/// No INTx pin, no MSI, no MSI-X.
pub fn no_interrupt(p: &Patient<'_>) -> Option<Finding> {
    let no_pin = p.function.config.as_ref()?.pin.is_none();
    (no_pin && !p.sends_messages()).then(|| {
        Finding::note(
            Code::NoInterrupt,
            "it has no INTx pin, no MSI and no MSI-X: it cannot interrupt its guest",
        )
    })
}

/// An unrouted INTx pin.
pub fn no_route(p: &Patient<'_>) -> Option<Finding> {
    if !p.has_unrouted_pin() {
        return None;
    }
    let pin = p.pin()?;
    let text = format!("firmware does not route its INTx pin {pin}");
    Some(if p.sends_messages() {
        let text = text + ": its guest must use MSI or MSI-X";
        Finding::note(Code::NoRoute, text)
    } else {
        let text = text + ", and it has no MSI or MSI-X: it cannot interrupt its guest";
        Finding::warning(Code::NoRoute, text).remedy("look for a firmware update")
    })
}

/// A line that it shares with a function of another owner.
pub fn shared_line(p: &Patient<'_>) -> Option<Finding> {
    let gsi = p.function.gsi?;
    let others = p.others(|other| {
        let of_same_guest = p.guest().is_some() && p.guest_of(other.sbdf) == p.guest();
        // A function without a driver raises no interrupts.
        let in_use = other.driver.is_some() && !other.is_bridge();
        other.gsi == Some(gsi) && in_use && !of_same_guest
    });
    if others.is_empty() {
        return None;
    }
    let text = format!(
        "it shares the INTx line GSI {gsi} with {}: if both use INTx, both handlers run on every \
         interrupt, and either device can keep the line asserted",
        list(others)
    );
    Some(if p.sends_messages() {
        Finding::note(Code::SharedLine, text)
            .remedy("let the guest's driver use MSI or MSI-X, as most do by default")
    } else {
        Finding::warning(Code::SharedLine, text)
            .remedy("assign all of them to one guest, or move it to another slot")
    })
}

/// Its MSI-X table is not held.
pub fn no_hold(p: &Patient<'_>) -> Option<Finding> {
    let has_table = p.function.config.as_ref()?.msix_entries > 0;
    if !has_table || !p.function.seized() || p.hold() != Hold::Missing {
        return None;
    }
    let why = match (&p.facts.pcidev, p.function.msix.as_deref()) {
        (None, _) => "xen-pcidev is not loaded",
        (_, Some("refused")) => "Xen refused; see the kernel log",
        _ => "xen-pcidev did not try",
    };
    let text = format!("its MSI-X table is not held ({why}): its guest gets no MSI-X interrupts");
    let mut remedy = format!(
        "xl pci-assignable-remove {0}, then xl pci-assignable-add {0}",
        p.function.sbdf
    );
    if p.facts.pcidev.is_none() {
        remedy = format!("modprobe xen-pcidev, then {remedy}");
    }
    Some(Finding::fails(Code::NoHold, text).remedy(remedy))
}

/// Its table has more entries than Xen gives a guest interrupts.
pub fn many_interrupts(p: &Patient<'_>) -> Option<Finding> {
    let (entries, most) = (p.function.config.as_ref()?.msix_entries, p.xen.guest_irqs);
    (entries > most).then(|| {
        let text = format!(
            "its MSI-X table has {entries} entries, but all functions of a guest together can have \
             {most} interrupts: a driver that wants more gets none (QEMU: \"Mapping of MSI-X (err: \
             28)\")"
        );
        Finding::note(Code::ManyInterrupts, text).remedy(format!(
            "boot Xen with extra_guest_irqs={}, or limit the queues of the guest's driver",
            entries.saturating_add(most)
        ))
    })
}

/// Xen keeps one of its 32 I/O handlers for dom0 each time that the list of the functions with
/// MSI-X in its vPCI, empty until then, gets one.
pub fn only_msix(p: &Patient<'_>) -> Option<Finding> {
    let has_table = |function: &Function| {
        let config = function.config.as_ref();
        config.is_some_and(|config| config.msix_entries > 0)
    };
    let stays =
        |other: &Function| has_table(other) && !other.seized() && p.guest_of(other.sbdf).is_none();
    (p.xen.is_pvh() && has_table(p.function) && p.others(stays).is_empty()).then(|| {
        Finding::warning(
            Code::OnlyMsix,
            "no other function that stays in dom0 has MSI-X: Xen crashes dom0 when this one has \
             been made assignable and returned some ten times since the boot",
        )
        .remedy(
            "let it stay assignable when a guest ends (no managed=\"yes\" of libvirt, no seize=1 \
             of xl), or keep another function with MSI-X in dom0",
        )
    })
}
