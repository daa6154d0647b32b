// SPDX-License-Identifier: GPL-2.0

//! All functions that the driver or a guest has, and the addresses that the driver is to seize.

use kernel::{
    new_mutex,
    pci::Device,
    prelude::*,
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
    pci::{
        self,
        DeviceExt,
        DeviceLock,
        InTree,
        Locked,
        Sbdf, //
    },
    vpci, //
};

use crate::{
    function::Function,
    identity::Identity,
    registry::Registry,
    slots::Slots, //
};

/// The functions.
#[pin_data]
pub(crate) struct Functions {
    /// The addresses of functions that the driver is to seize.
    #[pin]
    pub(crate) slots: Mutex<Slots>,
    /// What else the driver is to seize.
    #[pin]
    pub(crate) identities: Mutex<KVec<Identity>>,
    registry: Arc<Registry<Function>>,
}

impl Functions {
    pub(crate) fn new() -> Result<Arc<Self>> {
        let registry = Registry::new()?;
        Arc::pin_init(
            pin_init!(Self {
                slots <- new_mutex!(Slots::new()),
                identities <- new_mutex!(KVec::new()),
                registry,
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the function at `sbdf`; `ENODEV` if neither the driver nor a guest has it.
    pub(crate) fn get(&self, sbdf: Sbdf) -> Result<Arc<Function>> {
        self.registry.get(sbdf)
    }

    /// Returns the function as [`Functions::get`] does, but waits for a running probe: user space
    /// sees the function in the driver's sysfs directory before it is probed.
    pub(crate) fn get_probed(&self, sbdf: Sbdf) -> Result<Arc<Function>> {
        self.get(sbdf).or_else(|e| {
            drop(DeviceLock::new(&*pci::find(sbdf).ok_or(e)?));
            self.get(sbdf)
        })
    }

    /// Returns all functions that the driver has seized, in the order of their addresses.
    pub(crate) fn seized(&self) -> Result<KVec<Arc<Function>>> {
        self.registry.list(Function::is_seized)
    }

    /// Returns whether the driver is to seize the function: `slots` has the function or a bridge
    /// above it, or it has one of the identities.
    pub(crate) fn wants(&self, dev: &InTree<'_>) -> Result<bool> {
        let (ids, class) = (dev.ids(), dev.pci_class().as_raw());
        let is = |identity: &Identity| identity.is(ids, class);
        if self.slots.lock().has(dev.sbdf()?) || self.identities.lock().iter().any(is) {
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

    /// Seizes a function, unless it is already seized. Logs errors.
    pub(crate) fn seize(&self, dev: &Locked, vpci: vpci::Function) -> Result<Arc<Function>> {
        let sbdf = dev.sbdf()?;
        match self.get(sbdf) {
            // `hide` has already seized the function, and the driver core probes it now.
            Ok(function) if function.is_seized() => return Ok(function),
            Ok(function) => {
                function.refuse_assigned(dev)?;
                // The guest has returned the function, and its reset is still queued. The seizure
                // resets it.
                self.registry.remove(sbdf, &function);
                dev.clear_assigned();
            }
            Err(_) => (),
        }
        if is_bridge(dev) {
            dev_err!(dev, "not seized: a bridge cannot be handed to a guest\n");
            return Err(ENODEV);
        }
        if dev.has_virtfns() {
            // Its reset would reset them, too.
            dev_err!(
                dev,
                "not seized: it has virtual functions; remove them first (echo 0 >sriov_numvfs)\n"
            );
            return Err(EBUSY);
        }
        vpci.is_known().inspect_err(|e| {
            dev_err!(
                dev,
                "not seized: Xen refuses this function ({:?}, see xl dmesg)\n",
                e
            )
        })?;
        let function = Function::new(&self.registry, dev, sbdf, vpci)?;
        function.seize(dev)?;
        self.registry.add(sbdf, function.clone()).inspect_err(|e| {
            dev_err!(dev, "not seized: {:?}\n", e);
            function.give_up(dev);
        })?;
        Ok(function)
    }

    /// Waits until returned functions are reset.
    pub(crate) fn drain(&self) {
        self.registry.returns.drain();
    }

    /// Waits for up to `seconds` until no guest has `function`, in Xen either. Returns whether no
    /// guest has it.
    pub(crate) fn wait_until_released(&self, function: &Function, seconds: u32) -> bool {
        for _ in 0..seconds.saturating_mul(20) {
            if function.guest().is_none() && !function.vpci.is_assigned() {
                return true;
            }
            fsleep(Delta::from_millis(50));
        }
        false
    }
}

/// Returns whether the function is a bridge, which cannot be handed to a guest. Those of the class
/// "other" (0680) without a bridge's header are functions like others: switches between GPUs, and
/// bridges that are not transparent.
pub(crate) fn is_bridge(dev: &Device) -> bool {
    let class = dev.pci_class().as_raw() >> 8;
    !dev.is_plain() || (class >> 8 == 0x06 && class != 0x0680)
}

/// The functions of a loaded module. Dropping it waits for the queued resets, so that no work item
/// drops the last reference. The driver is unregistered by then.
pub(crate) struct Loaded(Arc<Functions>);

impl Loaded {
    pub(crate) fn new(functions: Arc<Functions>) -> Self {
        Self(functions)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.0.drain();
    }
}
