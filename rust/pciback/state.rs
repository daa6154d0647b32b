// SPDX-License-Identifier: GPL-2.0

//! The state of the module.

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
    global::{
        self,
        Global, //
    },
    pci::{
        self,
        DeviceExt,
        Locked, //
    },
    workqueue::Queue,
    Sbdf, //
};

use crate::{
    backend::Backend,
    device::Device,
    life::Domain,
    slots::Slots, //
};

/// As many functions are reset at a time: resets are waiting, mostly.
pub(crate) const AT_A_TIME: u16 = 64;

static STATE: Global<State> = Global::new();

/// Keeps the state published.
pub(crate) type Published = global::Published<State>;

/// The state of the module.
#[pin_data]
pub(crate) struct State {
    /// Which functions the driver is to take.
    #[pin]
    pub(crate) slots: Mutex<Slots>,
    /// Which it has.
    #[pin]
    devices: Mutex<RBTree<Sbdf, Arc<Device>>>,
    /// Which are seized and not bound yet.
    #[pin]
    hidden: Mutex<KVec<Arc<Device>>>,
    /// Which it has given up while a guest had them.
    #[pin]
    orphans: Mutex<KVec<(Sbdf, Domain)>>,
    /// Which guests there are.
    #[pin]
    pub(crate) backends: Mutex<KVec<Arc<Backend>>>,
    /// Held while a bridge resets what is behind it.
    #[pin]
    pub(crate) bridges: Mutex<()>,
    /// For functions that come back from guests.
    pub(crate) returns: Queue,
    /// For what toolstacks write to XenStore, in the order in which they do.
    pub(crate) toolstack: Queue,
}

/// Makes and publishes the state.
pub(crate) fn publish() -> Result<Published> {
    let returns = Queue::new(c"xen-pciback-returns", AT_A_TIME)?;
    let toolstack = Queue::ordered(c"xen-pciback-xenstore")?;
    STATE.publish(Arc::pin_init(
        pin_init!(State {
            slots <- new_mutex!(Slots::new()),
            devices <- new_mutex!(RBTree::new()),
            hidden <- new_mutex!(KVec::new()),
            orphans <- new_mutex!(KVec::new()),
            backends <- new_mutex!(KVec::new()),
            bridges <- new_mutex!(()),
            returns,
            toolstack,
        }),
        GFP_KERNEL,
    )?)
}

/// Calls `f` with the state; `ENODEV` while the module is loading or unloading.
pub(crate) fn with<R>(f: impl FnOnce(&State) -> Result<R>) -> Result<R> {
    STATE.with(f).unwrap_or(Err(ENODEV))
}

/// The device at `sbdf`; `ENODEV` if the driver does not have it.
pub(crate) fn device(sbdf: Sbdf) -> Result<Arc<Device>> {
    with(|state| state.devices.lock().get(&sbdf).cloned().ok_or(ENODEV))
}

/// The same, after a probe that is running, if there is one: its link in sysfs is there already.
pub(crate) fn device_probed(sbdf: Sbdf) -> Result<Arc<Device>> {
    device(sbdf).or_else(|e| {
        drop(pci::find(sbdf).ok_or(e)?.lock());
        device(sbdf)
    })
}

impl State {
    /// Whether the driver is to take the function: it, or a bridge above it, is in `slots`.
    pub(crate) fn wants(&self, dev: &kernel::pci::Device) -> Result<bool> {
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

    pub(crate) fn add(&self, device: Arc<Device>) -> Result {
        let mut orphans = self.orphans.lock();
        let mut devices = self.devices.lock();
        // For the day on which all are given up.
        let most = devices.iter().count().saturating_add(1);
        orphans.reserve(most, GFP_KERNEL)?;
        devices.try_create_and_insert(device.sbdf, device, GFP_KERNEL)?;
        Ok(())
    }

    /// Forgets a device.
    pub(crate) fn remove(&self, sbdf: Sbdf) {
        let gone = self.devices.lock().remove(&sbdf);
        drop(gone);
    }

    /// Remembers who has a device that is about to be given up.
    pub(crate) fn disown(&self, device: &Device) {
        // Taken before the guest is asked for, so that `release` comes before or after both.
        let mut orphans = self.orphans.lock();
        let Some(domain) = device.guest() else { return };
        // There is room for all, see `add`.
        let _ = orphans.push_within_capacity((device.sbdf, domain));
    }

    /// Keeps a seized device until it is probed.
    pub(crate) fn keep_hidden(&self, device: Arc<Device>) -> Result {
        Ok(self.hidden.lock().push(device, GFP_KERNEL)?)
    }

    /// The seized device, if there is one.
    pub(crate) fn take_hidden(&self, sbdf: Sbdf) -> Option<Arc<Device>> {
        let mut hidden = self.hidden.lock();
        let index = hidden.iter().position(|device| device.sbdf == sbdf)?;
        hidden.remove(index).ok()
    }

    /// All devices, in order, at this moment.
    pub(crate) fn all(&self) -> Result<KVec<Arc<Device>>> {
        let devices = self.devices.lock();
        let mut all = KVec::new();
        for (_, device) in devices.iter() {
            all.push(device.clone(), GFP_KERNEL)?;
        }
        Ok(all)
    }

    /// `domain` has, of all functions, only those that satisfy `has`. Does not sleep for long.
    pub(crate) fn release(&self, domain: Domain, has: impl Fn(Sbdf) -> bool) {
        let mut orphans = self.orphans.lock();
        orphans.retain(|(sbdf, owner)| *owner != domain || has(*sbdf));
        for (sbdf, device) in self.devices.lock().iter() {
            if !has(*sbdf) {
                device.release(domain);
            }
        }
    }

    /// The guest that has a function which the driver does not have any more.
    pub(crate) fn orphan(&self, sbdf: Sbdf) -> Option<Domain> {
        self.orphans
            .lock()
            .iter()
            .find(|(orphan, _)| *orphan == sbdf)
            .map(|(_, domain)| *domain)
    }

    /// Whether `sbdf` is nobody's orphan, by the time that is allowed at the latest.
    pub(crate) fn wait_for_orphan(&self, sbdf: Sbdf, seconds: u32) -> bool {
        for _ in 0..seconds.saturating_mul(20) {
            if self.orphan(sbdf).is_none() {
                return true;
            }
            fsleep(Delta::from_millis(50));
        }
        false
    }

    /// Whether a guest's function is, or was until it was taken from it, this one.
    pub(crate) fn refuse_orphan(&self, dev: &Locked, sbdf: Sbdf) -> Result {
        match self.orphan(sbdf) {
            None => Ok(()),
            Some(domain) => {
                dev_err!(
                    dev,
                    "not seized: domain {} still has it; xl pci-detach or xl destroy first\n",
                    domain
                );
                Err(EBUSY)
            }
        }
    }
}
