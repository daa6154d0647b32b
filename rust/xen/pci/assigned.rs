// SPDX-License-Identifier: GPL-2.0

//! The PCI core's mark of functions that guests have.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use kernel::{
    pci::Device,
    prelude::*, //
};

use crate::{
    bindings,
    pci::{
        as_raw,
        reset,
        DeviceExt,
        Locked, //
    }, //
};

impl Locked {
    /// Marks the function as assigned to a guest (`PCI_DEV_FLAGS_ASSIGNED`). Drivers of SR-IOV
    /// physical functions do not remove marked VFs. Nor can such a physical function be reset: that
    /// would reset its VFs. May sleep.
    pub fn mark_assigned(&self) {
        // SAFETY: `self` is a valid `struct pci_dev`, whose device lock is held.
        unsafe { bindings::pci_set_dev_assigned(as_raw(self)) };
        protect_physfn(self);
    }

    /// Clears the mark of [`Locked::mark_assigned`]. May sleep.
    pub fn clear_assigned(&self) {
        // SAFETY: `self` is a valid `struct pci_dev`, whose device lock is held.
        unsafe { bindings::pci_clear_dev_assigned(as_raw(self)) };
        protect_physfn(self);
    }
}

/// Takes its reset methods from the PF of the VF `dev`, or gives them back, as VFs are marked.
fn protect_physfn(dev: &Device) {
    let Some(physfn) = dev.physfn() else { return };
    loop {
        // SAFETY: `physfn` is a valid `struct pci_dev`.
        let is_needed = unsafe { bindings::pci_vfs_assigned(as_raw(&physfn)) } != 0;
        if !reset::hide_methods(&physfn, is_needed) {
            break;
        }
        // Another VF may be marked meanwhile: who writes last looks again.
        if is_needed {
            dev_info!(
                physfn,
                "no reset while a guest has a virtual function of it\n"
            );
        }
    }
}
