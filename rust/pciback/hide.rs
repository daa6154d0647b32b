// SPDX-License-Identifier: GPL-2.0

//! The parameter `hide`: functions to take when the module is loaded.
//!
//! They are all reset at the same time, and loading does not wait for it. Meanwhile no other driver
//! can be bound to them.

use kernel::{
    new_work,
    pci::Device,
    prelude::*,
    sync::Arc,
    workqueue::{
        Work,
        WorkItem, //
    },
};

use xen::{
    claim::Claim,
    pci::{
        self,
        DeviceExt, //
    },
    pm::Awake,
    workqueue::Queue, //
};

use crate::{
    driver,
    slots::{
        self,
        Pattern, //
    },
    state::{
        self,
        AT_A_TIME, //
    },
    HIDE, //
};

/// Functions that are being taken. Dropping it waits for that.
pub(crate) struct Hidden(#[expect(dead_code, reason = "for its drop")] Option<Queue>);

/// A function that is being taken.
#[pin_data]
struct One {
    claim: Claim,
    #[pin]
    work: Work<One>,
}

kernel::impl_has_work! {
    impl HasWork<Self> for One { self.work }
}

impl WorkItem for One {
    type Pointer = Arc<One>;

    fn run(this: Arc<One>) {
        let dev = this.claim.device();
        // Until it is bound, or as it was found, nothing else does.
        let _awake = Awake::new(dev);
        // The link in sysfs, by which toolstacks know what they can have, is made before a probe.
        let offered = seize(dev).and_then(|()| this.claim.attach());
        // What the probe did not take is as it was found again.
        let _ = state::with(|state| {
            drop(state.take_hidden(dev.sbdf()?));
            Ok(())
        });
        match offered {
            Ok(true) => (),
            // It has said why.
            Ok(false) => dev_err!(dev, "not hidden\n"),
            Err(e) => dev_err!(dev, "not hidden: {:?}\n", e),
        }
    }
}

fn seize(dev: &Device) -> Result {
    let dev = dev.lock();
    if dev.driver_name().is_some() {
        return Err(EBUSY);
    }
    state::with(|state| {
        let device = driver::make(state, &dev)?;
        device.seize(&dev)?;
        state.keep_hidden(device)
    })
}

/// Reads the parameter; `EINVAL` if it is not as it should be.
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
    pr_err!("hide: not understood from \"{refused}\" on; wanted: (0000:03:00.0)(04:00.*)\n");
    Err(EINVAL)
}

/// Begins to take what the parameter names.
pub(crate) fn start() -> Result<Hidden> {
    if HIDE.get().is_none() {
        return Ok(Hidden(None));
    }
    let queue = Queue::new(c"xen-pciback-hide", AT_A_TIME)?;
    each(|pattern| state::with(|state| state.slots.lock().add(&pattern)))?;
    for dev in pci::iter() {
        if let Err(e) = take(&queue, &dev) {
            dev_err!(dev, "not hidden: {:?}\n", e);
        }
    }
    Ok(Hidden(Some(queue)))
}

fn take(queue: &Queue, dev: &Device) -> Result {
    if !dev.is_plain() || dev.sbdf().is_err() || !state::with(|state| state.wants(dev))? {
        return Ok(());
    }
    match dev.lock().driver_name() {
        None => (),
        // By its driver_override.
        Some(name) if name == driver::NAME => return Ok(()),
        Some(_) => {
            dev_warn!(
                dev,
                "not hidden: another driver has it; load xen-pciback before that, from the initramfs\n"
            );
            return Ok(());
        }
    }
    let one = Arc::pin_init(
        try_pin_init!(One {
            claim: Claim::new(dev, driver::NAME)?,
            work <- new_work!("pciback::One"),
        }? Error),
        GFP_KERNEL,
    )?;
    // A new one cannot be queued already.
    let _ = queue.enqueue(one);
    Ok(())
}
