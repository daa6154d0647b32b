// SPDX-License-Identifier: GPL-2.0

//! Stands in for crate `xen`: its pure logic, where the drivers look for it.

#![allow(dead_code)]

#[path = "../../../rust/xen/header.rs"]
pub mod header;
#[path = "../../../rust/xen/msix_table.rs"]
pub mod msix_table;
#[path = "../../../rust/xen/pci_backend.rs"]
pub mod pci_backend;
#[path = "../../../rust/xen/route.rs"]
pub mod route;
#[path = "../../../rust/xen/sbdf.rs"]
pub mod sbdf;
#[path = "../../../rust/xen/xenbus_state.rs"]
pub mod xenbus_state;

pub use route as gsi;
pub use sbdf::Sbdf;

pub mod pci {
    //! What `rust/xen/pci.rs` hands on.

    pub use crate::{
        header::Pin,
        msix_table::MsixTable, //
    };
}
