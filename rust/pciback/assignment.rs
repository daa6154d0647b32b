// SPDX-License-Identifier: GPL-2.0

//! The assignment of a function to a guest.

use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

use xen::{
    hypercall::domain::{
        has_ended,
        is_pv_guest, //
    },
    linux::module,
    pci::{
        DeviceLock,
        Locked,
        Sbdf, //
    }, //
};

use crate::{
    function::Function,
    life::{
        Domain,
        Export,
        ExportError,
        Life,
        Outcome, //
    }, //
};

/// The assignment of a function to a guest, created by [`Function::export`]. Dropping it returns
/// the function from the guest.
///
/// An assignment outlives the binding of the driver: if an assigned function is unbound, the driver
/// still knows the guest, until the toolstack detaches the function. An assignment pins the module.
pub(crate) struct Assignment {
    function: Arc<Function>,
    usable: Result,
    _pinned: module::Pinned,
}

impl Assignment {
    fn new(function: &Arc<Function>, usable: Result, pinned: module::Pinned) -> Self {
        function.warn_of_mappings(function.guest());
        Self {
            function: function.clone(),
            usable,
            _pinned: pinned,
        }
    }

    /// Returns the address of the function.
    pub(crate) fn sbdf(&self) -> Sbdf {
        self.function.sbdf
    }

    pub(crate) fn function(&self) -> &Arc<Function> {
        &self.function
    }

    /// Returns whether the guest may use the function. A toolstack may also assign other functions
    /// to a guest in Xen; errors are those of [`Export::Lost`].
    pub(crate) fn usable(&self) -> Result {
        self.usable
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
    pub(crate) fn export(self: &Arc<Self>, domain: Domain) -> Result<Assignment, ExportError> {
        let pinned = module::Pinned::new().map_err(ExportError::Failed)?;
        if let Some(usable) =
            self.assign(&DeviceLock::new(&self.dev), |life| life.export(domain))?
        {
            return Ok(Assignment::new(self, usable, pinned));
        }
        loop {
            let lock = self.lock_for_reset().map_err(|e| match e {
                // Others use the bus for too long.
                EAGAIN => ExportError::Failed(ETIMEDOUT),
                e => ExportError::Failed(e),
            })?;
            let mut assigned = self.assign(&lock, |life| life.export(domain))?;
            if assigned.is_none() {
                // `reset()` logs the error.
                match self.reset(&lock, false) {
                    Ok(Outcome::Postponed) => {
                        let insists = self.allow_unreset.load(Relaxed);
                        let assign = |life: &mut Life| life.export_unreset(domain, insists);
                        assigned = self.assign(&lock, assign)?;
                        log_unreset(&lock, domain, assigned);
                    }
                    Err(e) if e == ENOMEM => return Err(ExportError::Failed(e)),
                    _ => (),
                }
            }
            if let Some(usable) = assigned {
                return Ok(Assignment::new(self, usable, pinned));
            }
        }
    }

    /// Called when the guest does not have the function any more. Only queues the reset.
    pub(crate) fn give_back(self: &Arc<Self>) {
        self.note_pv_guest();
        self.permissive.store(false, Relaxed);
        self.interrupt_control.store(false, Relaxed);
        self.allow_unreset.store(false, Relaxed);
        {
            // Release last: the next guest may get the function immediately.
            let mut inner = self.inner.lock();
            self.is_leaving.store(false, Relaxed);
            inner.error_logged = false;
            inner.guest_stopped = false;
            inner.life.release();
        }
        self.queue();
        self.queue_others();
    }

    /// Returns the function's guest, if that is a PV guest.
    pub(super) fn pv_guest(&self) -> Option<Domain> {
        self.guest().filter(|guest| is_pv_guest(*guest) == Ok(true))
    }

    /// Records that the function's guest is a PV guest.
    pub(super) fn note_pv_guest(&self) {
        if let Some(domain) = self.pv_guest() {
            self.last_pv_guest.store(domain.into(), Relaxed);
        }
    }

    /// Warns the `next` guest, or dom0. Xen leaves mapped what a PV guest has mapped of the
    /// function's BARs, until the guest ends.
    pub(super) fn warn_of_mappings(&self, next: Option<Domain>) {
        let last = Domain::try_from(self.last_pv_guest.load(Relaxed)).unwrap_or(0);
        if last != 0 && next != Some(last) && has_ended(last) == Ok(false) {
            dev_warn!(
                self.dev,
                "domain {} still runs, and may reach its registers: destroy that guest\n",
                last
            );
        }
    }

    /// Wakes the function, and assigns it by `export`. Returns whether the guest may use it; `None`
    /// if it has to be reset first.
    fn assign(
        &self,
        dev: &Locked,
        export: impl FnOnce(&mut Life) -> Result<Export, ExportError>,
    ) -> Result<Option<Result>, ExportError> {
        // If this fails, the function has to be reset.
        let _ = self.rouse(dev);
        let mut inner = self.inner.lock();
        if inner.seized.is_none() {
            return Err(ExportError::Gone);
        }
        let usable = match export(&mut inner.life)? {
            Export::Done => Ok(()),
            Export::Lost(e) => Err(e),
            Export::Reset => return Ok(None),
        };
        dev.mark_assigned();
        Ok(Some(usable))
    }
}

fn log_unreset(dev: &Locked, domain: Domain, usable: Option<Result>) {
    if usable == Some(Ok(())) {
        dev_warn!(dev, "not reset before domain {} gets it\n", domain);
    } else {
        dev_err!(
            dev,
            "domain {} must not use it before its reset: xl pci-detach, or see allow_unreset\n",
            domain
        );
    }
}
