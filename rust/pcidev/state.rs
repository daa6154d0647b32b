// SPDX-License-Identifier: GPL-2.0

//! The state of the module.

use kernel::{
    new_mutex,
    new_spinlock,
    pci::Device,
    prelude::*,
    rbtree::RBTreeNode,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex,
        SpinLock, //
    }, //
};

use xen::{
    global::{
        self,
        Global, //
    },
    gsi::Route,
    pci::{
        DeviceExt,
        Locked, //
    },
    Sbdf, //
};

use crate::{
    backend,
    privcmd,
    seize::Functions,
    table::{
        Facts,
        Holder,
        Msix,
        Table, //
    }, //
};

static STATE: Global<State> = Global::new();

/// Keeps the state published.
pub(crate) type Published = global::Published<State>;

/// The state of the module.
#[pin_data]
pub(crate) struct State {
    /// For look-ups in any context.
    #[pin]
    table: SpinLock<Table>,
    /// What has to be given back, by those who may sleep. Taken inside the device lock and the
    /// topology lock, outside of the table's.
    #[pin]
    pub(crate) functions: Mutex<Functions>,
    pciback_coming: Atomic<bool>,
    /// What toolstacks have written.
    pub(crate) backends: backend::Reader,
    /// The door of `/dev/xen/privcmd`.
    pub(crate) privcmd: privcmd::Open,
}

/// Makes and publishes the state.
pub(crate) fn publish() -> Result<Published> {
    let backends = backend::Reader::new()?;
    STATE.publish(Arc::pin_init(
        pin_init!(State {
            table <- new_spinlock!(Table::new()),
            functions <- new_mutex!(Functions::new()),
            pciback_coming: Atomic::new(false),
            backends,
            privcmd: privcmd::Open::new(),
        }),
        GFP_KERNEL,
    )?)
}

/// Calls `f` with the state; `ENODEV` while the module is loading or unloading.
pub(crate) fn with<R>(f: impl FnOnce(&State) -> Result<R>) -> Result<R> {
    STATE.with(f).unwrap_or(Err(ENODEV))
}

impl State {
    /// Adds a function, unless it is there.
    pub(crate) fn add(&self, dev: &Device, sbdf: Sbdf) -> Result {
        let mut functions = self.functions.lock();
        if functions.has(sbdf) {
            return Ok(());
        }
        let facts = Facts {
            pin: dev.pin(),
            route: Route::of(dev),
            // One in a deep sleep does not answer: it is asked again when it is seized.
            table: dev.msix_table().unwrap_or(None),
            holder: Holder::Nobody,
            irq: None,
            msix: Msix::Free,
            domain: None,
        };
        let node = RBTreeNode::new(sbdf, facts, GFP_KERNEL)?;
        let old = self.table.lock().insert(node);
        drop(old);
        // Last: whoever sees the files may read them.
        functions.add(dev, sbdf)
    }

    /// Forgets a function that is going away.
    pub(crate) fn remove(&self, sbdf: Sbdf) {
        self.functions.lock().remove(sbdf);
        let old = self.table.lock().remove(sbdf);
        drop(old);
    }

    /// What is known of a function; `ENODEV` if there is none. Does not sleep.
    pub(crate) fn facts(&self, sbdf: Sbdf) -> Result<Facts> {
        self.table.lock().get(sbdf)
    }

    /// The GSI to tell a toolstack, see [`Table::gsi_for_toolstack`]. Does not sleep.
    pub(crate) fn gsi_for_toolstack(&self, sbdf: Sbdf) -> Result<u32> {
        self.table.lock().gsi_for_toolstack(sbdf)
    }

    /// Notes which domain has which function, see [`Table::assign`]. Does not sleep.
    pub(crate) fn assign(&self, owners: &[(Sbdf, u16)]) {
        self.table.lock().assign(owners);
    }

    /// Changes what is known of a function. Does not sleep.
    pub(crate) fn update(&self, sbdf: Sbdf, change: impl FnOnce(&mut Facts)) {
        self.table.lock().update(sbdf, change);
    }

    /// A driver of dom0's own has a function.
    pub(crate) fn driven(&self, dev: &Locked, sbdf: Sbdf) {
        let irq = dev.intx_irq();
        self.update(sbdf, |facts| {
            facts.holder = Holder::Driver;
            facts.irq = irq;
        });
    }

    /// Whether the stock driver's module is, or may be, in its init function. It then seizes
    /// functions first, and resets them later.
    pub(crate) fn pciback_is_coming(&self) -> bool {
        self.pciback_coming.load(Relaxed)
    }

    /// See [`State::pciback_is_coming`].
    pub(crate) fn set_pciback_coming(&self, coming: bool) {
        self.pciback_coming.store(coming, Relaxed);
    }

    /// All functions that `wanted` wants, in the order of their addresses. May sleep.
    pub(crate) fn list(&self, wanted: impl Fn(&Facts) -> bool) -> Result<KVec<(Sbdf, Facts)>> {
        let mut list = KVec::new();
        loop {
            let needed = self.table.lock().iter().count();
            list.reserve(needed, GFP_KERNEL)?;

            let table = self.table.lock();
            if table.iter().count() > needed {
                // Functions have come since they were counted.
                continue;
            }
            for (sbdf, facts) in table.iter().filter(|(_, facts)| wanted(facts)) {
                list.push_within_capacity((sbdf, *facts))
                    .map_err(|_| ENOMEM)?;
            }
            return Ok(list);
        }
    }
}
