// SPDX-License-Identifier: GPL-2.0

//! Enabling functions, and bus mastering.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use kernel::{
    error::to_result,
    pci::Device,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    bindings,
    linux::fault,
    pci::{
        as_raw,
        Locked, //
    }, //
};

/// An enabled function. It stays enabled until [`Enabled::disable`] is called; dropping the value
/// leaves it enabled.
///
/// # Invariants
///
/// The enable count of the function includes one for this value.
#[must_use = "the function stays enabled"]
pub struct Enabled {
    dev: ARef<Device>,
}

impl Enabled {
    /// Lowers the enable count of the function, and disables the function with the last count. Does
    /// nothing if `dev` is another function.
    pub fn disable(self, dev: &Locked) {
        if as_raw(dev) == as_raw(&self.dev) {
            // SAFETY: By the type invariant one count belongs to this value. `dev` is locked.
            unsafe { bindings::pci_disable_device(as_raw(dev)) };
        }
    }
}

impl Locked {
    /// Enables the function: memory and I/O decoding, and the irq of the INTx line. Errors are
    /// those of `pci_enable_device()`. May sleep.
    pub fn enable(&self) -> Result<Enabled> {
        fault::point("enabling the function")?;
        // SAFETY: `self` is a valid `struct pci_dev`, whose device lock is held.
        to_result(unsafe { bindings::pci_enable_device(as_raw(self)) })?;
        // INVARIANT: `pci_enable_device()` has raised the count.
        Ok(Enabled {
            dev: (&**self).into(),
        })
    }

    /// Disables bus mastering, so that the function does no DMA until a driver or a guest enables
    /// it again.
    pub fn clear_master(&self) {
        // SAFETY: `self` is a valid `struct pci_dev`, whose device lock is held.
        unsafe { bindings::pci_clear_master(as_raw(self)) };
    }
}
