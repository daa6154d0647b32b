// SPDX-License-Identifier: GPL-2.0

//! Rules about displays, above all those of Intel.

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
        patient::Patient,
    },
    sbdf::Sbdf, //
};

/// The display on which firmware started.
pub fn boot_display(p: &Patient<'_>) -> Option<Finding> {
    if !p.function.boot_display {
        return None;
    }
    let mut text = "firmware boot display: dom0 loses its screen".to_owned();
    let rom = p.function.resources.get(Resource::ROM);
    if rom.is_some_and(|rom| rom.is_shadow()) {
        text += ", and the guest gets only the ROM copy that firmware has already run";
    }
    let finding = Finding::warning(Code::BootDisplay, text);
    Some(finding.remedy("use another card or a serial console for dom0"))
}

const INTEL: u32 = 0x8086;
/// The host address at which QEMU expects Intel graphics.
const INTEL_GRAPHICS: Sbdf = Sbdf::from_u32(0x10);

/// An integrated GPU of Intel. Cards have nothing that only firmware knows.
fn is_integrated(function: &Function) -> bool {
    let is_display = function.class >> 16 == 0x03;
    function.vendor == INTEL && is_display && function.sbdf.bus() == 0
}

/// What a guest with the function needs in its configuration.
pub fn guest_options(function: &Function) -> Vec<String> {
    let is_primary = is_integrated(function) && function.sbdf == INTEL_GRAPHICS;
    let option = is_primary.then(|| "gfx_passthru = \"igd\"".to_owned());
    option.into_iter().collect()
}

/// What a guest gets of Intel graphics.
pub fn intel_graphics(p: &Patient<'_>) -> Option<Finding> {
    let f = p.function;
    if !is_integrated(f) {
        return None;
    }
    let code = Code::IntelGraphics;
    Some(match f.opregion.as_deref() {
        _ if f.sbdf != INTEL_GRAPHICS => Finding::warning(
            code,
            "Intel graphics at another address than 00:02.0: QEMU gives guests no OpRegion, and \
             their driver finds no displays",
        ),
        None => Finding::unknown(
            code,
            "Intel graphics: whether there is an OpRegion, only xen-pcidev can tell root",
        )
        .remedy("modprobe xen-pcidev, and run this as root"),
        Some(text) => match text.strip_prefix("invalid: ") {
            Some(reason) => Finding::fails(
                code,
                format!("Intel graphics whose OpRegion is not valid ({reason}): QEMU refuses them"),
            )
            .remedy("look for new firmware (BIOS)"),
            None => works(text, p.facts.pcidev.is_some_and(|pcidev| pcidev.vbt)),
        },
    })
}

/// With an OpRegion of this version, and an extended VBT of so many bytes, which guests get a copy
/// of or not.
fn works(opregion: &str, is_copied: bool) -> Finding {
    let (version, vbt) = opregion.split_once(' ').unwrap_or((opregion, "0"));
    let code = Code::IntelGraphics;
    let finding = match vbt {
        "0" => Finding::note(code, format!("Intel graphics with OpRegion {version}")),
        size if is_copied => Finding::note(
            code,
            format!(
                "Intel graphics with OpRegion {version} and an extended VBT of {size} bytes, of \
                 which guests get a copy"
            ),
        ),
        size => Finding::warning(
            code,
            format!(
                "Intel graphics with OpRegion {version}: of its extended VBT of {size} bytes \
                 guests see the first page at most, and their driver may find no displays \
                 (vbt=N)"
            ),
        ),
    };
    finding.remedy("for the guest: gfx_passthru = \"igd\"; without that QEMU refuses them")
}

/// Stolen memory that firmware has not reserved for its GPU.
pub fn stolen_memory(p: &Patient<'_>) -> Option<Finding> {
    let f = p.function;
    let stolen = f.stolen_memory.as_ref().filter(|_| is_integrated(f))?;
    let reserved = f.reserved.as_ref()?;
    let is_reserved = reserved.iter().any(|region| {
        region.start <= stolen.start && stolen.end <= region.start.saturating_add(region.size)
    });
    (!is_reserved).then(|| {
        let mib = (stolen.end - stolen.start) >> 20;
        let text = format!(
            "{mib} MiB of stolen memory ({:#x}-{:#x}) that firmware has not reserved for it \
             (no RMRR): guests find no memory there",
            stolen.start,
            stolen.end.saturating_sub(1)
        );
        Finding::warning(Code::StolenMemory, text).remedy("look for new firmware (BIOS)")
    })
}

/// Another Intel function at the address of Intel graphics.
pub fn slot_of_graphics(p: &Patient<'_>) -> Option<Finding> {
    let f = p.function;
    (f.vendor == INTEL && !is_integrated(f) && f.sbdf == INTEL_GRAPHICS).then(|| {
        Finding::fails(
            Code::IntelGraphics,
            "QEMU takes any Intel function at 00:02.0 for Intel graphics, and refuses this one",
        )
        .remedy("move it to another slot")
    })
}
