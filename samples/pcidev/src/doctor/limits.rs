// SPDX-License-Identifier: GPL-2.0

//! Limits of Xen for the memory of a guest: the hole for BARs below 4 GiB, memory that firmware
//! reserved, and populate on demand. As Xen 4.20 has them in libxl and in hvmloader.

use crate::doctor::{
    facts::{
        Facts,
        Function,
        Guest,
        Pciback,
        Resource,
        Xen, //
    },
    finding::{
        Code,
        Finding, //
    },
    guest_config::GuestConfig,
    patient::{
        list,
        Patient, //
    },
};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Bytes at the end of the hole that are not for BARs.
const NOT_FOR_BARS: u64 = 64 * MIB;
/// What the BARs of QEMU's own devices may take: graphics of 32 MiB, the platform device of 16 MiB.
const OF_QEMU: u64 = 64 * MIB;
/// Holes that hvmloader makes by itself, if no memory is there, and the largest one that is known
/// to work with `mmio_hole`.
const HOLES: [u64; 5] = [256 * MIB, 512 * MIB, GIB, 2 * GIB, 3 * GIB];
/// The default of `rdm_mem_boundary`. Memory of a guest is moved out of the way of regions above.
const BOUNDARY: u64 = 2 * GIB;
/// The video memory is not a part of what is laid out; this is the most that it is by default.
const VIDEO: u64 = 16 * MIB;

/// Bytes of BARs that hvmloader puts below 4 GiB, if it can.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sizes {
    /// All.
    all: u64,
    /// Those that have no other place: the ROM, and BARs with addresses of 32 bits.
    low: u64,
}

impl Sizes {
    fn of<'a>(functions: impl Iterator<Item = &'a Function>) -> Self {
        let mut sizes = Self::default();
        for function in functions {
            for bar in function.resources.iter().take(Resource::ROM + 1) {
                let size = bar.size();
                // hvmloader puts larger ones above 4 GiB, always.
                if bar.is_memory() && !(bar.is_wide() && size > GIB) {
                    sizes.all = sizes.all.saturating_add(size);
                    if !bar.is_wide() {
                        sizes.low = sizes.low.saturating_add(size);
                    }
                }
            }
        }
        sizes
    }
}

fn fits(bytes: u64, hole: u64) -> bool {
    bytes.saturating_add(NOT_FOR_BARS + OF_QEMU) <= hole
}

/// The smallest hole for so many bytes of BARs.
fn hole_for(bytes: u64) -> Option<u64> {
    HOLES.into_iter().find(|hole| fits(bytes, *hole))
}

/// The hole that a guest gets: hvmloader makes it larger as long as there is no memory.
fn hole_of(config: &GuestConfig, bytes: u64) -> Option<u64> {
    if let Some(hole) = config.mmio_hole.filter(|hole| *hole > 0) {
        return hole.checked_mul(1 << 10);
    }
    let memory = config.bytes()?.min(4 * GIB - HOLES[0]);
    let free: Vec<_> = HOLES
        .into_iter()
        .filter(|hole| *hole <= 2 * GIB && memory <= 4 * GIB - *hole)
        .collect();
    let large = free.iter().find(|hole| fits(bytes, **hole));
    large.or(free.last()).copied()
}

fn mib(bytes: u64) -> u64 {
    bytes / MIB
}

fn remedy(bytes: u64) -> String {
    match hole_for(bytes) {
        Some(hole) => format!(
            "mmio_hole = {} in the configuration of the guest",
            mib(hole)
        ),
        None => "no hole is large enough: give the functions to several guests".to_owned(),
    }
}

/// Its BARs do not fit below 4 GiB in guests with much memory.
pub fn mmio_hole(p: &Patient<'_>) -> Option<Finding> {
    let sizes = Sizes::of([p.function].into_iter());
    let least = |bytes| match hole_for(bytes) {
        Some(hole) if hole <= 2 * GIB => {
            format!(
                "in a guest with more than {} MiB of memory",
                mib(4 * GIB - hole)
            )
        }
        _ => "in any guest without mmio_hole".to_owned(),
    };
    if !fits(sizes.low, HOLES[0]) {
        let text = format!(
            "{} MiB of its BARs (with 32-bit addresses, or the ROM) may not fit below 4 GiB {}: it \
             does not work then",
            mib(sizes.low),
            least(sizes.low)
        );
        return Some(Finding::warning(Code::MmioHole, text).remedy(remedy(sizes.low)));
    }
    (!fits(sizes.all, HOLES[0])).then(|| {
        let text = format!(
            "its BARs ({} MiB) do not all fit below 4 GiB {}: some with 64-bit addresses are above \
             then, where a guest of 32 bits cannot use them",
            mib(sizes.all),
            least(sizes.all)
        );
        Finding::note(Code::MmioHole, text)
            .remedy(format!("for such a guest, {}", remedy(sizes.all)))
    })
}

/// All limits that a configuration meets. `functions` are those of the guest.
pub fn of_config(
    facts: &Facts,
    guest: &Guest,
    config: &GuestConfig,
    functions: &[&Function],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if functions.is_empty() {
        return findings;
    }
    // What runs has been accepted.
    let is_new = guest.domain.is_none();
    if is_new {
        let is_pvh = facts.xen.as_ref().is_some_and(Xen::is_pvh);
        findings.extend(kind(config, is_pvh.then_some(facts.pciback).flatten()));
    }
    // The rest is about guests with addresses of their own.
    if config.kind == "pv" {
        return findings;
    }
    findings.extend(hole_of_guest(config, functions));
    if is_new {
        findings.extend(populate_on_demand(config));
        findings.extend(reserved(config, functions));
    }
    findings
}

