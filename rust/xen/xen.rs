// SPDX-License-Identifier: GPL-2.0

//! Abstractions for PCI drivers of a Xen control domain (dom0) that the `kernel` crate lacks.
//!
//! The crate holds all unsafe code and all bindings of the drivers built on it, behind a safe API.
//! It holds no policy. Each module depends only on those above it:
//!
//! * [`linux`]: kernel services that do not depend on Xen.
//! * [`pci`]: functions, their configuration space, drivers, locks and resets.
//! * [`hypercall`]: hypercalls, each with a typed argument.
//! * [`igd`]: GPUs of Intel, and the memory that firmware shares with their drivers.
//! * [`gsi`]: INTx interrupts: routes, Linux irqs and handlers.
//! * [`vpci`]: Xen's virtual PCI: registered functions, resets, MSI-X tables.
//! * [`xenbus`]: XenStore, watches and backend drivers.
//!
//! Resources are owning values, released on drop.

#[macro_use]
pub mod linux;

pub mod gsi;
pub mod hypercall;
pub mod igd;
pub mod pci;
pub mod vpci;
pub mod xenbus;

mod bindings;

/// The prefix of this crate's own log messages.
const __LOG_PREFIX: &[u8] = b"xen\0";

// `macros` expects this name in a crate that uses them.
#[doc(hidden)]
pub use kernel::bindings as kernel_bindings;
