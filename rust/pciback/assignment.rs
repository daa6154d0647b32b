// SPDX-License-Identifier: GPL-2.0

//! The assignment of a function to a guest.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use xen::{
    linux::module,
    pci::{
        DeviceLock,
        Sbdf, //
    }, //
};

use crate::{
    function::Function,
    life::{
        Domain,
        Export,
        Refusal, //
    }, //
};

/// The assignment of a function to a guest, created by [`Function::export`]. Dropping it returns
/// the function from the guest.
///
/// An assignment outlives the binding of the driver: if an assigned function is unbound, the driver
/// still knows the guest, until the toolstack detaches the function. An assignment pins the module.
pub(crate) struct Assignment {
    function: Arc<Function>,
    is_usable: bool,
    _pinned: module::Pinned,
}

impl Assignment {
    /// Returns the address of the function.
    pub(crate) fn sbdf(&self) -> Sbdf {
        self.function.sbdf
    }

    /// Returns whether the guest can use the function. A toolstack may also assign a broken
    /// function to a guest in Xen.
    pub(crate) fn is_usable(&self) -> bool {
        self.is_usable
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        self.function.give_back();
    }
}

impl Function {
    /// Assigns the function to a guest. Resets the function first if that is due, which may take
    /// long. The device lock excludes other resets and unbinding meanwhile.
    pub(crate) fn export(self: &Arc<Self>, domain: Domain) -> Result<Assignment, Refusal> {
        let pinned = module::Pinned::new().map_err(Refusal::Failed)?;
        let dev = DeviceLock::new(&self.dev);
        loop {
            let export = {
                let mut inner = self.inner.lock();
                if inner.seized.is_none() {
                    return Err(Refusal::Gone);
                }
                inner.life.export(domain)?
            };
            if export != Export::Reset {
                dev.mark_assigned();
                return Ok(Assignment {
                    function: self.clone(),
                    is_usable: export == Export::Done,
                    _pinned: pinned,
                });
            }
            // `reset()` has already logged the error.
            let _ = self.reset(&dev);
        }
    }
}
