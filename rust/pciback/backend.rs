// SPDX-License-Identifier: GPL-2.0

//! The backend of one guest: gives it the functions that its directory names, and takes the others.

use kernel::{
    fmt, new_mutex, new_work,
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    workqueue::{
        Work,
        WorkItem, //
    },
};

use xen::{
    pci::{
        DeviceExt,
        Sbdf, //
    },
    xenbus::{
        self,
        pci_backend::{
            Directory,
            Entry, //
        },
        store,
        State, //
    },
};

use crate::{
    answers,
    assignment::Assignment,
    backends::Backends,
    frontend::Frontend,
    function::Function,
    life::{
        Domain,
        Refusal, //
    },
    topology::{
        self,
        Placed, //
    },
    PASSTHROUGH, //
};

/// How often a directory is followed if that fails. No other change may ever come: a function would
/// stay with a guest that is gone.
const ATTEMPTS: u32 = 10;
/// The time between two attempts, in milliseconds.
const PAUSE: i64 = 500;

/// The backend of one guest.
#[pin_data]
pub(crate) struct Backend {
    pub(crate) domain: Domain,
    pub(crate) frontend: Frontend,
    backends: Arc<Backends>,
    topology: topology::Kind,
    /// `None` if xenbus has no device for it; nothing is answered then.
    #[pin]
    dev: Mutex<Option<ARef<xenbus::Device>>>,
    /// Locked while XenStore is read, but not while functions are reset.
    #[pin]
    guest: Mutex<Guest>,
    #[pin]
    work: Work<Backend>,
}

kernel::impl_has_work! {
    impl HasWork<Self> for Backend { self.work }
}

/// The guest's functions.
struct Guest {
    /// The functions that the directory named when it was last read.
    wanted: KVec<Sbdf>,
    attached: KVec<Attached>,
    /// Entries that were complained of.
    refused: KVec<(u32, Option<Sbdf>)>,
}

/// A function of the guest.
struct Attached {
    assignment: Assignment,
    placed: Placed,
}

impl Guest {
    fn attached(&self, sbdf: Sbdf) -> Option<&Attached> {
        self.attached
            .iter()
            .find(|attached| attached.assignment.sbdf() == sbdf)
    }

    fn placed(&self) -> impl Iterator<Item = Placed> + Clone + '_ {
        self.attached.iter().map(|attached| attached.placed)
    }
}

impl WorkItem for Backend {
    type Pointer = Arc<Backend>;

    fn run(this: Arc<Backend>) {
        for attempt in 0..ATTEMPTS {
            let Err(e) = this.follow() else { return };
            if attempt == 0 {
                this.report(e, fmt!("cannot follow backend/pci/{}/0", this.domain));
            }
            // The toolstack has to correct what it has written, and that is a new change.
            if e == EINVAL || e == E2BIG {
                return;
            }
            fsleep(Delta::from_millis(PAUSE));
        }
    }
}

