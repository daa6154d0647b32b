// SPDX-License-Identifier: GPL-2.0

//! Stands in for crate `xen`: its pure logic, at the paths that the drivers use.

#![allow(dead_code)]

#[path = "../../../rust/xen/pci/header.rs"]
mod header;
#[path = "../../../rust/xen/pci/hiding.rs"]
mod hiding;
#[path = "../../../rust/xen/pci/msix.rs"]
mod msix;
#[path = "../../../rust/xen/igd/opregion.rs"]
mod opregion;
#[path = "../../../rust/xen/xenbus/pci_backend.rs"]
pub mod pci_backend;
#[path = "../../../rust/xen/pci/reset_result.rs"]
mod reset_result;
#[path = "../../../rust/xen/igd/rom.rs"]
mod rom;
#[path = "../../../rust/xen/gsi/route.rs"]
mod route;
#[path = "../../../rust/xen/pci/sbdf.rs"]
mod sbdf;
#[path = "../../../rust/xen/xenbus/state.rs"]
mod state;

pub mod gsi {
    //! As `rust/xen/gsi.rs`.

    pub use crate::route::{
        NoRoute,
        Polarity,
        Route,
        Trigger, //
    };
}

pub mod pci {
    //! As `rust/xen/pci.rs`.

    pub use crate::{
        header::Pin,
        msix::MsixTable,
        sbdf::{
            hex,
            Sbdf, //
        }, //
    };
}

pub mod xenbus {
    //! As `rust/xen/xenbus.rs`.

    pub use crate::{
        pci_backend,
        state::State, //
    };
}
