// SPDX-License-Identifier: GPL-2.0

//! The context of the PCI driver's callbacks and files.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use xen::pci::Sbdf;

use crate::{
    backend::Backends,
    functions::Functions, //
};

/// The driver.
pub(crate) struct PciBack {
    pub(crate) functions: Arc<Functions>,
    pub(crate) backends: Arc<Backends>,
}

impl PciBack {
    /// Serves a toolstack's request for a reset, see [`Function::flr`]. `ENODEV` if neither the
    /// driver nor a guest has the function.
    ///
    /// [`Function::flr`]: crate::function::Function::flr
    pub(crate) fn flr(&self, sbdf: Sbdf) -> Result {
        let function = self.functions.get_probed(sbdf)?;
        // The toolstack may already have removed the functions from those guests' directories.
        for guest in function.guests() {
            self.backends.release_stale(guest);
        }
        function.flr()
    }
}
