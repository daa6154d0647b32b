// SPDX-License-Identifier: GPL-2.0

//! The backends, one for each guest: what each of them has, and what it takes back. How it follows
//! its directory is in another file, which is above this one.

use kernel::{
    fmt,
    new_mutex,
    new_work,
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
    workqueue::Work, //
};

use xen::{
    linux::workqueue::Queue,
    xenbus::{
        self,
        pci_backend::Directory,
        store,
        State, //
    },
};

use crate::{
    connection::Connection,
    frontend::Frontend,
    functions::Functions,
    guest::Guest,
    handshake::Handshake,
    life::Domain,
    registry::AT_A_TIME,
    topology,
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
    pub(crate) fn forget(&self, backend: &Backend) {
        let mut all = self.all.lock();
        all.retain(|other| !core::ptr::eq(&**other, backend));
    }

    /// Returns whether `backend` still is the backend of its domain. If not, queues the current
    /// one.
    pub(crate) fn has(self: &Arc<Self>, backend: &Backend) -> Result<bool> {
        let current = self.of(backend.domain)?;
        if core::ptr::eq(&*current, backend) {
            return Ok(true);
        }
        self.enqueue(&current);
        Ok(false)
    }
}

/// The backend of one guest.
#[pin_data]
pub(crate) struct Backend {
    pub(crate) domain: Domain,
    pub(crate) frontend: Frontend,
    pub(crate) backends: Arc<Backends>,
    pub(crate) topology: topology::Kind,
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
    /// Only the work locks it.
    #[pin]
    pub(crate) handshake: Mutex<Handshake>,
    /// Whether the directory may have changed since it was last followed.
    pub(crate) is_changed: Atomic<bool>,
    #[pin]
    work: Work<Backend>,
}

kernel::impl_has_work! {
    impl HasWork<Self> for Backend { self.work }
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
                handshake <- new_mutex!(Handshake::default()),
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

    pub(crate) fn device(&self) -> Option<ARef<xenbus::Device>> {
        self.dev.lock().clone()
    }

    /// Reads the directory, and returns the functions from the guest that the directory does not
    /// name any more. Returns `None` if there is no directory. May sleep, but waits for no reset.
    pub(crate) fn release_stale(&self) -> Result<Option<Directory>> {
        let mut connection = self.connection.lock();
        let mut guest = self.guest.lock();
        let mut directory = store::read_pci_backend(self.domain)?;
        if directory
            .as_ref()
            .is_none_or(|directory| self.is_ending(directory))
        {
            // The page is unmapped before anything is given back.
            Self::end(&mut connection, &mut guest);
            if let Some(directory) = &mut directory {
                directory.entries.clear();
            }
        }
        drop(connection);
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

    /// Ends the connection, and takes all interrupts from the guest. May sleep.
    pub(crate) fn disconnect(&self) {
        let mut connection = self.connection.lock();
        let mut guest = self.guest.lock();
        Self::end(&mut connection, &mut guest);
    }

    pub(crate) fn end(connection: &mut Option<Connection>, guest: &mut Guest) {
        if connection.take().is_some() {
            guest.stop_serving();
        }
    }

    /// Reports an error in the log, and in XenStore if there is a xenbus device.
    pub(crate) fn report(&self, error: Error, message: fmt::Arguments<'_>) {
        match (self.device(), CString::try_from_fmt(message)) {
            (Some(dev), Ok(message)) => dev.report(error, &message),
            (None, Ok(message)) => pr_err!("{:?}: {:?}\n", &*message, error),
            (_, Err(_)) => (),
        }
    }
}
