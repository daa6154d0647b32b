// SPDX-License-Identifier: GPL-2.0

//! The fact that a guest has a function.

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

/// A guest's possession of a function, by [`Function::export`]. Dropping it gives the function
/// back.
///
/// It outlives the binding of the driver: a function that is unbound meanwhile is known to be the
/// guest's until its toolstack takes it away. The module cannot be unloaded while there is one.
pub(crate) struct Assignment {
    function: Arc<Function>,
    is_usable: bool,
    _pinned: module::Pinned,
}

impl Assignment {
    /// The function's address.
    pub(crate) fn sbdf(&self) -> Sbdf {
        self.function.sbdf
    }

    /// Whether the guest can use the function. Xen may have a broken one for a guest, too.
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
    /// Gives it to a guest. It is reset first if that is still to be done, so this may take long.
    /// Meanwhile nobody else resets it, and it is not unbound.
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
