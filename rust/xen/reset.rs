// SPDX-License-Identifier: GPL-2.0

//! Resetting functions.
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
    pci::{
        as_raw,
        Locked, //
    }, //
};

impl Locked {
    /// Resets the function by the best method it has; its configuration is as before after. May
    /// sleep, for a second and more.
    ///
    /// Memory decoding is turned off before, and on again after the BARs are back, in a way that
    /// Xen's vPCI sees: it does not have to be told.
    ///
    /// Errors: `ENOTTY` if the function cannot be reset, else those of the method.
    pub fn reset(&self) -> Result {
        // SAFETY: `self` is a valid `struct pci_dev`, and its lock is held.
        to_result(unsafe { bindings::pci_reset_function_locked(as_raw(self)) })
    }

    /// Makes the function one that cannot be reset, until the returned value is dropped.
    pub fn forbid_reset(&self) -> ResetForbidden {
        // SAFETY: `self` is a valid `struct pci_dev`. The core reads the methods one by one up to a
        // zero, without a lock.
        let methods = unsafe {
            let methods = &raw mut (*as_raw(self)).reset_methods;
            let before = methods.read();
            methods.write(Default::default());
            before
        };
        ResetForbidden {
            dev: (&**self).into(),
            methods,
        }
    }
}

/// A function that cannot be reset. See [`Locked::forbid_reset`].
pub struct ResetForbidden {
    dev: ARef<Device>,
    methods: [u8; bindings::PCI_NUM_RESET_METHODS as usize],
}

impl Drop for ResetForbidden {
    fn drop(&mut self) {
        // SAFETY: `self.dev` is a valid `struct pci_dev`.
        unsafe { (*as_raw(&self.dev)).reset_methods = self.methods };
    }
}
