// SPDX-License-Identifier: GPL-2.0

//! Rules about the whole system.

use crate::doctor::{
    facts::{
        Facts,
        Pciback,
        Xen, //
    },
    finding::{
        Code,
        Finding, //
    },
};

/// Older releases lack `PHYSDEVOP_pci_device_reset`.
const OLDEST: (u32, u32) = (4, 20);
/// Later releases may have another control interface.
const NEWEST: (u32, u32) = (4, 22);

/// Findings about the system, and the hypervisor if functions can be examined as well.
pub fn examine(facts: &Facts) -> (Vec<Finding>, Option<&Xen>) {
    let Some(xen) = &facts.xen else {
        let finding = Finding::fails(
            Code::NoXen,
            "this kernel does not run on Xen: no guest can have a PCI function",
        );
        return (
            vec![finding.remedy("boot Xen with dom0=pvh, with this kernel as dom0")],
            None,
        );
    };
    if !xen.dom0 {
        let text = format!(
            "this is a {} guest, which has no functions to assign",
            xen.kind
        );
        let finding = Finding::fails(Code::Guest, text);
        return (vec![finding.remedy("run this in dom0")], None);
    }
    let rules = [
        not_root, pv_dom0, release, iommu, remapping, owners, xenstore, pcidev, pciback,
        parameters, segments,
    ];
    (
        rules.iter().filter_map(|rule| rule(facts, xen)).collect(),
        Some(xen),
    )
}

/// The parts of the system that work.
pub fn works(facts: &Facts, xen: &Xen) -> Vec<String> {
    let mut works = Vec::new();
    if has_iommu(xen) == Some(true) {
        works.push("IOMMU".to_owned());
    }
    if xen.remapping == Some(true) {
        works.push("interrupt remapping".to_owned());
    }
    if facts.pcidev.is_some() {
        works.push("xen-pcidev".to_owned());
    }
    if matches!(facts.pciback, Some(Pciback::Ours { .. })) {
        works.push("Rust xen-pciback".to_owned());
    }
    works
}

fn has_iommu(xen: &Xen) -> Option<bool> {
    let capabilities = xen.capabilities.as_ref().ok()?;
    Some(capabilities.iter().any(|word| word == "hvm_directio"))
}

fn not_root(facts: &Facts, _: &Xen) -> Option<Finding> {
    (!facts.privileged).then(|| {
        Finding::unknown(
            Code::NotRoot,
            "only root can read configuration space, XenStore and Xen's log",
        )
        .remedy("run this as root")
    })
}

fn pv_dom0(facts: &Facts, xen: &Xen) -> Option<Finding> {
    if xen.is_pvh() {
        return None;
    }
    let text = format!(
        "this dom0 is {}: xen-pcidev and the Rust xen-pciback do not load; use the stock \
         xen-pciback",
        xen.kind
    );
    let remedy = if facts.ours_is_installed && facts.pciback.is_none() {
        format!(
            "boot Xen with dom0=pvh, or load the stock module by its path: insmod \
             /lib/modules/{}/kernel/drivers/xen/xen-pciback/xen-pciback.ko*",
            facts.kernel
        )
    } else {
        "boot Xen with dom0=pvh to use them".to_owned()
    };
    Some(Finding::warning(Code::PvDom0, text).remedy(remedy))
}

fn release(_: &Facts, xen: &Xen) -> Option<Finding> {
    let release = xen.release.filter(|_| xen.is_pvh())?;
    if release < OLDEST {
        let text = format!(
            "Xen {} lacks PHYSDEVOP_pci_device_reset: no function can be made assignable",
            xen.version
        );
        return Some(Finding::fails(Code::OldXen, text).remedy("use Xen 4.20 or later"));
    }
    (release > NEWEST).then(|| {
        let text = format!(
            "Xen {} is newer than this program: look for an update, as xen-pciback may be unable \
             to ask Xen which functions guests have, and goes by XenStore alone then",
            xen.version
        );
        Finding::note(Code::NewXen, text)
    })
}

fn iommu(_: &Facts, xen: &Xen) -> Option<Finding> {
    match (&xen.capabilities, has_iommu(xen)) {
        (Err(why), _) => {
            let text = format!("cannot tell whether Xen uses an IOMMU: xl info: {why}");
            let finding = Finding::unknown(Code::NoXl, text);
            Some(finding.remedy("run as root in dom0, with the tools of this Xen"))
        }
        (_, Some(false)) => Some(
            Finding::fails(
                Code::NoIommu,
                "Xen uses no IOMMU: no HVM guest can have a function (xl info: virt_caps lacks \
                 hvm_directio)",
            )
            .remedy("enable the IOMMU (VT-d, AMD-Vi) in firmware; see xl dmesg"),
        ),
        _ => None,
    }
}

