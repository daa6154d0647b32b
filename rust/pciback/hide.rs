// SPDX-License-Identifier: GPL-2.0

//! The parameters `hide` and `ids`: functions to seize when the module is loaded.
//!
//! The functions are reset in parallel, and loading the module does not wait for that. Claims keep
//! other drivers from the functions meanwhile.

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
    functions::{
        is_bridge,
        Functions, //
    },
    identity::{
        self,
        Identity, //
    },
    registry::AT_A_TIME,
    slots::{
        self,
        Pattern, //
    },
    HIDE,
    IDS,
    NAME, //
};

/// Running seizures. Dropping it waits for them.
pub(crate) struct Hidden(#[expect(dead_code, reason = "for its drop")] Option<Queue>);

/// The work that seizes one function.
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
        // Until the function is bound or restored, nothing else prevents its suspension.
        let _awake = Awake::new(dev);
        // Seize before binding: the driver's link in sysfs, which tells toolstacks that the
        // function is assignable, appears before the probe.
        let offered = this.seize(dev).and_then(|()| this.claim.attach());
        match offered {
            Ok(true) => return,
            // The probe has logged the reason.
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

    /// Gives up a seized function that was not bound.
    fn undo(&self, dev: &Device) {
        let dev = DeviceLock::new(dev);
        if dev.driver_name() != Some(NAME) {
            if let Ok(function) = dev.sbdf().and_then(|sbdf| self.functions.get(sbdf)) {
                function.give_up(&dev);
            }
        }
    }
}

/// Checks the syntax of the parameters; `EINVAL` for an error, which is logged.
pub(crate) fn check() -> Result {
    each_pattern(|_, _| Ok(()))?;
    each_identity(|_, _| Ok(()))
}

fn each_pattern(found: impl FnMut(Pattern, &'static str) -> Result) -> Result {
    let list = text(HIDE.get());
    list.and_then(|list| slots::parse_list(list, found))
        .unwrap_or_else(|refused| {
            pr_err!("hide: syntax error at \"{refused}\"; expected (0000:03:00.0)(04:00.*)\n");
            Err(EINVAL)
        })
}

fn each_identity(found: impl FnMut(Identity, &'static str) -> Result) -> Result {
    let list = text(IDS.get());
    list.and_then(|list| identity::parse_list(list, found))
        .unwrap_or_else(|refused| {
            pr_err!("ids: syntax error at \"{refused}\"; expected VENDOR:DEVICE,VENDOR:DEVICE\n");
            Err(EINVAL)
        })
}

/// Returns the value of a parameter, which may be missing.
fn text(value: Option<&'static CStr>) -> Result<&'static str, &'static str> {
    let Some(value) = value else {
        return Ok("");
    };
    value.to_str().map_err(|_| "not UTF-8")
}

/// Logs what in the parameters matches no function.
fn log_unmatched(topology: &TopologyLock) -> Result {
    each_pattern(|pattern, text| {
        let is = |dev: InTree<'_>| dev.sbdf().is_ok_and(|sbdf| pattern.has(sbdf));
        if !topology.iter().any(is) {
            pr_warn!("hide: ({text}) matches no function\n");
        }
        Ok(())
    })?;
    each_identity(|identity, text| {
        let is = |dev: InTree<'_>| identity.is(dev.ids(), dev.pci_class().as_raw());
        if !topology.iter().any(is) {
            pr_warn!("ids: {text} matches no function\n");
        }
        Ok(())
    })
}

/// Starts to seize the functions that the parameters name.
pub(crate) fn start(functions: &Arc<Functions>) -> Result<Hidden> {
    if HIDE.get().is_none() && IDS.get().is_none() {
        return Ok(Hidden(None));
    }
    let queue = Queue::new(c"xen-pciback-hide", AT_A_TIME)?;
    each_pattern(|pattern, _| functions.slots.lock().add(&pattern))?;
    each_identity(|identity, _| Ok(functions.identities.lock().push(identity, GFP_KERNEL)?))?;
    let mut wanted = KVec::new();
    {
        let topology = TopologyLock::new();
        log_unmatched(&topology)?;
        for dev in topology.iter() {
            match want(functions, &dev) {
                Ok(None) => (),
                Ok(Some(seizure)) => wanted.push(seizure, GFP_KERNEL)?,
                Err(e) => dev_err!(dev, "not hidden: {:?}\n", e),
            }
        }
    }
    // Claim all before the first one is seized: functions of one card wait for each other.
    let mut seizures = KVec::with_capacity(wanted.len(), GFP_KERNEL)?;
    for (dev, vpci) in wanted {
        match claim(functions, &dev, vpci) {
            Ok(Some(seizure)) => seizures.push(seizure, GFP_KERNEL)?,
            Ok(None) => (),
            Err(e) => dev_err!(dev, "not hidden: {:?}\n", e),
        }
    }
    for seizure in seizures {
        // A new work item is never queued already.
        let _ = queue.enqueue(seizure);
    }
    Ok(Hidden(Some(queue)))
}

/// Returns the function and its identity in Xen, if a parameter names it.
fn want(functions: &Functions, dev: &InTree<'_>) -> Result<Option<(ARef<Device>, vpci::Function)>> {
    if !dev.is_plain() || dev.sbdf().is_err() || !functions.wants(dev)? {
        return Ok(None);
    }
    // A bridge with a header of its own stands for the functions behind it.
    if is_bridge(dev) {
        dev_warn!(dev, "not hidden: a bridge cannot be handed to a guest\n");
        return Ok(None);
    }
    Ok(Some(((&**dev).into(), vpci::Function::of(dev)?)))
}

/// Claims the function, unless a driver has it.
fn claim(
    functions: &Arc<Functions>,
    dev: &Device,
    vpci: vpci::Function,
) -> Result<Option<Arc<Seizure>>> {
    match DeviceLock::new(dev).driver_name() {
        None => (),
        // The function was bound by its `driver_override`.
        Some(name) if name == NAME => return Ok(None),
        Some(name) => {
            dev_warn!(
                dev,
                "not hidden: bound to {:?}; load xen-pciback earlier, from the initramfs\n",
                name
            );
            return Ok(None);
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
    Ok(Some(seizure))
}
