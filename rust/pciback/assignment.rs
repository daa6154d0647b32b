// SPDX-License-Identifier: GPL-2.0

//! The fact that a guest has a function.

use kernel::sync::Arc;

use xen::{
    linux::module,
    pci::Sbdf, //
};

use crate::function::Function;

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
    pub(super) fn new(function: Arc<Function>, is_usable: bool, pinned: module::Pinned) -> Self {
        Self {
            function,
            is_usable,
            _pinned: pinned,
        }
    }

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
