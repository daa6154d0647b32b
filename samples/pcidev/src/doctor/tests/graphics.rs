// SPDX-License-Identifier: GPL-2.0

//! Graphics.

use super::{
    case,
    made_up::*,
    Case, //
};
use crate::doctor::{
    finding::*,
    report::Report, //
};

/// What is wrong, and what has to be found.
pub const CASES: &[Case] = &[
    case(Code::BootDisplay, Level::Warning, |f| {
        f.functions[0].boot_display = true
    }),
    case(Code::IntelGraphics, Level::Unknown, |f| {
        intel_graphics(f);
    }),
    case(Code::IntelGraphics, Level::Warning, |f| {
        intel_graphics(f).sbdf = at("00:03.0");
    }),
    case(Code::IntelGraphics, Level::Fails, |f| {
        intel_graphics(f).opregion = Some("invalid: there is no address".to_owned());
    }),
    case(Code::IntelGraphics, Level::Note, |f| {
        intel_graphics(f).opregion = Some("2.1 0".to_owned());
    }),
    case(Code::IntelGraphics, Level::Warning, |f| {
        intel_graphics(f).opregion = Some("2.1 9216".to_owned());
        f.pcidev.as_mut().unwrap().vbt = false;
    }),
    case(Code::StolenMemory, Level::Warning, |f| {
        let gpu = intel_graphics(f);
        gpu.opregion = Some("2.0 0".to_owned());
        gpu.stolen_memory = Some(0x7cf0_0000..0x7ef0_0000);
        gpu.reserved = Some(vec![region(0x7cf0_0000, 0x1ff_f000)]);
    }),
    case(Code::IntelGraphics, Level::Fails, |f| {
        f.functions[0].sbdf = at("00:02.0");
        xen(f).owners = Err(String::new());
    }),
];

#[test]
fn intel_graphics_are_explained() {
    let text = |vbt: bool, opregion: &str, reserved| {
        let mut facts = well();
        facts.pcidev.as_mut().unwrap().vbt = vbt;
        let gpu = intel_graphics(&mut facts);
        gpu.opregion = Some(opregion.to_owned());
        gpu.stolen_memory = Some(0x7cf0_0000..0x7ef0_0000);
        gpu.reserved = Some(vec![reserved]);
        let text = Report::new(&facts, &[at("00:02.0")], &[]).text();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let whole = text(true, "2.0 0", region(0x7ce0_0000, 0x210_0000));
    assert!(whole.contains("Intel graphics with OpRegion 2.0"));
    assert!(whole.contains("gfx_passthru = \"igd\""));
    assert!(whole.contains("Xen maps 0x7ce00000-0x7eefffff into its guest"));
    assert!(!whole.contains("stolen-memory") && !whole.contains("VBT"));
    let part = text(true, "2.1 9216", region(0x7cf0_0000, 0x1ff_f000));
    assert!(part.contains("extended VBT of 9216 bytes, of which guests get a copy"));
    assert!(part.contains("32 MiB of stolen memory (0x7cf00000-0x7eefffff)"));
    let none = text(
        true,
        "invalid: its version is 0",
        region(0x7ce0_0000, 0x210_0000),
    );
    assert!(none.contains("OpRegion is not valid (its version is 0): QEMU refuses"));
    let lost = text(false, "2.1 9216", region(0x7cf0_0000, 0x1ff_f000));
    assert!(lost.contains("of its extended VBT of 9216 bytes guests see the first page at most"));
}
