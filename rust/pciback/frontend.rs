// SPDX-License-Identifier: GPL-2.0

//! The frontend of a guest, as XenStore tells of it. HVM guests need none: the driver reads only
//! the state that they write, and nothing else. For PV guests see [`crate::serving`].

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use xen::{
    hypercall::domain::{
        has_ended,
        is_pv_guest, //
    },
    xenbus::{
        store,
        State, //
    },
};

use crate::{
    life::Domain,
    PV, //
};

/// The frontend of one guest. It can cause at most one line in the log.
pub(crate) struct Frontend {
    is_logged: Atomic<bool>,
    /// Whether the guest is a PV guest.
    is_pv: Atomic<bool>,
    /// The state of a PV guest's frontend. That of an HVM guest stays [`State::Unknown`].
    state: Atomic<u32>,
    has_failed: Atomic<bool>,
    /// Whether the guest is a stub domain.
    is_stub: Atomic<bool>,
}

impl Frontend {
    pub(crate) fn new() -> Self {
        Self {
            is_logged: Atomic::new(false),
            is_pv: Atomic::new(false),
            state: Atomic::new(0),
            has_failed: Atomic::new(false),
            is_stub: Atomic::new(false),
        }
    }

    /// Called when the frontend has changed its state. Returns whether the backend has to look: not
    /// for an HVM guest, nor if Xen cannot be asked.
    pub(crate) fn changed(&self, domain: Domain, state: State) -> bool {
        let is_pv = is_pv_guest(domain) == Ok(true);
        if matches!(state, State::Initialised | State::Connected)
            && !(is_pv && PV.get())
            && self.is_first()
        {
            if is_pv {
                pr_warn!(
                    "domain {domain} is a PV guest, which is not served: see the parameter pv\n"
                );
            } else {
                pr_warn!(
                    "domain {domain} has a PCI frontend, which is not served: HVM guests need none\n"
                );
            }
        }
        if is_pv {
            self.is_pv.store(true, Relaxed);
            self.state.store(state as u32, Relaxed);
        }
        is_pv
    }

    /// Returns the state of a PV guest's frontend.
    pub(crate) fn state(&self) -> State {
        State::from(self.state.load(Relaxed))
    }

    /// Returns whether this is a PV guest, and has ended.
    pub(crate) fn has_ended(&self, domain: Domain) -> bool {
        self.is_pv.load(Relaxed) && has_ended(domain) == Ok(true)
    }

    /// Records that the guest's offer was wrong.
    pub(crate) fn fail(&self) {
        self.has_failed.store(true, Relaxed);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Relaxed)
    }

    /// Records whether the guest is a stub domain. Only toolstacks write what tells. May sleep.
    /// Fails as [`store::read_target`].
    pub(crate) fn look_at_target(&self, domain: Domain) -> Result {
        self.is_stub
            .store(store::read_target(domain)?.is_some(), Relaxed);
        Ok(())
    }

    pub(crate) fn is_stub(&self) -> bool {
        self.is_stub.load(Relaxed)
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