fn hole_of_guest(config: &GuestConfig, functions: &[&Function]) -> Option<Finding> {
    let sizes = Sizes::of(functions.iter().copied());
    let hole = hole_of(config, sizes.all)?;
    if !fits(sizes.low, hole) {
        let text = format!(
            "{} MiB of the BARs of its functions (with 32-bit addresses, or ROMs) may not fit into \
             the hole of {} MiB below 4 GiB: a function that has no address for one does not work",
            mib(sizes.low),
            mib(hole)
        );
        return Some(Finding::warning(Code::MmioHole, text).remedy(remedy(sizes.low)));
    }
    (!fits(sizes.all, hole)).then(|| {
        let text = format!(
            "the BARs of its functions ({} MiB) do not all fit into the hole of {} MiB below 4 \
             GiB: some with 64-bit addresses are above, where a guest of 32 bits cannot use them",
            mib(sizes.all),
            mib(hole)
        );
        let remedy = format!("for such a guest, {}", remedy(sizes.all));
        Finding::note(Code::MmioHole, text).remedy(remedy)
    })
}

/// `pciback` is the driver of a PVH dom0.
fn kind(config: &GuestConfig, pciback: Option<Pciback>) -> Option<Finding> {
    let (text, remedy) = match (config.kind.as_str(), pciback) {
        ("pv", Some(Pciback::Stock)) => (
            "the stock xen-pciback crashes a PVH dom0 when a PV guest enables MSI",
            "the Rust xen-pciback, or type = \"hvm\"",
        ),
        (
            "pv",
            Some(Pciback::Ours {
                serves_pv: false, ..
            }),
        ) => (
            "xen-pciback pv=0: a PV guest gets no function",
            "load xen-pciback without pv=0, or type = \"hvm\"",
        ),
        ("pvh", _) => (
            "xl gives PVH guests no functions (\"passthrough not yet supported for x86 PVH \
             guests\")",
            "type = \"hvm\"",
        ),
        _ => return None,
    };
    Some(Finding::fails(Code::GuestType, text).remedy(remedy))
}

fn populate_on_demand(config: &GuestConfig) -> Option<Finding> {
    let (memory, most) = (config.memory?, config.most_memory?);
    (memory < most).then(|| {
        let text = format!(
            "memory ({} MiB) is less than maxmem ({} MiB): xl refuses that with functions (\"IOMMU \
             required for device passthrough but not supported together with PoD\")",
            memory >> 10,
            most >> 10
        );
        Finding::fails(Code::PopulateOnDemand, text)
            .remedy("set both to the same, or leave maxmem out")
    })
}

fn reserved(config: &GuestConfig, functions: &[&Function]) -> Option<Finding> {
    let boundary = config
        .boundary
        .map_or(BOUNDARY, |kib| kib.saturating_mul(1 << 10));
    let video = config
        .video
        .map_or(VIDEO, |kib| kib.saturating_mul(1 << 10));
    let hole = config
        .mmio_hole
        .map_or(HOLES[0], |kib| kib.saturating_mul(1 << 10));
    // What is above 4 GiB is not in the way.
    let memory = config.bytes()?.saturating_sub(video);
    let memory = memory.min((4 * GIB).saturating_sub(hole));
    let is_strict = |function: &&&Function| {
        let named = config
            .functions
            .iter()
            .find(|named| named.sbdf == function.sbdf);
        named.is_some_and(|named| !named.is_relaxed)
    };
    let conflict = |function: &&Function| {
        let regions = function.reserved.iter().flatten();
        let mut starts = regions.map(|region| region.start);
        starts.find(|start| *start < memory && *start <= boundary)
    };
    let strict = functions.iter().filter(is_strict);
    let found: Vec<_> = strict
        .filter_map(|function| Some((function.sbdf, conflict(function)?)))
        .collect();
    let start = found.iter().map(|(_, start)| *start).min()?;
    let text = format!(
        "firmware reserved memory at {start:#x} for {}, where the guest has memory of its own: xl \
         refuses that (\"RDM conflict\")",
        list(found.iter().map(|(sbdf, _)| *sbdf))
    );
    Some(Finding::fails(Code::ReservedMemory, text).remedy(below(start)))
}

/// How a guest with more memory can have a function with a reserved region.
fn below(start: u64) -> String {
    // The guest's memory ends there then, and goes on above 4 GiB.
    match start.checked_sub(1).map(mib) {
        Some(boundary @ 256..) => format!(
            "rdm_mem_boundary = {boundary}, or at most {} MiB of memory",
            mib(start)
        ),
        _ => "\"SBDF,rdm_policy=relaxed\" for each, if the function works without that memory"
            .to_owned(),
    }
}

/// What [`reserved`] will say of guests with much memory, and what they need.
pub fn conflict(start: u64) -> Option<(String, String)> {
    (start <= BOUNDARY).then(|| {
        let text = format!(
            "xl refuses a guest whose own memory reaches it, above {} MiB (\"RDM conflict\")",
            mib(start)
        );
        (text, below(start))
    })
}
