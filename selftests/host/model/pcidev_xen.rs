// SPDX-License-Identifier: GPL-2.0

//! Stands in for crate `xen` where xen-pcidev uses it: Xen, the driver core, XenStore and work
//! queues, as far as threads can meet there. What must never happen is asserted here.

#[path = "../../../rust/xen/pci/header.rs"]
#[allow(dead_code)]
mod header;
#[path = "../../../rust/xen/pci/msix.rs"]
#[allow(dead_code)]
mod msix;
#[path = "../../../rust/xen/xenbus/pci_backend.rs"]
pub mod pci_backend;
#[path = "../../../rust/xen/gsi/route.rs"]
mod route;
#[path = "../../../rust/xen/pci/sbdf.rs"]
mod sbdf;
#[path = "../../../rust/xen/xenbus/state.rs"]
mod state;

mod locked;
pub mod workqueue;

/// Nobody looks at trace events.
#[macro_export]
macro_rules! trace {
    ($event:ident($($argument:ident = $value:expr),* $(,)?)) => {{ $(let _ = $value;)* }};
}

#[path = "pcidev_xen/chain.rs"]
mod chain;
#[path = "pcidev_xen/dom0.rs"]
pub mod dom0;
#[path = "pcidev_xen/gsi.rs"]
pub mod gsi;
#[path = "pcidev_xen/linux.rs"]
pub mod linux;
#[path = "pcidev_xen/pci.rs"]
pub mod pci;
#[path = "pcidev_xen/vpci.rs"]
pub mod vpci;
#[path = "pcidev_xen/world.rs"]
pub mod world;
#[path = "pcidev_xen/xenbus.rs"]
pub mod xenbus;
