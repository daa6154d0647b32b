// SPDX-License-Identifier: GPL-2.0

//! How a backend follows its directory: it assigns the functions that the directory names, returns
//! all others, connects to the frontend of a PV guest, and answers the toolstack.

use kernel::{
    prelude::*,
    sync::{
        atomic::Full,
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    workqueue::WorkItem, //
};

use xen::{
    pci::DeviceExt,
    xenbus::{
        pci_backend::{
            Directory,
            Entry, //
        },
        store,
    }, //
};

use crate::{
    answers,
    assignment::Assignment,
    backend::Backend,
    function::Function,
    guest::Attached,
    life::ExportError,
    served::Slot,
    topology::Placed, //
};

/// The number of attempts to follow a directory. Without a retry, a function could stay assigned to
/// a guest that is gone, as the directory may never change again.
const ATTEMPTS: u32 = 10;
/// The time between two attempts, in milliseconds.
const PAUSE: i64 = 500;

impl WorkItem for Backend {
    type Pointer = Arc<Backend>;

    fn run(this: Arc<Backend>) {
        store::settle();
        if !this.is_changed.xchg(false, Full) {
            return;
        }
        for attempt in 0..ATTEMPTS {
            match this.follow() {
                Ok(waits) if !waits => return,
                // Its next state causes a notification, too.
                Ok(_) => (),
                Err(e) => {
                    if attempt == 0 {
                        this.report(e, fmt!("cannot follow backend/pci/{}/0", this.domain));
                    }
                    // Do not retry: the toolstack has to correct the directory, which causes a new
                    // notification.
                    if e == EINVAL || e == E2BIG {
                        return;
                    }
                }
            }
            fsleep(Delta::from_millis(PAUSE));
        }
    }
}

impl Backend {
    /// Assigns and returns functions as the directory says, and answers the toolstack. Returns
    /// whether a frontend has to do something now.
    fn follow(self: &Arc<Self>) -> Result<bool> {
        if self.device().is_none() {
            self.disconnect();
        }
        if !self.backends.has(self)? {
            return Ok(false);
        }
        let Some(directory) = self.release_stale()? else {
            self.backends.forget(self);
            return Ok(false);
        };
        for entry in &directory.entries {
            if let Err(e) = self.attach(entry) {
                self.refuse(entry, e)?;
            }
        }
        self.answer(&directory)
    }

    /// Assigns the function of an entry to the guest, unless it already is.
    fn attach(&self, entry: &Entry) -> Result {
        let sbdf = entry.function.ok_or(EINVAL)?;
        if let Some(attached) = self.guest.lock().attached(sbdf) {
            return attached.assignment.usable();
        }
        let function = self.backends.functions.get(sbdf)?;
        let assignment = self.export(&function)?;
        let mut guest = self.guest.lock();
        if !guest.wants(sbdf) {
            // The toolstack has detached the function meanwhile.
            return Ok(());
        }
        let is_pv = self.frontend.ask_is_pv(self.domain);
        let alone = function.dev.is_virtfn();
        let placed = Placed::new(self.topology, sbdf, alone, guest.placed())?;
        let usable = assignment.usable();
        let attached = Attached {
            slot: Slot::new(&function, self.domain, is_pv),
            assignment,
            placed,
        };
        guest.attached.push(attached, GFP_KERNEL)?;
        usable
    }

    fn export(&self, function: &Arc<Function>) -> Result<Assignment> {
        for other in function.guests().filter(|other| *other != self.domain) {
            self.backends.release_stale(other);
        }
        function.export(self.domain).map_err(|error| match error {
            ExportError::Gone => ENODEV,
            ExportError::Busy => EBUSY,
            ExportError::Failed(e) => e,
        })
    }

    /// Reports the error of an entry, once.
    fn refuse(&self, entry: &Entry, error: Error) -> Result {
        if !self.guest.lock().is_first_refusal(entry)? {
            return Ok(());
        }
        let Some(function) = entry.function else {
            let index = entry.index;
            self.report(
                error,
                fmt!("dev-{index} is no address such as 0000:03:00.0"),
            );
            return Ok(());
        };
        let why = match error {
            ENODEV => "xen-pciback does not have it: xl pci-assignable-add",
            EBUSY => "another domain has it",
            EIO => "it could not be reset",
            EAGAIN => "Linux is recovering from an error of it: xl pci-detach, and try again",
            ENOSPC => "32 devices are the most that a guest can have",
            _ => "see the error",
        };
        let domain = self.domain;
        self.report(
            error,
            fmt!("cannot assign {function} to domain {domain}: {why}"),
        );
        Ok(())
    }

    /// Writes the answers to the toolstack.
    fn answer(self: &Arc<Self>, directory: &Directory) -> Result<bool> {
        let Some(dev) = self.device() else {
            if !self.guest.lock().attached.is_empty() {
                self.frontend.is_missing(self.domain);
            }
            return Ok(false);
        };
        let frontend = self.frontend.look(self.domain)?;
        let link = self.link(&dev, frontend)?;
        let mut handshake = self.handshake.lock();
        let mut then = *handshake;
        let state = then.next(directory.state, directory.is_online, frontend, link);
        let guest = self.guest.lock();
        let usable = guest.attached.iter();
        let usable = usable.filter(|attached| attached.assignment.usable().is_ok());
        let usable = usable.map(|attached| attached.placed);
        answers::publish(&dev, directory, usable, state)?;
        *handshake = then;
        Ok(then.waits(state.unwrap_or(directory.state), link))
    }
}
