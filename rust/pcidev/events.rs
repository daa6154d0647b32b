// SPDX-License-Identifier: GPL-2.0

//! Observers of the PCI bus and of modules.

use kernel::{
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
    gsi::{
        lookup,
        Route, //
    },
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
    lines::Lines,
    owed::Owed,
    privcmd::Lookup,
    seize::Function,
    PCIBACK,
    PCIBACK_MODULE, //
};

/// Prepares and seizes functions as their drivers are bound and unbound.
#[pin_data]
pub(crate) struct Follower {
    functions: Arc<Functions>,
    lines: Arc<Lines>,
    owed: Arc<Owed>,
    /// Whether the init function of a module xen-pciback is running. In it, the stock driver binds
    /// all hidden functions first and resets them later.
    pciback_is_coming: Atomic<bool>,
    #[pin]
    work: Work<Follower>,
}

impl Follower {
    /// Creates a follower that knows no functions.
    pub(crate) fn new(
        functions: Arc<Functions>,
        lines: Arc<Lines>,
        owed: Arc<Owed>,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                functions,
                lines,
                owed,
                pciback_is_coming: Atomic::new(false),
                work <- new_work!("pcidev::Follower"),
            }),
            GFP_KERNEL,
        )
    }

    /// Adds the functions that existed before this module was loaded, and handles the drivers that
    /// are bound to them. May sleep.
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
        // Ignore functions that Xen has no number for. Linux has already logged them.
        if dev.sbdf().is_ok() {
            check(dev, self.functions.add(dev));
        }
    }

    fn driver(&self, dev: &Locked, event: Event) {
        let is_pciback = dev.driver_name() == Some(PCIBACK);
        if let (Event::Binding, Some(dev)) = (event, dev.in_tree()) {
            // Retry a step that failed when the function was added.
            self.add(&dev);
        }
        let Ok(function) = dev.sbdf().and_then(|sbdf| self.functions.get(sbdf)) else {
            return;
        };
        let result = match event {
            Event::Binding if is_pciback => function.before_probe(dev, &self.lines),
            Event::Binding => {
                function.driven(dev);
                // Release a hold that had to stay before, if Xen has given the function to dom0
                // since.
                function.let_go(dev)
            }
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
        if let (true, Ok(route)) = (event != Event::Unbinding, function.info().route) {
            self.settle(route);
        }
    }

    fn settle(&self, route: Route) {
        let is_wanted = || self.functions.only_guests_use(route.gsi);
        if self.lines.settle(route, is_wanted) {
            self.owed.ask();
        }
    }

    fn bound(&self, dev: &Locked, function: &Function) -> Result {
        function.taken();
        if self.pciback_is_coming.load(Relaxed) && !dev.driver_hears_resets() {
            // The stock driver resets the function later in its init function. `run` seizes it
            // then.
            return Ok(());
        }
        function.seize(dev)
    }
}

/// Logs an error.
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

    /// Seizes the functions that the stock driver bound in its init function.
    ///
    /// This runs in a work item since it takes device locks. A task that holds a device lock may be
    /// loading a module, which waits for the notifier that queued this work.
    ///
    /// The notifier cleared `pciback_is_coming` before. A task that binds a function holds the
    /// device lock. If that task binds the function before the work takes the lock, the work sees
    /// the driver. Otherwise the task sees the cleared flag, and seizes the function itself.
    fn run(this: Arc<Follower>) {
        for dev in pci::iter() {
            let dev = DeviceLock::new(&dev);
            if dev.driver_name() == Some(PCIBACK) && !dev.driver_hears_resets() {
                this.driver(&dev, Event::Bound);
            }
        }
    }
}

/// The observer of the PCI bus.
pub(crate) struct Bus(pub(crate) Arc<Follower>);

impl bus::Observer for Bus {
    fn added(&self, dev: &InTree<'_>) {
        self.0.add(dev);
    }

    fn removing(&self, dev: &Device) {
        let this = &self.0;
        let route = dev.sbdf().ok().and_then(|sbdf| this.functions.remove(sbdf));
        if let Some(route) = route {
            this.settle(route);
        }
    }

    fn driver(&self, dev: &Locked, event: Event) {
        self.0.driver(dev, event);
    }
}

/// The observer of modules.
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
        // The module has overwritten or cleared the kernel's only slot for a GSI look-up.
        self.privcmd.renew();
        if was_coming && event == module::Event::Live {
            // Fails only if the work is already queued.
            let _ = self.queue.enqueue(self.follower.clone());
        }
    }
}
