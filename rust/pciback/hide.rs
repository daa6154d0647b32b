// SPDX-License-Identifier: GPL-2.0

//! The parameter `hide`: functions to seize when the module is loaded.
//!
//! They are all reset at the same time, and loading does not wait for it. Meanwhile no other driver
//! can be bound to them.

use kernel::{
    new_work,
    pci::Device,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
    workqueue::{
        Work,
        WorkItem, //
    },
};

use xen::{
    linux::workqueue::Queue,
    pci::{
        Awake,
        Claim,
        DeviceExt,
        DeviceLock,
        InTree,
        TopologyLock, //
    },
    vpci, //
};

use crate::{
    functions::Functions,
    registry::AT_A_TIME,
    slots::{
        self,
        Pattern, //
    },
    HIDE,
    NAME, //
};

/// Functions that are being seized. Dropping it waits for that.
pub(crate) struct Hidden(#[expect(dead_code, reason = "for its drop")] Option<Queue>);

/// A function that is being seized.
#[pin_data]
struct Seizure {
    claim: Claim,
    vpci: vpci::Function,
    functions: Arc<Functions>,
    #[pin]
    work: Work<Seizure>,
}

kernel::impl_has_work! {
    impl HasWork<Self> for Seizure { self.work }
}

impl WorkItem for Seizure {
    type Pointer = Arc<Seizure>;

    fn run(this: Arc<Seizure>) {
        let dev = this.claim.device();
        // Nothing else keeps it so until it is bound, or as it was found.
        let _awake = Awake::new(dev);
        // Toolstacks know by the link in sysfs what they can have, and it is made before the probe.
        let offered = this.seize(dev).and_then(|()| this.claim.attach());
        match offered {
            Ok(true) => return,
            // The probe has logged why.
            Ok(false) => dev_err!(dev, "not hidden\n"),
            Err(e) => dev_err!(dev, "not hidden: {:?}\n", e),
        }
        this.undo(dev);
    }
}

impl Seizure {
    fn seize(&self, dev: &Device) -> Result {
        let dev = DeviceLock::new(dev);
        if dev.driver_name().is_some() {
            return Err(EBUSY);
        }
        self.functions.seize(&dev, self.vpci).map(|_| ())
    }

    /// Makes a function that was not bound as it was found.
    fn undo(&self, dev: &Device) {
        let dev = DeviceLock::new(dev);
        if dev.driver_name() != Some(NAME) {
            if let Ok(function) = dev.sbdf().and_then(|sbdf| self.functions.get(sbdf)) {
                function.give_up(&dev);
            }
        }
    }
}

/// Checks the parameter; `EINVAL` for a syntax error.
pub(crate) fn check() -> Result {
    each(|_| Ok(()))
}

fn each(found: impl FnMut(Pattern) -> Result) -> Result {
    let Some(list) = HIDE.get() else {
        return Ok(());
    };
    let refused = match list.to_str() {
        Ok(list) => match slots::parse_list(list, found) {
            Ok(result) => return result,
            Err(rest) => rest,
        },
        Err(_) => "bytes that are no text",
    };
    pr_err!("hide: syntax error at \"{refused}\"; expected (0000:03:00.0)(04:00.*)\n");
    Err(EINVAL)
}

/// Begins to seize the functions that the parameter names.
pub(crate) fn start(functions: &Arc<Functions>) -> Result<Hidden> {
    if HIDE.get().is_none() {
        return Ok(Hidden(None));
    }
    let queue = Queue::new(c"xen-pciback-hide", AT_A_TIME)?;
    each(|pattern| functions.slots.lock().add(&pattern))?;
    let mut wanted = KVec::new();
    {
        let topology = TopologyLock::new();
        for dev in topology.iter() {
            match want(functions, &dev) {
                Ok(None) => (),
                Ok(Some(seizure)) => wanted.push(seizure, GFP_KERNEL)?,
                Err(e) => dev_err!(dev, "not hidden: {:?}\n", e),
            }
        }
    }
    for (dev, vpci) in wanted {
        if let Err(e) = begin(&queue, functions, &dev, vpci) {
            dev_err!(dev, "not hidden: {:?}\n", e);
        }
    }
    Ok(Hidden(Some(queue)))
}

/// The function as Xen is told of it, if the parameter names it.
fn want(functions: &Functions, dev: &InTree<'_>) -> Result<Option<(ARef<Device>, vpci::Function)>> {
    if !dev.is_plain() || dev.sbdf().is_err() || !functions.wants(dev)? {
        return Ok(None);
    }
    Ok(Some(((&**dev).into(), vpci::Function::of(dev)?)))
}

fn begin(queue: &Queue, functions: &Arc<Functions>, dev: &Device, vpci: vpci::Function) -> Result {
    match DeviceLock::new(dev).driver_name() {
        None => (),
        // Bound by its driver_override.
        Some(name) if name == NAME => return Ok(()),
        Some(name) => {
            dev_warn!(
                dev,
                "not hidden: bound to {:?}; load xen-pciback earlier, from the initramfs\n",
                name
            );
            return Ok(());
        }
    }
    let seizure = Arc::pin_init(
        try_pin_init!(Seizure {
            claim: Claim::new(dev, NAME)?,
            vpci,
            functions: functions.clone(),
            work <- new_work!("pciback::Seizure"),
        }? Error),
        GFP_KERNEL,
    )?;
    // A new one cannot be queued already.
    let _ = queue.enqueue(seizure);
    Ok(())
}
