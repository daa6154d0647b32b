// SPDX-License-Identifier: GPL-2.0

//! Enabling a function, and marks on it that the PCI core knows.
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

/// A function that is enabled until [`Enabled::disable`] is called.
///
/// # Invariants
///
/// The function's enable count includes one for this value.
#[must_use = "the function stays enabled"]
pub struct Enabled {
    dev: ARef<Device>,
}

impl Enabled {
    /// Gives the enabling up; does nothing if `dev` is another function.
    pub fn disable(self, dev: &Locked) {
        if as_raw(dev) == as_raw(&self.dev) {
            // SAFETY: By the type invariant one count is ours. The lock is held.
            unsafe { bindings::pci_disable_device(as_raw(dev)) };
        }
    }
}

impl Locked {
    /// Enables the function: memory and I/O decoding, the irq of its INTx line. Errors are those of
    /// `pci_enable_device()`. May sleep.
    pub fn enable(&self) -> Result<Enabled> {
        fault::point("enabling the function")?;
        // SAFETY: A valid `struct pci_dev`, whose lock is held.
        to_result(unsafe { bindings::pci_enable_device(as_raw(self)) })?;
        // INVARIANT: Enabled just now.
        Ok(Enabled {
            dev: (&**self).into(),
        })
    }

    /// Keeps the function from doing DMA until a driver, or a guest, allows it again.
    pub fn clear_master(&self) {
        // SAFETY: A valid `struct pci_dev`, whose lock is held.
        unsafe { bindings::pci_clear_master(as_raw(self)) };
    }

    /// Marks the function as a guest's: drivers of SR-IOV physical functions do not remove VFs with
    /// this mark.
    pub fn mark_assigned(&self) {
        // SAFETY: A valid `struct pci_dev`, whose lock is held.
        unsafe { bindings::pci_set_dev_assigned(as_raw(self)) };
    }

    /// The end of [`Locked::mark_assigned`].
    pub fn clear_assigned(&self) {
        // SAFETY: A valid `struct pci_dev`, whose lock is held.
        unsafe { bindings::pci_clear_dev_assigned(as_raw(self)) };
    }
}
