// SPDX-License-Identifier: GPL-2.0

//! What happens on the PCI bus and to modules.

use kernel::{
    new_mutex,
    new_work,
    pci::Device,
    prelude::*,
    sync::{
        atomic::{
            ordering::{
                Full,
                Relaxed, //
            },
            Atomic, //
        },
        Arc, //
    },
    workqueue::{
        Work,
        WorkItem, //
    }, //
};

use xen::{
    gsi::lookup,
    linux::{
        module,
        workqueue::Queue, //
    },
    pci::{
        self,
        bus::{
            self,
            Event, //
        },
        DeviceExt,
        DeviceLock,
        InTree,
        Locked, //
    }, //
};

use crate::{
    functions::Functions,
    privcmd::Lookup,
    seize::{
        Function,
        Unmasked, //
    },
    PCIBACK,
    PCIBACK_MODULE, //
};

/// Follows functions and their drivers.
#[pin_data]
pub(crate) struct Follower {
    functions: Arc<Functions>,
    #[pin]
    unmasked: Unmasked,
    /// Whether the init function of a module xen-pciback is running. The stock driver's binds all
    /// functions first, and resets them later.
    pciback_is_coming: Atomic<bool>,
    #[pin]
    work: Work<Follower>,
}

impl Follower {
    /// A follower that has seen nothing yet.
    pub(crate) fn new(functions: Arc<Functions>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                functions,
                unmasked <- new_mutex!(KVec::new()),
                pciback_is_coming: Atomic::new(false),
                work <- new_work!("pcidev::Follower"),
            }),
            GFP_KERNEL,
        )
    }

    /// Takes up the functions, and their drivers, that were there before the module.
    pub(crate) fn adopt(&self) {
        {
            let topology = pci::TopologyLock::new();
            for dev in topology.iter() {
                self.add(&dev);
            }
        }
        for dev in pci::iter() {
            let dev = DeviceLock::new(&dev);
            if dev.driver_name().is_some() {
                self.driver(&dev, Event::Bound);
            }
        }
    }

    fn add(&self, dev: &InTree<'_>) {
        // Linux has logged that it could not tell Xen of a function that Xen cannot name.
        if dev.sbdf().is_ok() {
            check(dev, self.functions.add(dev));
        }
    }

    fn driver(&self, dev: &Locked, event: Event) {
        let is_pciback = dev.driver_name() == Some(PCIBACK);
        if let (Event::Binding, true, Some(dev)) = (event, is_pciback, dev.in_tree()) {
            // What failed when the function was added may succeed now.
            self.add(&dev);
        }
        let Ok(function) = dev.sbdf().and_then(|sbdf| self.functions.get(sbdf)) else {
            return;
        };
        let result = match event {
            Event::Binding if is_pciback => function.before_probe(dev, &self.unmasked),
            // A hold that had to stay may go by now.
            Event::Binding => function.let_go(dev),
            Event::Bound if is_pciback => self.bound(dev, &function),
            Event::Bound => {
                function.driven(dev);
                Ok(())
            }
            Event::Unbinding if is_pciback => {
                function.before_remove(dev);
                Ok(())
            }
            Event::Unbinding => Ok(()),
            Event::NotBound | Event::Unbound => function.released(dev),
        };
        check(dev, result);
    }

    fn bound(&self, dev: &Locked, function: &Function) -> Result {
        function.taken();
        if self.pciback_is_coming.load(Relaxed) && !dev.driver_hears_resets() {
            // The stock driver is not done with it: the work seizes it.
            return Ok(());
        }
        function.seize(dev)
    }
}

/// Logs what failed.
fn check(dev: &Device, result: Result) {
    if let Err(e) = result {
        dev_err!(
            dev,
            "xen-pcidev failed to prepare this function ({:?}): unbind it and bind it again\n",
            e
        );
    }
}

kernel::impl_has_work! {
    impl HasWork<Self> for Follower { self.work }
}

impl WorkItem for Follower {
    type Pointer = Arc<Follower>;

    /// Seizes what the stock driver has bound in its init function.
    ///
    /// This is a work because it takes the locks of devices. A task with one of them may be loading
    /// a module, which waits for the notification that has queued this.
    ///
    /// `pciback_is_coming` was cleared before. Whoever binds a function holds its lock: if that was
    /// before this takes the lock, this sees the driver, and else the other sees the flag cleared.
    fn run(this: Arc<Follower>) {
        for dev in pci::iter() {
            let dev = DeviceLock::new(&dev);
            if dev.driver_name() == Some(PCIBACK) && !dev.driver_hears_resets() {
                this.driver(&dev, Event::Bound);
            }
        }
    }
}

/// Hears of PCI functions.
pub(crate) struct Bus(pub(crate) Arc<Follower>);

impl bus::Observer for Bus {
    fn added(&self, dev: &InTree<'_>) {
        self.0.add(dev);
    }

    fn removing(&self, dev: &Device) {
        if let Ok(sbdf) = dev.sbdf() {
            self.0.functions.remove(sbdf);
        }
    }

    fn driver(&self, dev: &Locked, event: Event) {
        self.0.driver(dev, event);
    }
}

/// Hears of modules.
pub(crate) struct Modules {
    pub(crate) follower: Arc<Follower>,
    pub(crate) privcmd: Arc<lookup::Registration<Lookup>>,
    pub(crate) queue: Arc<Queue>,
}

impl module::Observer for Modules {
    fn changed(&self, name: &CStr, event: module::Event) {
        if name != PCIBACK_MODULE {
            return;
        }
        let is_coming = event == module::Event::Coming;
        let was_coming = self.follower.pciback_is_coming.xchg(is_coming, Full);
        // It has taken, or cleared, the one place for a GSI look-up.
        self.privcmd.renew();
        if was_coming && event == module::Event::Live {
            // It may be queued already.
            let _ = self.queue.enqueue(self.follower.clone());
        }
    }
}
