// SPDX-License-Identifier: GPL-2.0

//! Rules about the function itself: resets, DMA, memory.

use std::collections::BTreeSet;

use crate::{
    doctor::{
        facts::{
            Function,
            Resource, //
        },
        finding::{
            Code,
            Finding, //
        },
        limits,
        patient::{
            list,
            Patient, //
        },
        reach::{
            joins,
            shares_memory, //
        }, //
    },
    sbdf::Sbdf,
    uapi::Region, //
};

/// No reset method: state leaks to the next owner.
pub fn no_reset(p: &Patient<'_>) -> Option<Finding> {
    // One with virtual functions cannot be reset while guests have those.
    if p.reset_method().is_some() || p.function.virtual_functions > 0 {
        return None;
    }
    let siblings = p.reset_with();
    Some(if siblings.is_empty() {
        let text = "Linux has no way to reset it: state leaks to its next owner";
        Finding::warning(Code::NoReset, text).remedy("assign it only to guests that you trust")
    } else {
        let siblings = list(siblings);
        let text = format!(
            "only a reset of its bus resets it, with {siblings}: state leaks to its next owner"
        );
        Finding::warning(Code::NoReset, text).remedy(format!(
            "make {siblings} assignable, too: the Rust xen-pciback resets them together"
        ))
    })
}

/// The IOMMU cannot distinguish its DMA from that of other functions.
pub fn shared_dma(p: &Patient<'_>) -> Option<Finding> {
    let all = &p.facts.functions;
    let joining = |bridge: &&Sbdf| all.iter().any(|f| f.sbdf == **bridge && joins(f));
    let bridge = p.function.bridges.iter().find(joining);
    let behind = p.others(|f| bridge.is_some_and(|bridge| f.bridges.contains(bridge)));
    let mut others: BTreeSet<_> = p.function.group.iter().copied().chain(behind).collect();
    others.remove(&p.function.sbdf);
    (!others.is_empty()).then(|| {
        let text = format!(
            "not DMA-isolated from {}: the IOMMU cannot tell them apart",
            list(others)
        );
        Finding::warning(Code::SharedDma, text).remedy("assign all of them to one guest")
    })
}

/// A BAR to which Linux assigned no address.
pub fn bar_unset(p: &Patient<'_>) -> Option<Finding> {
    let unset = |(_, resource): &(usize, &Resource)| resource.is_unset();
    let bars = p.function.resources.iter().take(Resource::ROM).enumerate();
    let numbers: Vec<_> = bars
        .filter(unset)
        .map(|(number, _)| number.to_string())
        .collect();
    (!numbers.is_empty()).then(|| {
        let text = format!("Linux found no address for BAR {}", numbers.join(", "));
        Finding::fails(Code::BarUnset, text)
            .remedy("boot dom0 with pci=realloc, or enable decoding above 4 GiB in firmware")
    })
}

/// BARs that read zero although Linux assigned addresses to them.
pub fn bars_lost(p: &Patient<'_>) -> Option<Finding> {
    let lost = !p.function.config.as_ref()?.bars_are_set && p.function.physfn.is_none();
    let bars = p.function.resources.iter().take(Resource::ROM);
    // The BARs of an assigned function hold what its guest wrote.
    (lost && p.guest().is_none() && { bars }.any(|bar| bar.start != 0)).then(|| {
        Finding::fails(
            Code::BarsLost,
            "its BARs read zero: something reset it without restoring them",
        )
        .remedy(format!(
            "echo 1 >/sys/bus/pci/devices/{}/remove; echo 1 >/sys/bus/pci/rescan",
            p.function.sbdf
        ))
    })
}

/// Xen maps whole pages to a guest: a neighbour in the same page is mapped, too.
pub fn shared_page(p: &Patient<'_>) -> Option<Finding> {
    const PAGE: u32 = 12;
    let pages = |function: &Function| -> Vec<(u64, u64)> {
        let bars = function.resources.iter().take(Resource::ROM);
        let memory = bars.filter(|bar| bar.is_memory() && bar.start != 0);
        memory
            .map(|bar| (bar.start >> PAGE, bar.end >> PAGE))
            .collect()
    };
    let own = pages(p.function);
    let others = p.others(|other| {
        let other_pages = pages(other);
        let overlap = |a: &(u64, u64)| other_pages.iter().any(|b| a.0 <= b.1 && b.0 <= a.1);
        own.iter().any(overlap)
    });
    (!others.is_empty()).then(|| {
        let text = format!(
            "a BAR shares a page with {}: the guest can access those registers, too",
            list(others)
        );
        Finding::warning(Code::SharedPage, text)
            .remedy("boot dom0 with pci=resource_alignment=, or assign all of them to one guest")
    })
}

/// Xen maps the memory that firmware reserved for it into its guest.
pub fn reserved_memory(p: &Patient<'_>) -> Option<Finding> {
    let regions = p
        .function
        .reserved
        .as_ref()
        .filter(|regions| !regions.is_empty())?;
    let range = |region: &Region| {
        let last = region.start.saturating_add(region.size).saturating_sub(1);
        format!("{:#x}-{last:#x}", region.start)
    };
    let ranges: Vec<_> = regions.iter().map(range).collect();
    let ranges = ranges.join(", ");
    let others = shares_memory(p.facts, p.function).unwrap_or_default();
    Some(if others.is_empty() {
        let mut text = format!(
            "firmware reserved memory for it: Xen maps {ranges} into its guest, at the same addresses"
        );
        let mut remedy =
            "if it is attached to a running guest, that needs rdm = \"strategy=host\"".to_owned();
        let lowest = regions.iter().map(|region| region.start).min();
        if let Some((conflict, way)) = lowest.and_then(limits::conflict) {
            text = format!("{text}; {conflict}");
            remedy = format!("{remedy}; a guest with much memory needs {way}");
        }
        Finding::note(Code::ReservedMemory, text).remedy(remedy)
    } else {
        let text = format!(
            "firmware reserved memory ({ranges}) for it and {}: Xen refuses it to guests with \
             rdm_policy=strict, the default",
            list(others)
        );
        Finding::warning(Code::ReservedMemory, text)
            .remedy("assign all of them to one guest, each with \"SBDF,rdm_policy=relaxed\"")
    })
}

/// Its virtual functions disappear when its driver is unbound, unless guests have them.
pub fn virtual_functions(p: &Patient<'_>) -> Option<Finding> {
    let count = p.function.virtual_functions;
    (count > 0).then(|| {
        let is_own = |other: &Function| other.physfn == Some(p.function.sbdf);
        let of_guests = p.others(|other| is_own(other) && p.guest_of(other.sbdf).is_some());
        let text = if of_guests.is_empty() {
            format!("its {count} virtual functions disappear when its driver is unbound")
        } else {
            format!(
                "it can be neither reset nor made assignable while guests have {}",
                list(of_guests)
            )
        };
        Finding::note(Code::VirtualFunctions, text).remedy(format!(
            "first echo 0 >/sys/bus/pci/devices/{}/sriov_numvfs",
            p.function.sbdf
        ))
    })
}