fn remapping(_: &Facts, xen: &Xen) -> Option<Finding> {
    match xen.remapping {
        Some(true) => None,
        Some(false) => Some(
            Finding::warning(
                Code::NoRemapping,
                "the IOMMU does not remap interrupts: a guest with a function can send any \
                 interrupt to the host",
            )
            .remedy("assign functions only to guests that you trust; see xl dmesg for the reason"),
        ),
        // If the log cannot be read, another finding says so.
        None => (xen.owners.is_ok() && has_iommu(xen) == Some(true)).then(|| {
            Finding::unknown(
                Code::NoRemapping,
                "cannot tell whether the IOMMU remaps interrupts: Xen's log does not say any more",
            )
            .remedy("boot Xen with conring_size=64k or more, and look at xl dmesg after a boot")
        }),
    }
}

fn owners(_: &Facts, xen: &Xen) -> Option<Finding> {
    let why = xen.owners.as_ref().err()?;
    let text = format!("cannot tell who owns functions in Xen: {why}");
    Some(Finding::unknown(Code::NoOwners, text).remedy("see xl dmesg"))
}

fn xenstore(_: &Facts, xen: &Xen) -> Option<Finding> {
    let why = xen.guests.as_ref().err()?;
    let text = format!("cannot tell which guest has which function: {why}");
    let finding = Finding::unknown(Code::NoXenstore, text);
    Some(finding.remedy("check that xenstored runs"))
}

fn pcidev(facts: &Facts, xen: &Xen) -> Option<Finding> {
    (xen.is_pvh() && facts.pcidev.is_none()).then(|| {
        Finding::fails(
            Code::NoXenPcidev,
            "xen-pcidev is not loaded: guests get no MSI-X, toolstacks cannot look up interrupt \
             lines, and dom0 may lose lines",
        )
        .remedy("modprobe xen-pcidev before making functions assignable")
    })
}

fn pciback(facts: &Facts, xen: &Xen) -> Option<Finding> {
    match facts.pciback {
        None => Some(
            Finding::warning(
                Code::NoXenPciback,
                "xen-pciback is not loaded: no function can be made assignable",
            )
            .remedy("modprobe xen-pciback"),
        ),
        Some(Pciback::Stock) if xen.is_pvh() => Some(
            Finding::warning(
                Code::StockXenPciback,
                "the stock xen-pciback is loaded: it refuses functions without a routed INTx pin, \
                 hands on functions whose reset failed, and crashes Xen if it takes a function \
                 that Xen refused, or if a function is unplugged under a guest",
            )
            .remedy(if facts.ours_is_installed {
                "when no guest has a function: modprobe -r xen-pciback; modprobe xen-pciback; then \
                 rebuild the initramfs"
            } else {
                "install the Rust xen-pciback below /lib/modules/VERSION/updates, run depmod, and \
                 reload xen-pciback"
            }),
        ),
        _ => None,
    }
}

fn parameters(facts: &Facts, _: &Xen) -> Option<Finding> {
    let mut off = Vec::new();
    if let Some(pcidev) = facts.pcidev {
        let stock = facts.pciback == Some(Pciback::Stock);
        off.extend(
            (!pcidev.unmask).then_some("xen-pcidev unmask=0: dom0 may lose interrupt lines"),
        );
        off.extend(
            (!pcidev.lend).then_some(
                "xen-pcidev lend=0: guests get 1,000 INTx interrupts per second at most",
            ),
        );
        off.extend((!pcidev.hold).then_some("xen-pcidev hold=0: guests get no MSI-X"));
        off.extend(
            (!pcidev.guard).then_some(
                "xen-pcidev guard=0: a guest with an Intel GPU may get memory of the host",
            ),
        );
        off.extend((stock && !pcidev.reset).then_some(
            "xen-pcidev reset=0: functions with MSI-X and FLR cannot be made assignable",
        ));
    }
    if matches!(facts.pciback, Some(Pciback::Ours { tell: false, .. })) {
        off.push("xen-pciback tell=0: Xen is not told of resets, which breaks functions");
    }
    (!off.is_empty()).then(|| {
        Finding::warning(Code::Parameter, off.join("; "))
            .remedy("load the modules without these parameters: see /etc/modprobe.d")
    })
}

fn segments(facts: &Facts, _: &Xen) -> Option<Finding> {
    (!facts.beyond.is_empty()).then(|| {
        let text = format!(
            "Xen supports 16-bit PCI segment numbers only; no guest can have {}",
            facts.beyond.join(", ")
        );
        Finding::note(Code::Segment, text).remedy("disable Intel VMD (or similar) in firmware")
    })
}
