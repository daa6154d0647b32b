// SPDX-License-Identifier: GPL-2.0

//! The guest's half of the device. HVM guests need none, and of all that a guest writes only the
//! state is looked at.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use xen::xenbus::State;

use crate::life::Domain;

/// The frontend of one guest. All that it can cause is one line in the log.
pub(crate) struct Frontend {
    is_logged: Atomic<bool>,
}

impl Frontend {
    pub(crate) fn new() -> Self {
        Self {
            is_logged: Atomic::new(false),
        }
    }

    /// The frontend has changed its state.
    pub(crate) fn changed(&self, domain: Domain, state: State) {
        if matches!(state, State::Initialised | State::Connected) && self.is_first() {
            pr_warn!(
                "domain {domain} has a PCI frontend, which is not served: HVM guests need none\n"
            );
        }
    }

    /// The guest has functions, but no frontend, so that xenbus has no device.
    pub(crate) fn is_missing(&self, domain: Domain) {
        if self.is_first() {
            pr_warn!(
                "domain {domain} has removed its PCI frontend; its functions are tracked all the same\n"
            );
        }
    }

    fn is_first(&self) -> bool {
        !self.is_logged.xchg(true, Relaxed)
    }
}
