// SPDX-License-Identifier: GPL-2.0

//! What is peculiar to a function: resets, DMA, memory, displays.

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
        patient::{
            list,
            Patient, //
        },
    },
    sbdf::Sbdf, //
};

/// What one owner leaves in it is still there.
pub fn no_reset(p: &Patient<'_>) -> Option<Finding> {
    p.function.reset.is_empty().then(|| {
        Finding::warning(
            Code::NoReset,
            "Linux knows no way to reset it: what one owner leaves in it, the next one finds",
        )
        .remedy("give it only to guests that you trust")
    })
}

/// PCI Express bridges to conventional PCI, which make requests in the name of all behind them.
fn joins(function: &Function) -> bool {
    const EXPRESS_TO_PCI: u8 = 7;
    let config = function.config.as_ref();
    function.class >> 8 == 0x0604
        && config.is_some_and(|config| matches!(config.express, None | Some(EXPRESS_TO_PCI)))
}

/// Others have it in common with this one whom DMA comes from.
pub fn shared_dma(p: &Patient<'_>) -> Option<Finding> {
    let all = &p.facts.functions;
    let joining = |bridge: &&Sbdf| all.iter().any(|f| f.sbdf == **bridge && joins(f));
    let bridge = p.function.bridges.iter().find(joining);
    let behind = p.others(|f| bridge.is_some_and(|bridge| f.bridges.contains(bridge)));
    let mut others: BTreeSet<_> = p.function.group.iter().copied().chain(behind).collect();
    others.remove(&p.function.sbdf);
    (!others.is_empty()).then(|| {
        let text = format!(
            "the IOMMU cannot tell it from {}: whoever has one can reach by DMA what the other \
             may reach",
            list(others)
        );
        Finding::warning(Code::SharedDma, text).remedy("give all of them to one guest")
    })
}

/// A BAR that does not work.
pub fn bar_unset(p: &Patient<'_>) -> Option<Finding> {
    let unset = |(_, resource): &(usize, &Resource)| resource.is_unset();
    let bars = p.function.resources.iter().take(Resource::ROM).enumerate();
    let numbers: Vec<_> = bars
        .filter(unset)
        .map(|(number, _)| number.to_string())
        .collect();
    (!numbers.is_empty()).then(|| {
        let text = format!("no address was found for BAR {}", numbers.join(", "));
        Finding::fails(Code::BarUnset, text)
            .remedy("boot dom0 with pci=realloc, or let the firmware decode above 4 GiB")
    })
}

/// BARs that are zero, though Linux believes otherwise.
pub fn bars_lost(p: &Patient<'_>) -> Option<Finding> {
    let lost = !p.function.config.as_ref()?.bars_are_set && !p.function.is_virtual;
    let bars = p.function.resources.iter().take(Resource::ROM);
    // With a guest they are what the guest writes.
    (lost && p.guest().is_none() && { bars }.any(|bar| bar.start != 0)).then(|| {
        Finding::fails(
            Code::BarsLost,
            "its BARs were lost: somebody has reset it and put nothing back",
        )
        .remedy(format!(
            "echo 1 >/sys/bus/pci/devices/{}/remove; echo 1 >/sys/bus/pci/rescan",
            p.function.sbdf
        ))
    })
}

/// A guest gets memory by pages.
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
            "a BAR lies in one page of memory with {}: the guest reaches those registers, too",
            list(others)
        );
        Finding::warning(Code::SharedPage, text)
            .remedy("boot dom0 with pci=resource_alignment=, or give all of them to one guest")
    })
}

/// Dom0 may need its screen.
pub fn boot_display(p: &Patient<'_>) -> Option<Finding> {
    if !p.function.boot_display {
        return None;
    }
    let mut text = "it is the display that the firmware used: dom0 loses its screen".to_owned();
    let rom = p.function.resources.get(Resource::ROM);
    if rom.is_some_and(|rom| rom.is_shadow()) {
        text += ", and the guest finds no ROM but the copy that the firmware has run";
    }
    let finding = Finding::warning(Code::BootDisplay, text);
    Some(finding.remedy("use another card, or a serial console, for dom0"))
}

const INTEL: u32 = 0x8086;
/// Where QEMU looks for Intel graphics.
const INTEL_GRAPHICS: Sbdf = Sbdf::from_u32(0x10);

fn is_display(function: &Function) -> bool {
    function.class >> 16 == 0x03
}

/// What is missing for Intel graphics.
pub fn intel_graphics(p: &Patient<'_>) -> Option<Finding> {
    let f = p.function;
    (f.vendor == INTEL && is_display(f) && f.sbdf == INTEL_GRAPHICS).then(|| {
        Finding::warning(
            Code::IntelGraphics,
            "Intel graphics need memory of the firmware (OpRegion, stolen memory), which no \
             part of this hands over",
        )
    })
}

/// What QEMU takes for Intel graphics.
pub fn slot_of_graphics(p: &Patient<'_>) -> Option<Finding> {
    let f = p.function;
    (f.vendor == INTEL && !is_display(f) && f.sbdf == INTEL_GRAPHICS).then(|| {
        Finding::fails(
            Code::IntelGraphics,
            "QEMU takes what Intel has at 00:02.0 for graphics, and refuses this",
        )
        .remedy("put it into another slot")
    })
}

/// These go with their physical function.
pub fn virtual_functions(p: &Patient<'_>) -> Option<Finding> {
    let count = p.function.virtual_functions;
    (count > 0).then(|| {
        let text = format!("it has {count} virtual functions, which go when it leaves its driver");
        Finding::note(Code::VirtualFunctions, text).remedy(format!(
            "echo 0 >/sys/bus/pci/devices/{}/sriov_numvfs first",
            p.function.sbdf
        ))
    })
}
