// SPDX-License-Identifier: GPL-2.0

//! What a PCI driver of a Xen control domain (dom0) needs and the `kernel` crate lacks.
//!
//! All unsafe code and all bindings of the drivers built on this crate live here, behind a safe
//! API; the crate holds no policy. It is written as if it stood in `rust/kernel/xen/`:
//!
//! * [`domain`]: which kind of domain this kernel runs as.
//! * [`physdev`], [`msix`]: hypercalls about PCI functions and their interrupts.
//! * [`sbdf`], [`pci`], [`config`], [`reset`]: PCI functions by their address, their state and
//!   configuration, resetting them.
//! * [`driver`], [`driver_files`], [`claim`]: PCI drivers that take functions by their address.
//! * [`header`], [`msix_table`]: what their registers say.
//! * [`pm`]: keeping them awake.
//! * [`gsi`], [`route`], [`gsi_lookup`], [`irq`]: the way of an INTx line from pin to handler.
//! * [`bus`], [`module`]: notifications of driver binding and of module loading.
//! * [`sysfs`], [`miscdevice`], [`param`], [`uevent`]: what user space sees.
//! * [`xenstore`], [`xenbus`], [`xenbus_state`], [`pci_backend`]: what the toolstack says.
//! * [`workqueue`]: work that ends with the module.
//! * [`global`]: state that callbacks without a context argument can reach.
//! * [`trace`]: events for `trace-cmd` and `perf`.
//! * [`fault`]: failures for tests.
//!
//! Everything that must be given back is a value whose `Drop` gives it back.

#[macro_use]
pub mod param;

pub mod bus;
pub mod claim;
pub mod config;
pub mod domain;
pub mod driver;
pub mod driver_files;
pub mod fault;
pub mod global;
pub mod gsi;
pub mod gsi_lookup;
pub mod header;
pub mod irq;
pub mod miscdevice;
pub mod module;
pub mod msix;
pub mod msix_table;
pub mod pci;
pub mod pci_backend;
pub mod physdev;
pub mod pm;
pub mod reset;
pub mod route;
pub mod sbdf;
pub mod sysfs;
pub mod task;
pub mod trace;
pub mod uevent;
pub mod workqueue;
pub mod xenbus;
pub mod xenbus_state;
pub mod xenstore;

mod bindings;
mod domctl;

pub use crate::sbdf::Sbdf;

/// What `pr_*!` puts before the crate's own messages.
const __LOG_PREFIX: &[u8] = b"xen\0";

// The name that `macros` expect of a crate that uses them.
#[doc(hidden)]
pub use kernel::bindings as kernel_bindings;
