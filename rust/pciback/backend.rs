// SPDX-License-Identifier: GPL-2.0

//! The backends, one for each guest. A backend assigns the functions that the guest's directory
//! names, and returns all others.

use kernel::{
    fmt, new_mutex, new_work,
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Full, //
        },
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
    linux::workqueue::Queue,
    pci::DeviceExt,
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
    connection::Connection,
    frontend::Frontend,
    function::Function,
    functions::Functions,
    guest::{
        Attached,
        Guest, //
    },
    handshake::Link,
    life::{
        Domain,
        ExportError, //
    },
    registry::AT_A_TIME,
    served::Slot,
    topology::{
        self,
        Placed, //
    },
    PASSTHROUGH, //
};

/// The backends, one for each guest.
#[pin_data]
pub(crate) struct Backends {
    pub(crate) functions: Arc<Functions>,
    #[pin]
    all: Mutex<KVec<Arc<Backend>>>,
    queue: Queue,
    /// The queue on which PV guests are served.
    pub(crate) serving: Queue,
}

impl Backends {
    pub(crate) fn new(functions: Arc<Functions>) -> Result<Arc<Self>> {
        let queue = Queue::new(c"xen-pciback-xenstore", AT_A_TIME)?;
        let serving = Queue::new(c"xen-pciback-serving", AT_A_TIME)?;
        Arc::pin_init(
            pin_init!(Self {
                functions,
                all <- new_mutex!(KVec::new()),
                queue,
                serving,
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the backend of `domain`, and creates it if there is none. `ENOMEM` on failure.
    pub(crate) fn of(self: &Arc<Self>, domain: Domain) -> Result<Arc<Backend>> {
        let mut all = self.all.lock();
        if let Some(backend) = all.iter().find(|backend| backend.domain == domain) {
            return Ok(backend.clone());
        }
        let backend = Backend::new(self, domain)?;
        all.push(backend.clone(), GFP_KERNEL)?;
        Ok(backend)
    }

    /// Waits until all backends have followed their directories.
    pub(crate) fn drain(&self) {
        self.queue.drain();
        self.serving.drain();
    }

    /// Queues the work of a backend, which follows its directory.
    pub(crate) fn enqueue(&self, backend: &Arc<Backend>) {
        backend.is_changed.xchg(true, Full);
        // Fails only if the work is queued already. It then sees all changes up to now.
        let _ = self.queue.enqueue(backend.clone());
    }

    /// Returns the functions from `domain` that its directory does not name any more. Called when
    /// `domain` has a function that another guest wants, or that a toolstack wants to be reset.
    pub(crate) fn release_stale(&self, domain: Domain) {
        let backend = {
            let all = self.all.lock();
            all.iter().find(|backend| backend.domain == domain).cloned()
        };
        if let Some(backend) = backend {
            // The work of the backend logs the error.
            let _ = backend.release_stale();
        }
    }

    /// Queues the work of all backends.
    pub(crate) fn enqueue_all(&self) {
        for backend in self.all.lock().iter() {
            self.enqueue(backend);
        }
    }

    /// Removes all backends.
    pub(crate) fn clear(&self) {
        self.all.lock().clear();
    }

    /// Removes a backend whose directory is gone. If the toolstack has created the directory again
    /// meanwhile, a new backend follows it.
    fn forget(&self, backend: &Backend) {
        let mut all = self.all.lock();
        all.retain(|other| !core::ptr::eq(&**other, backend));
    }

    /// Returns whether `backend` still is the backend of its domain. If not, queues the current
    /// one.
    fn has(self: &Arc<Self>, backend: &Backend) -> Result<bool> {
        let current = self.of(backend.domain)?;
        if core::ptr::eq(&*current, backend) {
            return Ok(true);
        }
        self.enqueue(&current);
        Ok(false)
    }
}

/// The number of attempts to follow a directory. Without a retry, a function could stay assigned to
/// a guest that is gone, as the directory may never change again.
const ATTEMPTS: u32 = 10;
/// The time between two attempts, in milliseconds.
const PAUSE: i64 = 500;

/// The number of attempts in which a frontend is waited for. A guest that is destroyed is paused.
const PATIENCE: u32 = 4;

/// The backend of one guest.
#[pin_data]
pub(crate) struct Backend {
    pub(crate) domain: Domain,
    pub(crate) frontend: Frontend,
    pub(crate) backends: Arc<Backends>,
    topology: topology::Kind,
    /// The xenbus device. `None` if xenbus has not probed one, or has removed it; the driver then
    /// writes no answers.
    #[pin]
    dev: Mutex<Option<ARef<xenbus::Device>>>,
    /// The connection to the frontend of a PV guest. Locked while the guest is served, and before
    /// `guest`.
    #[pin]
    pub(crate) connection: Mutex<Option<Connection>>,
    /// Locked while XenStore is read, but not while functions are reset.
    #[pin]
    pub(crate) guest: Mutex<Guest>,
    /// Whether the directory may have changed since it was last followed.
    is_changed: Atomic<bool>,
    #[pin]
    work: Work<Backend>,
}

kernel::impl_has_work! {
    impl HasWork<Self> for Backend { self.work }
}

impl WorkItem for Backend {
    type Pointer = Arc<Backend>;

    fn run(this: Arc<Backend>) {
        store::settle();
        if !this.is_changed.xchg(false, Full) {
            return;
        }
        for attempt in 0..ATTEMPTS {
            match this.follow(attempt < PATIENCE) {
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
    fn new(backends: &Arc<Backends>, domain: Domain) -> Result<Arc<Self>> {
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
                connection <- new_mutex!(None),
                guest <- new_mutex!(Guest::new()),
                is_changed: Atomic::new(false),
                work <- new_work!("pciback::Backend"),
            }),
            GFP_KERNEL,
        )
    }

    /// Sets the xenbus device after its probe, or clears it on its removal.
    pub(crate) fn set_device(&self, dev: Option<ARef<xenbus::Device>>) {
        let old = core::mem::replace(&mut *self.dev.lock(), dev);
        drop(old);
    }

    fn device(&self) -> Option<ARef<xenbus::Device>> {
        self.dev.lock().clone()
    }

    /// Assigns and returns functions as the directory says, and answers the toolstack. Returns
    /// whether a frontend has to do something now, which is waited for with patience.
    fn follow(self: &Arc<Self>, is_patient: bool) -> Result<bool> {
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
        self.answer(&directory, is_patient)
    }

    /// Reads the directory, and returns the functions from the guest that the directory does not
    /// name any more. Returns `None` if there is no directory. May sleep, but waits for no reset.
    fn release_stale(&self) -> Result<Option<Directory>> {
        if self.is_connected()
            && store::read_pci_backend(self.domain)?.is_none_or(|found| self.is_ending(&found))
        {
            self.disconnect();
        }
        let mut guest = self.guest.lock();
        let mut directory = store::read_pci_backend(self.domain)?;
        if let Some(directory) = directory
            .as_mut()
            .filter(|directory| self.is_ending(directory))
        {
            directory.entries.clear();
        }
        guest.keep_only(
            directory
                .as_ref()
                .map_or(&[][..], |directory| &directory.entries[..]),
        )?;
        Ok(directory)
    }

    /// Returns whether the toolstack ends the backend, or the guest is a PV guest that has ended:
    /// libxl leaves the directory of one that was never connected. xenbus closes a backend whose
    /// frontend is missing, and this driver one that it does not serve; these are online.
    fn is_ending(&self, directory: &Directory) -> bool {
        let is_closing = matches!(directory.state, State::Closing | State::Closed);
        is_closing && !directory.is_online || self.frontend.has_ended(self.domain)
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
        let alone = function.dev.is_virtfn();
        let placed = Placed::new(self.topology, sbdf, alone, guest.placed())?;
        let usable = assignment.usable();
        let attached = Attached {
            slot: Slot::new(&function, self.domain),
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
        function
            .export(self.domain)
            .map_err(|refusal| match refusal {
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

    /// Reports an error in the log, and in XenStore if there is a xenbus device.
    fn report(&self, error: Error, message: fmt::Arguments<'_>) {
        match (self.device(), CString::try_from_fmt(message)) {
            (Some(dev), Ok(message)) => dev.report(error, &message),
            (None, Ok(message)) => pr_err!("{:?}: {:?}\n", &*message, error),
            (_, Err(_)) => (),
        }
    }

    /// Writes the answers to the toolstack.
    fn answer(self: &Arc<Self>, directory: &Directory, is_patient: bool) -> Result<bool> {
        let dev = self.device();
        let link = dev.as_ref().map_or(Link::None, |dev| self.link(dev));
        let guest = self.guest.lock();
        match dev {
            Some(dev) => {
                let usable = guest.attached.iter();
                let usable = usable.filter(|attached| attached.assignment.usable().is_ok());
                let usable = usable.map(|attached| attached.placed);
                answers::publish(
                    &dev,
                    directory,
                    usable,
                    self.frontend.state(),
                    link,
                    is_patient,
                )
            }
            None => {
                if !guest.attached.is_empty() {
                    self.frontend.is_missing(self.domain);
                }
                Ok(false)
            }
        }
    }
}
