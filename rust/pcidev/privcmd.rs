// SPDX-License-Identifier: GPL-2.0

//! The answer to `IOCTL_PRIVCMD_PCIDEV_GET_GSI` of `/dev/xen/privcmd`, which libxl and QEMU use.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use xen::{
    gsi::lookup::GsiLookup,
    pci::{
        self,
        Sbdf, //
    }, //
};

use crate::{
    functions::Functions,
    trace::{
        self,
        Interface, //
    },
    PCIBACK, //
};

/// The look-up behind the ioctl.
pub(crate) struct Lookup(pub(crate) Arc<Functions>);

impl GsiLookup for Lookup {
    fn gsi(&self, sbdf: Sbdf) -> Result<u32> {
        let gsi = self.0.gsi_for_toolstack(sbdf);
        trace::lookup(Interface::Privcmd, sbdf, gsi);
        gsi
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        if pci::has_driver(PCIBACK) {
            pr_warn!(
                "unloaded under xen-pciback: xl cannot learn GSIs until one of the two is loaded again\n"
            );
        }
    }
}
