// SPDX-License-Identifier: GPL-2.0

//! Which functions which guest has, by the toolstack's `backend/pci` in XenStore.
//!
//! Needed for INTx lines that functions of one guest share. Xen maps such a line to the guest once,
//! but libxl unmaps it with each function that it detaches: the others lose their interrupt, and
//! their own detachment, so the guest's destruction too, then fails. See [`crate::privcmd`].

use kernel::{
    new_work,
    prelude::*,
    str::CString,
    sync::Arc,
    workqueue::{
        Work,
        WorkItem, //
    }, //
};

use xen::{
    pci_backend,
    workqueue::Queue,
    xenstore::{
        self,
        Observer, //
    },
    Sbdf, //
};

use crate::state;

/// Guests have few functions: no more are looked at.
const MOST: u32 = 1024;

/// Hears of backends.
pub(crate) struct Backends;

impl Observer for Backends {
    const PATH: &'static CStr = pci_backend::PATH;

    fn changed(path: &CStr) {
        if !pci_backend::tells(path.to_bytes()) {
            return;
        }
        let _ = state::with(|state| {
            state.backends.read_again();
            Ok(())
        });
    }
}

/// Reads all of them after a change, once for many changes. Not in the thread that hears of those:
/// every backend of the kernel waits for that.
pub(crate) struct Reader {
    queue: Queue,
    reading: Arc<Reading>,
}

impl Reader {
    /// One that has read nothing yet.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            queue: Queue::ordered(c"xen-pcidev-xenstore")?,
            reading: Arc::pin_init(
                pin_init!(Reading {
                    work <- new_work!("pcidev::Reading"),
                }),
                GFP_KERNEL,
            )?,
        })
    }

    fn read_again(&self) {
        // Queued already: it will see what has changed meanwhile.
        let _ = self.queue.enqueue(self.reading.clone());
    }
}

#[pin_data]
struct Reading {
    #[pin]
    work: Work<Reading>,
}

kernel::impl_has_work! {
    impl HasWork<Self> for Reading { self.work }
}

impl WorkItem for Reading {
    type Pointer = Arc<Reading>;

    fn run(_: Arc<Reading>) {
        if let Err(e) = read_all() {
            pr_warn!("cannot tell which guest has which function: {e:?}\n");
        }
    }
}

fn read_all() -> Result {
    let mut owners = KVec::new();
    match xenstore::list(Backends::PATH) {
        Ok(domains) => {
            for name in domains.iter() {
                if let Some(domain) = pci_backend::decimal(name.to_bytes()) {
                    read(domain, &mut owners)?;
                }
            }
        }
        Err(e) if e == ENOENT => (),
        Err(e) => return Err(e),
    }
    state::with(|state| {
        state.assign(&owners);
        Ok(())
    })
}

/// Adds the functions that `domain` has.
fn read(domain: u16, owners: &mut KVec<(Sbdf, u16)>) -> Result {
    let dir = CString::try_from_fmt(fmt!("backend/pci/{domain}/0"))?;
    let count = match xenstore::read(&dir, c"num_devs") {
        Ok(count) => pci_backend::decimal(count.bytes()).ok_or(EINVAL)?,
        Err(e) if e == ENOENT => 0,
        Err(e) => return Err(e),
    };
    for i in 0..MOST.min(count) {
        let node = CString::try_from_fmt(fmt!("dev-{i}"))?;
        // One that is being removed may be missing.
        let Ok(name) = xenstore::read(&dir, &node) else {
            continue;
        };
        if let Some(sbdf) = pci_backend::function(name.bytes()) {
            owners.push((sbdf, domain), GFP_KERNEL)?;
        }
    }
    Ok(())
}
