// SPDX-License-Identifier: GPL-2.0

//! All guests that toolstacks have given functions: how changes in XenStore reach their backends.
//!
//! Toolstacks describe a guest's functions in `backend/pci/DOMAIN/0`. Xenbus makes a device of such
//! a directory, but not if the frontend is missing, and a guest can remove its frontend as soon as
//! it sees it. So the directories are watched as well: a guest's functions are the toolstack's to
//! say.
//!
//! XenStore's thread, which serves all backends of dom0, only queues work here.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        ArcBorrow,
        Mutex, //
    },
};

use xen::{
    linux::workqueue::Queue,
    xenbus::{
        self,
        pci_backend,
        watch::Observer,
        State, //
    }, //
};

use crate::{
    backend::Backend,
    functions::{
        Functions,
        AT_A_TIME, //
    },
    life::Domain, //
};

/// The backends, one for each guest.
#[pin_data]
pub(crate) struct Backends {
    pub(crate) functions: Arc<Functions>,
    #[pin]
    all: Mutex<KVec<Arc<Backend>>>,
    queue: Queue,
}

impl Backends {
    pub(crate) fn new(functions: Arc<Functions>) -> Result<Arc<Self>> {
        let queue = Queue::new(c"xen-pciback-xenstore", AT_A_TIME)?;
        Arc::pin_init(
            pin_init!(Self {
                functions,
                all <- new_mutex!(KVec::new()),
                queue,
            }),
            GFP_KERNEL,
        )
    }

    /// The backend of `domain`, which is made if there is none.
    fn of(self: &Arc<Self>, domain: Domain) -> Result<Arc<Backend>> {
        let mut all = self.all.lock();
        if let Some(backend) = all.iter().find(|backend| backend.domain == domain) {
            return Ok(backend.clone());
        }
        let backend = Backend::new(self, domain)?;
        all.push(backend.clone(), GFP_KERNEL)?;
        Ok(backend)
    }

    /// Waits until all backends have looked at their directories.
    pub(crate) fn drain(&self) {
        self.queue.drain();
    }

    /// Makes a backend look at its directory, soon.
    pub(crate) fn enqueue(&self, backend: &Arc<Backend>) {
        // If it is queued already, it will see what has changed meanwhile.
        let _ = self.queue.enqueue(backend.clone());
    }

    /// Takes those functions from `domain` that its directory does not name any more. Called before
    /// a function is refused, or left unreset, because that guest has it.
    pub(crate) fn release_stale(&self, domain: Domain) {
        let backend = {
            let all = self.all.lock();
            all.iter().find(|backend| backend.domain == domain).cloned()
        };
        if let Some(backend) = backend {
            // Its own work logs the error.
            let _ = backend.release_stale();
        }
    }

    /// Forgets a backend whose directory is gone. If that was made again meanwhile, another backend
    /// follows it.
    pub(crate) fn forget(&self, backend: &Backend) {
        let mut all = self.all.lock();
        all.retain(|other| !core::ptr::eq(&**other, backend));
    }

    /// Whether it still is one of these; else another one is queued in its place.
    pub(crate) fn has(self: &Arc<Self>, backend: &Backend) -> Result<bool> {
        let current = self.of(backend.domain)?;
        if core::ptr::eq(&*current, backend) {
            return Ok(true);
        }
        self.enqueue(&current);
        Ok(false)
    }
}

/// The driver of backends.
pub(crate) struct BackendDriver(pub(crate) Arc<Backends>);

impl xenbus::Driver for BackendDriver {
    const NAME: &'static CStr = c"xen-pciback";
    const TYPE: &'static CStr = c"pci";
    type Data = Backend;

    fn probe(&self, dev: ARef<xenbus::Device>) -> Result<Arc<Backend>> {
        if pci_backend::domain(dev.node().to_bytes()) != Some(dev.domain()) {
            return Err(ENODEV);
        }
        let backend = self.0.of(dev.domain())?;
        backend.set_device(Some(dev));
        self.0.enqueue(&backend);
        Ok(backend)
    }

    fn other_end(&self, backend: ArcBorrow<'_, Backend>, state: State) {
        backend.frontend.changed(backend.domain, state);
    }

    fn remove(&self, backend: ArcBorrow<'_, Backend>) {
        backend.set_device(None);
        self.0.enqueue(&backend.into());
    }
}

/// Hears of what toolstacks write.
pub(crate) struct Changes(pub(crate) Arc<Backends>);

impl Observer for Changes {
    const PATH: &'static CStr = pci_backend::PATH;

    fn changed(&self, path: &CStr) {
        let path = path.to_bytes();
        if !pci_backend::tells(path) {
            return;
        }
        match pci_backend::domain(path) {
            Some(domain) => match self.0.of(domain) {
                Ok(backend) => self.0.enqueue(&backend),
                Err(e) => pr_warn!("cannot follow domain {domain}: {e:?}\n"),
            },
            // Directories may have been removed with those that they are in.
            None => {
                for backend in self.0.all.lock().iter() {
                    self.0.enqueue(backend);
                }
            }
        }
    }
}

/// The backends of a loaded module. Dropping it waits for their works, and forgets them. Nothing
/// queues any more by then.
pub(crate) struct Loaded(Arc<Backends>);

impl Loaded {
    pub(crate) fn new(backends: Arc<Backends>) -> Self {
        Self(backends)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.0.drain();
        self.0.all.lock().clear();
    }
}
