// SPDX-License-Identifier: GPL-2.0

//! A module on crate `xen`: lists the PCI functions and their GSIs once, when it is loaded.
//!
//! `insmod xen-sample.ko`, then `dmesg`. It loads on any kernel, with or without Xen.

use kernel::prelude::*;
use xen::{
    gsi::Route,
    hypercall::domain,
    pci::{
        self,
        ConfigSpace, //
    }, //
};

module! {
    type: Sample,
    name: "xen_sample",
    authors: ["Xen PVH passthrough developers"],
    description: "Sample on crate xen: lists PCI functions",
    license: "GPL",
}

struct Sample;

impl kernel::Module for Sample {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!(
            "this is {}, dom0: {}\n",
            domain::Kind::current().name(),
            domain::is_initial()
        );
        for dev in pci::iter() {
            match Route::of(&dev) {
                Ok(route) => dev_info!(dev, "GSI {}\n", route.gsi),
                Err(reason) => dev_info!(dev, "no GSI: {:?}\n", reason),
            }
            if let Ok(Some(table)) = ConfigSpace::of(&dev).msix_table() {
                dev_info!(
                    dev,
                    "{} MSI-X entries in BAR {}\n",
                    table.entries,
                    table.bar
                );
            }
        }
        Ok(Self)
    }
}
