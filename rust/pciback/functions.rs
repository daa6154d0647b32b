// SPDX-License-Identifier: GPL-2.0

//! All functions that the driver, or a guest, has, and the addresses that it is to seize.

use kernel::{
    new_mutex,
    prelude::*,
    rbtree::RBTree,
    sync::{
        Arc,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

use xen::{
    linux::workqueue::Queue,
    pci::{
        self,
        DeviceExt,
        InTree,
        Locked,
        Sbdf, //
    },
    vpci, //
};

use crate::{
    function::Function,
    slots::Slots, //
};

/// The number of functions that are reset at a time: resets are waiting, mostly.
pub(crate) const AT_A_TIME: u16 = 64;

/// The functions.
///
/// Locks are taken in this order: a device's lock, `all`, that of a function's inner part.
#[pin_data]
pub(crate) struct Functions {
    /// The functions that the driver is to seize.
    #[pin]
    pub(crate) slots: Mutex<Slots>,
    /// Those that it has seized, or that a guest has.
    #[pin]
    all: Mutex<RBTree<Sbdf, Arc<Function>>>,
    /// Held while a bridge resets a function behind it.
    #[pin]
    pub(crate) bridges: Mutex<()>,
    /// Resets functions that come back from guests.
    pub(crate) returns: Queue,
}

impl Functions {
    pub(crate) fn new() -> Result<Arc<Self>> {
        let returns = Queue::new(c"xen-pciback-returns", AT_A_TIME)?;
        Arc::pin_init(
            pin_init!(Self {
                slots <- new_mutex!(Slots::new()),
                all <- new_mutex!(RBTree::new()),
                bridges <- new_mutex!(()),
                returns,
            }),
            GFP_KERNEL,
        )
    }

    /// The function at `sbdf`; `ENODEV` if neither the driver nor a guest has it.
    pub(crate) fn get(&self, sbdf: Sbdf) -> Result<Arc<Function>> {
        self.all.lock().get(&sbdf).cloned().ok_or(ENODEV)
    }

    /// As [`Functions::get`], but waits for a probe that is running: user space sees the function
    /// in the driver's directory before the probe.
    pub(crate) fn get_probed(&self, sbdf: Sbdf) -> Result<Arc<Function>> {
        self.get(sbdf).or_else(|e| {
            drop(pci::find(sbdf).ok_or(e)?.lock());
            self.get(sbdf)
        })
    }

    /// Whether it still is one of these.
    pub(crate) fn has(&self, function: &Function) -> bool {
        self.all
            .lock()
            .get(&function.sbdf)
            .is_some_and(|other| core::ptr::eq(&**other, function))
    }

    /// All functions that the driver has seized, in the order of their addresses.
    pub(crate) fn seized(&self) -> Result<KVec<Arc<Function>>> {
        let all = self.all.lock();
        let mut seized = KVec::new();
        for (_, function) in all.iter() {
            if function.is_seized() {
                seized.push(function.clone(), GFP_KERNEL)?;
            }
        }
        Ok(seized)
    }

    /// Whether the driver is to seize the function: it, or a bridge above it, is in `slots`.
    pub(crate) fn wants(&self, dev: &InTree<'_>) -> Result<bool> {
        if self.slots.lock().has(dev.sbdf()?) {
            return Ok(true);
        }
        let mut bridge = dev.upstream();
        while let Some(dev) = bridge {
            if self.slots.lock().has(dev.sbdf()?) {
                return Ok(true);
            }
            bridge = dev.upstream();
        }
        Ok(false)
    }

    /// Seizes a function, unless it is. Logs why not.
    pub(crate) fn seize(
        self: &Arc<Self>,
        dev: &Locked,
        vpci: vpci::Function,
    ) -> Result<Arc<Function>> {
        let sbdf = dev.sbdf()?;
        match self.get(sbdf) {
            // Hidden when the module was loaded, and now probed.
            Ok(function) if function.is_seized() => return Ok(function),
            Ok(function) => {
                function.refuse_assigned(dev)?;
                // Its guest has left it, and it is not reset yet: this seizure does that.
                self.forget(&function);
                dev.clear_assigned();
            }
            Err(_) => (),
        }
        if !dev.is_plain() {
            dev_err!(dev, "not seized: a bridge cannot be handed to a guest\n");
            return Err(ENODEV);
        }
        vpci.is_known().inspect_err(|e| {
            dev_err!(
                dev,
                "not seized: Xen refuses this function ({:?}, see xl dmesg)\n",
                e
            )
        })?;
        let function = Function::new(self, dev, sbdf, vpci)?;
        function.seize(dev)?;
        let added = self
            .all
            .lock()
            .try_create_and_insert(sbdf, function.clone(), GFP_KERNEL)
            .map(drop);
        if let Err(e) = added {
            dev_err!(dev, "not seized: {:?}\n", e);
            function.give_up(dev);
            return Err(e);
        }
        Ok(function)
    }

    /// Forgets a function that neither the driver nor a guest has.
    pub(crate) fn forget(&self, function: &Function) {
        let gone = {
            let mut all = self.all.lock();
            match all.get(&function.sbdf) {
                Some(other) if core::ptr::eq(&**other, function) => all.remove(&function.sbdf),
                _ => None,
            }
        };
        drop(gone);
    }

    /// Waits for up to `seconds` until no guest has `function`; returns whether that is so.
    pub(crate) fn wait_until_released(&self, function: &Function, seconds: u32) -> bool {
        for _ in 0..seconds.saturating_mul(20) {
            if function.guest().is_none() {
                return true;
            }
            fsleep(Delta::from_millis(50));
        }
        false
    }
}

/// The functions of a loaded module. Dropping it waits for the works that refer to them, so that
/// none of these is the last to do so. The driver has been unregistered by then.
pub(crate) struct Loaded(Arc<Functions>);

impl Loaded {
    pub(crate) fn new(functions: Arc<Functions>) -> Self {
        Self(functions)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.0.returns.drain();
    }
}
