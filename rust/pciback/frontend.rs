// SPDX-License-Identifier: GPL-2.0

//! The frontend of a guest, as XenStore tells of it. HVM guests need none: the driver reads only
//! the state that they write, and nothing else.

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

/// What kind of guest a frontend belongs to, by Xen's word.
enum Kind {
    Hvm,
    Pv,
    /// The control operations of this version of Xen are not known.
    Unknown,
    /// There is no such domain any more.
    Gone,
}

/// The frontend of one guest. It can cause at most one line in the log.
pub(crate) struct Frontend {
    /// The state, as the guest has written it.
    state: Atomic<u32>,
    /// Whether the frontend wanted to be served since the last look.
    has_tried: Atomic<bool>,
    is_logged: Atomic<bool>,
    /// Whether the guest is a PV guest, once Xen has said so.
    is_pv: Atomic<bool>,
    /// Whether it is none, once Xen has said so.
    is_hvm: Atomic<bool>,
    has_failed: Atomic<bool>,
    /// Whether the guest is a stub domain.
    is_stub: Atomic<bool>,
}

impl Frontend {
    pub(crate) fn new() -> Self {
        Self {
            state: Atomic::new(0),
            has_tried: Atomic::new(false),
            is_logged: Atomic::new(false),
            is_pv: Atomic::new(false),
            is_hvm: Atomic::new(false),
            has_failed: Atomic::new(false),
            is_stub: Atomic::new(false),
        }
    }

    /// Called when the frontend has changed its state, on the thread that serves all backends.
    /// Returns whether the backend has to look. Of an HVM guest, once a line in the log is enough.
    pub(crate) fn changed(&self, state: State) -> bool {
        self.state.store(state as u32, Relaxed);
        if matches!(state, State::Initialised | State::Connected) {
            self.has_tried.store(true, Relaxed);
        }
        !self.is_hvm.load(Relaxed) || self.has_tried.load(Relaxed) && !self.is_logged.load(Relaxed)
    }

    /// Returns the state of the frontend, or [`State::Unknown`] for an HVM guest, of which it does
    /// not matter. A guest that Xen does not tell about is turned away like a PV guest that is not
    /// served: if it is an HVM guest, it does not need that.
    ///
    /// Errors are those of Xen.
    pub(crate) fn look(&self, domain: Domain) -> Result<State> {
        let state = State::from(self.state.load(Relaxed));
        if state == State::Unknown {
            return Ok(state);
        }
        let kind = self.kind(domain)?;
        if self.has_tried.xchg(false, Relaxed) {
            self.log_unserved(domain, &kind);
        }
        Ok(match kind {
            Kind::Pv | Kind::Unknown => state,
            Kind::Hvm | Kind::Gone => State::Unknown,
        })
    }

    fn kind(&self, domain: Domain) -> Result<Kind> {
        if self.is_pv() {
            return Ok(Kind::Pv);
        }
        if self.is_hvm.load(Relaxed) {
            return Ok(Kind::Hvm);
        }
        match is_pv_guest(domain) {
            Ok(true) => {
                self.is_pv.store(true, Relaxed);
                Ok(Kind::Pv)
            }
            Ok(false) => {
                self.is_hvm.store(true, Relaxed);
                Ok(Kind::Hvm)
            }
            Err(e) if e == EACCES => Ok(Kind::Unknown),
            Err(e) if e == ESRCH => Ok(Kind::Gone),
            Err(e) => Err(e),
        }
    }

    /// Logs that a frontend is not served, once.
    fn log_unserved(&self, domain: Domain, kind: &Kind) {
        match kind {
            Kind::Gone => (),
            Kind::Pv if PV.get() => (),
            _ if !self.is_first() => (),
            Kind::Pv => pr_warn!(
                "domain {domain} is a PV guest, which is not served: see the parameter pv\n"
            ),
            Kind::Hvm => pr_warn!(
                "domain {domain} has a PCI frontend, which is not served: HVM guests need none\n"
            ),
            Kind::Unknown => pr_warn!(
                "domain {domain} has a PCI frontend, which is not served: cannot ask Xen what guest it is; update this module\n"
            ),
        }
    }

    /// Returns whether this is a PV guest, by Xen's word. Called when the guest gets a function, as
    /// it may remove its frontend before anybody looks. Its end has to be seen all the same.
    pub(crate) fn ask_is_pv(&self, domain: Domain) -> bool {
        matches!(self.kind(domain), Ok(Kind::Pv))
    }

    /// Returns whether Xen has said that this is a PV guest.
    pub(crate) fn is_pv(&self) -> bool {
        self.is_pv.load(Relaxed)
    }

    /// Returns whether this is a PV guest, and has ended.
    pub(crate) fn has_ended(&self, domain: Domain) -> bool {
        self.is_pv() && has_ended(domain) == Ok(true)
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
