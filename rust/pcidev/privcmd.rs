// SPDX-License-Identifier: GPL-2.0

//! The door of `/dev/xen/privcmd`, which libxl and QEMU use.

use kernel::prelude::*;

use xen::{
    gsi_lookup::{
        GsiLookup,
        Registration, //
    },
    pci,
    trace::{
        self,
        Door, //
    },
    Sbdf, //
};

use crate::{
    state,
    PCIBACK, //
};

/// Answers `IOCTL_PRIVCMD_PCIDEV_GET_GSI`.
pub(crate) struct Lookup;

impl GsiLookup for Lookup {
    fn gsi(sbdf: Sbdf) -> Result<u32> {
        let gsi = state::with(|state| state.gsi_for_toolstack(sbdf));
        trace::lookup(Door::Privcmd, sbdf, gsi);
        gsi
    }
}

/// The open door. There is one place for an answerer in the kernel, and whose it was before ours
/// cannot be known, so closing the door closes it to all.
pub(crate) struct Open(Registration<Lookup>);

impl Open {
    /// Opens the door.
    pub(crate) fn new() -> Self {
        Self(Registration::new())
    }

    /// Opens it again, after another has taken or cleared the place.
    pub(crate) fn renew(&self) {
        self.0.renew();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if pci::has_driver(PCIBACK) {
            pr_warn!(
                "unloaded under xen-pciback: xl cannot learn GSIs until one of the two is loaded again\n"
            );
        }
    }
}
