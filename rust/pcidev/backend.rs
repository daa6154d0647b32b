// SPDX-License-Identifier: GPL-2.0

//! Reads the toolstack's `backend/pci` in XenStore whenever it changes. See [`crate::assignments`].

use core::mem;

use kernel::{
    new_mutex,
    new_work,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    workqueue::{
        Work,
        WorkItem, //
    }, //
};

use xen::{
    linux::workqueue::Queue,
    xenbus::{
        pci_backend,
        store,
        watch::Observer, //
    }, //
};

use crate::{
    assignments::Assignment,
    functions::Functions,
    owed::Owed, //
};

/// Queues a read of the changed directories. It does not read itself, as it runs on the thread that
/// serves all watches of the kernel.
pub(crate) struct Watcher {
    pub(crate) reader: Arc<Reader>,
    pub(crate) queue: Arc<Queue>,
}

impl Observer for Watcher {
    const PATH: &'static CStr = pci_backend::PATH;

    fn changed(&self, path: &CStr) {
        if pci_backend::tells(path.to_bytes()) {
            self.reader.note(pci_backend::domain(path.to_bytes()));
            // Fails only if the work is already queued.
            let _ = self.queue.enqueue(self.reader.clone());
        }
    }
}

/// The work that reads the changed directories.
#[pin_data]
pub(crate) struct Reader {
    functions: Arc<Functions>,
    owed: Arc<Owed>,
    /// The domains whose directories have changed. `None` stands for all domains.
    #[pin]
    changed: Mutex<KVec<Option<u16>>>,
    #[pin]
    work: Work<Reader>,
}

kernel::impl_has_work! {
    impl HasWork<Self> for Reader { self.work }
}

impl WorkItem for Reader {
    type Pointer = Arc<Reader>;

    /// Reads the changed directories. After an error the assignments of the domain stay as they
    /// were, and its directory is read again with the next change. Unmapping a line too late is
    /// harmless, unmapping it while a guest uses it is not.
    fn run(this: Arc<Reader>) {
        store::settle();
        let changed = mem::take(&mut *this.changed.lock());
        for domain in &changed {
            let result = match domain {
                Some(domain) => this.read(*domain),
                None => this.read_all(),
            };
            if let Err(e) = result {
                log_failure(e);
                this.note(*domain);
            }
        }
    }
}

fn log_failure(e: Error) {
    pr_warn!("cannot read backend/pci in XenStore ({e:?}): domid of functions may be outdated\n");
}

impl Reader {
    /// Creates a reader with no directories to read.
    pub(crate) fn new(functions: Arc<Functions>, owed: Arc<Owed>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                functions,
                owed,
                changed <- new_mutex!(KVec::new()),
                work <- new_work!("pcidev::Reader"),
            }),
            GFP_KERNEL,
        )
    }

    /// Notes that the directory of `domain`, or of all domains, has changed.
    fn note(&self, domain: Option<u16>) {
        let mut changed = self.changed.lock();
        if !changed.contains(&domain) {
            if let Err(e) = changed.push(domain, GFP_KERNEL) {
                log_failure(e.into());
            }
        }
    }

    /// Reads all directories that exist, and those of all domains with assignments.
    fn read_all(&self) -> Result {
        for domain in &self.functions.domains()? {
            self.read(*domain)?;
        }
        match store::list(pci_backend::PATH) {
            Ok(names) => names
                .iter()
                .filter_map(|name| pci_backend::decimal(name.to_bytes()))
                .try_for_each(|domain| self.read(domain)),
            Err(e) if e == ENOENT => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn read(&self, domain: u16) -> Result {
        let (mut assignments, mut target) = (KVec::new(), None);
        if let Some(directory) = store::read_pci_backend(domain)? {
            for function in directory.functions() {
                assignments.push(Assignment::open(function), GFP_KERNEL)?;
            }
            for function in &directory.closing {
                assignments.push(Assignment::closing(*function), GFP_KERNEL)?;
            }
            target = store::read_target(domain)?;
        }
        if self.functions.assign(domain, target, &assignments)? {
            // With a function, a PV guest loses the line that it may have had alone.
            self.owed.ask();
        }
        Ok(())
    }
}