impl Backend {
    pub(super) fn new(backends: &Arc<Backends>, domain: Domain) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                domain,
                frontend: Frontend::new(),
                backends: backends.clone(),
                topology: if PASSTHROUGH.get() {
                    topology::Kind::Real
                } else {
                    topology::Kind::Virtual
                },
                dev <- new_mutex!(None),
                guest <- new_mutex!(Guest {
                    wanted: KVec::new(),
                    attached: KVec::new(),
                    refused: KVec::new(),
                }),
                work <- new_work!("pciback::Backend"),
            }),
            GFP_KERNEL,
        )
    }

    /// Xenbus has a device for it, or has none any more.
    pub(super) fn set_device(&self, dev: Option<ARef<xenbus::Device>>) {
        let old = core::mem::replace(&mut *self.dev.lock(), dev);
        drop(old);
    }

    fn device(&self) -> Option<ARef<xenbus::Device>> {
        self.dev.lock().clone()
    }

    /// Carries out what the directory says.
    fn follow(&self) -> Result {
        if !self.backends.has(self)? {
            return Ok(());
        }
        let Some(directory) = self.release_stale()? else {
            self.backends.forget(self);
            return Ok(());
        };
        for entry in &directory.entries {
            if let Err(e) = self.attach(entry) {
                self.refuse(entry, e)?;
            }
        }
        self.answer(&directory)
    }

    /// Reads the directory, and takes the functions from the guest that are not in there any more.
    /// Does not sleep for long. Returns `None` if there is no directory.
    pub(super) fn release_stale(&self) -> Result<Option<Directory>> {
        let has_device = self.device().is_some();
        let mut guest = self.guest.lock();
        let mut directory = store::read_pci_backend(self.domain)?;
        if let Some(directory) = &mut directory {
            let is_closing = matches!(directory.state, State::Closing | State::Closed);
            // Without a device it may be xenbus that closes it, as it finds no frontend.
            if is_closing && (has_device || !directory.is_online) {
                directory.entries.clear();
            }
        }
        let entries = directory
            .as_ref()
            .map_or(&[][..], |directory| &directory.entries[..]);
        let mut wanted = KVec::with_capacity(entries.len(), GFP_KERNEL)?;
        for sbdf in entries.iter().filter_map(|entry| entry.function) {
            wanted.push(sbdf, GFP_KERNEL)?;
        }
        guest
            .attached
            .retain(|attached| wanted.contains(&attached.assignment.sbdf()));
        guest.refused.retain(|(index, function)| {
            entries
                .iter()
                .any(|entry| entry.index == *index && entry.function == *function)
        });
        guest.wanted = wanted;
        Ok(directory)
    }

    /// Gives the guest the function of an entry, unless it has it.
    fn attach(&self, entry: &Entry) -> Result {
        let sbdf = entry.function.ok_or(EINVAL)?;
        let usable = |assignment: &Assignment| assignment.is_usable().then_some(()).ok_or(EIO);
        if let Some(attached) = self.guest.lock().attached(sbdf) {
            return usable(&attached.assignment);
        }
        let function = self.backends.functions.get(sbdf)?;
        let assignment = self.export(&function)?;
        let mut guest = self.guest.lock();
        if !guest.wanted.contains(&sbdf) {
            // The toolstack has taken it back meanwhile.
            return Ok(());
        }
        let alone = function.dev.is_virtfn();
        let placed = Placed::new(self.topology, sbdf, alone, guest.placed())?;
        let is_usable = usable(&assignment);
        guest
            .attached
            .push(Attached { assignment, placed }, GFP_KERNEL)?;
        is_usable
    }

    fn export(&self, function: &Arc<Function>) -> Result<Assignment> {
        let mut exported = function.export(self.domain);
        if let (Err(Refusal::Busy), Some(other)) = (&exported, function.guest()) {
            self.backends.release_stale(other);
            exported = function.export(self.domain);
        }
        exported.map_err(|refusal| match refusal {
            Refusal::Gone => ENODEV,
            Refusal::Busy => EBUSY,
            Refusal::Recovering => EAGAIN,
            Refusal::Failed(e) => e,
        })
    }

    /// Complains, once, of an entry.
    fn refuse(&self, entry: &Entry, error: Error) -> Result {
        let id = (entry.index, entry.function);
        {
            let mut guest = self.guest.lock();
            if guest.refused.contains(&id) {
                return Ok(());
            }
            guest.refused.push(id, GFP_KERNEL)?;
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
            EAGAIN => "Linux is recovering from an error of it: try again",
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

    /// Logs an error, in XenStore too if xenbus has a device.
    fn report(&self, error: Error, message: fmt::Arguments<'_>) {
        match (self.device(), CString::try_from_fmt(message)) {
            (Some(dev), Ok(message)) => dev.report(error, &message),
            (None, Ok(message)) => pr_err!("{:?}: {:?}\n", &*message, error),
            (_, Err(_)) => (),
        }
    }

    /// Answers the toolstack.
    fn answer(&self, directory: &Directory) -> Result {
        let guest = self.guest.lock();
        match self.device() {
            Some(dev) => {
                let usable = guest.attached.iter();
                let usable = usable.filter(|attached| attached.assignment.is_usable());
                answers::publish(&dev, directory, usable.map(|attached| attached.placed))
            }
            None => {
                if !guest.attached.is_empty() {
                    self.frontend.is_missing(self.domain);
                }
                Ok(())
            }
        }
    }
}
