// SPDX-License-Identifier: GPL-2.0

//! How changes in XenStore reach the backends.
//!
//! Toolstacks list a guest's functions in `backend/pci/DOMAIN/0`. Xenbus creates a device for such
//! a directory only if the frontend exists, and a guest can remove its frontend at any time. This
//! driver therefore watches the directories as well, so that only the toolstack decides which
//! functions a guest has.
//!
//! The code here that runs on XenStore's thread, which serves all backends of dom0, only queues
//! work.

use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        ArcBorrow, //
    },
};

use xen::xenbus::{
    self,
    pci_backend,
    watch::Observer,
    State, //
};

use crate::backend::{
    Backend,
    Backends, //
};

/// The driver of xenbus devices.
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
        if backend.frontend.changed(state) {
            self.0.enqueue(&backend.into());
        }
    }

    fn remove(&self, backend: ArcBorrow<'_, Backend>) {
        backend.set_device(None);
        self.0.enqueue(&backend.into());
    }
}

/// The observer of the directories that toolstacks write.
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
            // The removal of a parent directory removes all directories below it.
            None => self.0.enqueue_all(),
        }
    }
}

/// The observer of guests that end.
pub(crate) struct Ends(pub(crate) Arc<Backends>);

impl Observer for Ends {
    const PATH: &'static CStr = c"@releaseDomain";

    fn changed(&self, _path: &CStr) {
        self.0.enqueue_all();
    }
}

/// The backends of a loaded module. Dropping it waits for their work, and removes them. The
/// callbacks that queue work are unregistered by then.
pub(crate) struct Loaded(Arc<Backends>);

impl Loaded {
    pub(crate) fn new(backends: Arc<Backends>) -> Self {
        Self(backends)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.0.drain();
        self.0.clear();
    }
}
