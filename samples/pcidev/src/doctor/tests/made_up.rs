// SPDX-License-Identifier: GPL-2.0

//! Made-up facts.

use std::collections::BTreeMap;

use crate::{
    doctor::{
        config::Config,
        facts::*,
        finding::*,
        report::Report, //
    },
    sbdf::Sbdf,
    uapi::Region, //
};

pub fn at(text: &str) -> Sbdf {
    text.parse().unwrap()
}

pub const NIC: &str = "0000:04:00.0";
pub const OTHER: &str = "0000:05:00.0";

pub fn nic(sbdf: &str, gsi: u32) -> Function {
    Function {
        sbdf: at(sbdf),
        name: "82574L".to_owned(),
        vendor: 0x8086,
        class: 0x02_0000,
        driver: Some("pciback".to_owned()),
        config: Some(Config {
            answers: true,
            pin: Some('A'),
            bars_are_set: true,
            msi: true,
            msix_entries: 5,
            express: Some(0),
            acs: None,
        }),
        resources: vec![Resource {
            start: u64::from(gsi) << 16,
            end: (u64::from(gsi) << 16) + 0xfff,
            flags: 0x200,
        }],
        reset: vec!["flr".to_owned()],
        gsi: Some(gsi),
        msix: Some("held".to_owned()),
        state: Some("clean".to_owned()),
        ..Default::default()
    }
}

/// A dom0 in which all is well: one NIC for guests, one of dom0's.
pub fn well() -> Facts {
    let other = Function {
        driver: Some("e1000e".to_owned()),
        msix: Some("free".to_owned()),
        state: None,
        ..nic(OTHER, 21)
    };
    Facts {
        kernel: "7.2".to_owned(),
        privileged: true,
        xen: Some(Xen {
            version: "4.20.4".to_owned(),
            release: Some((4, 20)),
            kind: "PVH".to_owned(),
            dom0: true,
            capabilities: Ok(vec!["hvm_directio".to_owned()]),
            remapping: Some(true),
            guest_irqs: 32,
            owners: Ok([(at(NIC), Owner::Quarantine), (at(OTHER), Owner::Domain(0))].into()),
            guests: Ok(BTreeMap::new()),
        }),
        pcidev: Some(Pcidev {
            unmask: true,
            lend: true,
            reset: true,
            hold: true,
            guard: true,
            vbt: true,
        }),
        pciback: Some(Pciback::Ours {
            tell: true,
            serves_pv: true,
        }),
        ours_is_installed: true,
        functions: vec![nic(NIC, 20), other],
        beyond: Vec::new(),
        guests: Vec::new(),
    }
}

/// A guest with the NIC, in which it works.
pub fn guest(facts: &mut Facts) -> &mut Guest {
    give(facts, 3);
    facts.functions[0].state = Some("assigned 3".to_owned());
    facts.guests.push(Guest {
        name: "win11".to_owned(),
        domain: Some(3),
        file: None,
        config: Some(Err("no answer".to_owned())),
        qemu: Some("qemu-system-i386: warning: something\n".to_owned()),
        errors: Vec::new(),
        interrupts: Ok(Interrupts {
            lines: 1,
            messages: 5,
        }),
    });
    facts.guests.last_mut().unwrap()
}

pub fn region(start: u64, size: u64) -> Region {
    Region { start, size }
}

pub fn xen(facts: &mut Facts) -> &mut Xen {
    facts.xen.as_mut().unwrap()
}

pub fn config(facts: &mut Facts) -> &mut Config {
    facts.functions[0].config.as_mut().unwrap()
}

pub fn owner(facts: &mut Facts, owner: Owner) {
    xen(facts).owners.as_mut().unwrap().insert(at(NIC), owner);
}

pub fn give(facts: &mut Facts, guest: u32) {
    owner(facts, Owner::Domain(guest));
    xen(facts).guests.as_mut().unwrap().insert(at(NIC), guest);
}

pub fn intel_graphics(facts: &mut Facts) -> &mut Function {
    xen(facts).owners = Err(String::new());
    let gpu = &mut facts.functions[0];
    gpu.sbdf = at("00:02.0");
    gpu.class = 0x03_8000;
    gpu
}

pub fn no_tables(facts: &mut Facts) {
    for config in facts.functions.iter_mut().flat_map(|f| &mut f.config) {
        config.msix_entries = 0;
    }
}

pub fn no_messages(facts: &mut Facts) {
    config(facts).msi = false;
    config(facts).msix_entries = 0;
}

/// Level and code of all findings about the system and the NIC.
pub fn found(report: &Report) -> Vec<(Level, Code)> {
    report
        .counted()
        .map(|finding| (finding.level, finding.code))
        .collect()
}
