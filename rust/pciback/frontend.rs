// SPDX-License-Identifier: GPL-2.0

//! The frontend of a guest. HVM guests need no frontend. The driver reads only the state of a
//! frontend, and nothing else that a guest writes.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use xen::xenbus::State;

use crate::life::Domain;

/// The frontend of one guest. It can cause at most one line in the log.
pub(crate) struct Frontend {
    is_logged: Atomic<bool>,
}

impl Frontend {
    pub(crate) fn new() -> Self {
        Self {
            is_logged: Atomic::new(false),
        }
    }

    /// Called when the frontend has changed its state.
    pub(crate) fn changed(&self, domain: Domain, state: State) {
        if matches!(state, State::Initialised | State::Connected) && self.is_first() {
            pr_warn!(
                "domain {domain} has a PCI frontend, which is not served: HVM guests need none\n"
            );
        }
    }

    /// Called when the guest has functions but xenbus has no device, as the frontend is missing.
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
