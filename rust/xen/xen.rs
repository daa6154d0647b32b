// SPDX-License-Identifier: GPL-2.0

//! What a PCI driver of a Xen control domain (dom0) needs and the `kernel` crate lacks.
//!
//! All unsafe code and all bindings of the drivers built on this crate are here, behind a safe
//! API. The crate holds no policy. Each room depends only on those above it:
//!
//! * [`linux`]: kernel services that have nothing to do with Xen or PCI.
//! * [`pci`]: functions, their configuration, drivers, locks and resets.
//! * [`hypercall`]: calls of the hypervisor, each with a typed argument.
//! * [`gsi`]: the way of an INTx line from the pin to a handler.
//! * [`vpci`]: what Xen's virtual PCI knows of a function.
//! * [`xenbus`]: XenStore and the backends in it.
//!
//! A resource is an owning value that is released on drop.

#[macro_use]
pub mod linux;

pub mod gsi;
pub mod hypercall;
pub mod pci;
pub mod vpci;
pub mod xenbus;

mod bindings;

/// What `pr_*!` puts before the crate's own messages.
const __LOG_PREFIX: &[u8] = b"xen\0";

// The name that `macros` expect of a crate that uses them.
#[doc(hidden)]
pub use kernel::bindings as kernel_bindings;
