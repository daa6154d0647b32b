// SPDX-License-Identifier: GPL-2.0

//! The PCI driver: callbacks of the PCI core.

use kernel::{
    prelude::*,
    str::CString,
    sync::{
        Arc,
        ArcBorrow, //
    },
};

use xen::{
    linux::sysfs::Directory,
    pci::{
        driver::{
            Driver,
            Severity, //
        },
        driver_files::DriverFile,
        uevent,
        ConfigSpace,
        DeviceExt,
        InTree,
        Locked,
        Sbdf, //
    },
    vpci, //
};

use crate::{
    context::PciBack,
    files::{
        self,
        OfFunction, //
    },
    function::Function,
    functions::Functions,
    life::Domain,
    stop::stop,
    NAME, //
};

/// A function that the driver is bound to, and its files.
#[pin_data]
pub(crate) struct Bound {
    function: Arc<Function>,
    _directory: Directory<OfFunction>,
    _slot: Option<OwnSlot>,
}

/// The entry in `slots` of a function that was bound by its `driver_override`. It ends with the
/// binding: who clears `driver_override` then gets the function back from the driver core.
struct OwnSlot(Arc<Functions>, Sbdf);

impl OwnSlot {
    /// `ENOMEM` on failure.
    fn new(functions: &Arc<Functions>, sbdf: Sbdf) -> Result<Self> {
        functions.slots.lock().add_one(sbdf)?;
        Ok(Self(functions.clone(), sbdf))
    }
}

impl Drop for OwnSlot {
    fn drop(&mut self) {
        self.0.slots.lock().remove_one(self.1);
    }
}

/// Shows a seized function in sysfs: creates its directory, and adds it to `slots`.
fn list(
    functions: &Arc<Functions>,
    function: &Arc<Function>,
    dev: &InTree<'_>,
) -> Result<Arc<Bound>> {
    let directory = files::add_directory(dev, function.clone())?;
    let own_slot = match functions.wants(dev)? {
        true => None,
        false => Some(OwnSlot::new(functions, function.sbdf)?),
    };
    Arc::pin_init(
        pin_init!(Bound {
            function: function.clone(),
            _directory: directory,
            _slot: own_slot,
        }),
        GFP_KERNEL,
    )
}

impl Driver for PciBack {
    const NAME: &'static CStr = NAME;
    const FILES: &'static [DriverFile<Self>] = files::OF_DRIVER;
    type Data = Bound;

    fn probe(&self, dev: &Locked) -> Result<Arc<Bound>> {
        let in_tree = dev.in_tree().ok_or(ENODEV)?;
        if !self.functions.wants(&in_tree).unwrap_or(false) && !dev.is_overridden() {
            return Err(ENODEV);
        }
        let vpci =
            vpci::Function::of(&in_tree).inspect_err(|e| dev_err!(dev, "not seized: {:?}\n", e))?;
        let function = self.functions.seize(dev, vpci)?;
        let bound = list(&self.functions, &function, &in_tree).inspect_err(|e| {
            dev_err!(dev, "not seized: {:?}\n", e);
            function.give_up(dev);
        })?;
        let [vendor, device, ..] = dev.ids();
        match function.reset_name() {
            Some(name) => dev_info!(
                dev,
                "{:04x}:{:04x} seized, reset by {}\n",
                vendor,
                device,
                name
            ),
            None => dev_info!(
                dev,
                "{:04x}:{:04x} seized; no reset method\n",
                vendor,
                device
            ),
        }
        function.queue_if_due();
        function.look_after();
        Ok(bound)
    }

    fn remove(&self, dev: &Locked, bound: ArcBorrow<'_, Bound>) {
        bound.function.give_up(dev);
    }

    fn reset_prepare(&self, dev: &Locked, bound: ArcBorrow<'_, Bound>) {
        bound.function.reset_prepare(dev);
    }

    fn reset_done(&self, dev: &Locked, bound: ArcBorrow<'_, Bound>) {
        bound.function.reset_done(dev);
        bound.function.look_after();
    }

    fn error_detected(&self, dev: &Locked, bound: ArcBorrow<'_, Bound>, severity: Severity) {
        let name = match severity {
            Severity::NonFatal => "nonfatal",
            Severity::Fatal => "fatal",
            Severity::Permanent => "permanent",
        };
        let function = &bound.function;
        match severity {
            Severity::Permanent => function.give_up_recovery(),
            _ => function.set_recovering(true),
        }
        let Some(guest) = function.guest() else {
            dev_warn!(dev, "{} error, no guest has it\n", name);
            return;
        };
        if severity == Severity::NonFatal {
            // Log the first error only: a guest may be able to cause any number of them.
            if !function.is_first_error() {
                return;
            }
            dev_warn!(dev, "nonfatal error, not reported to domain {}\n", guest);
        } else {
            // Stop the guest first, or its device model may enable the function again.
            let cause = match severity {
                Severity::Permanent => "permanent error",
                _ => "fatal error",
            };
            stop(dev, function, cause);
            if let Err(e) = ConfigSpace::of(dev).quiesce() {
                dev_warn!(dev, "does not answer ({:?})\n", e);
            }
        }
        tell_udev(dev, guest, name);
    }

    fn slot_reset(&self, dev: &Locked, bound: ArcBorrow<'_, Bound>) -> Result {
        // After a nonfatal error, Linux resets the link if another driver behind it asks for that.
        let function = &bound.function;
        stop(dev, function, "link reset after an error");
        let result = function.slot_reset(dev);
        function.look_after();
        result
    }

    fn resume(&self, _dev: &Locked, bound: ArcBorrow<'_, Bound>) {
        bound.function.set_recovering(false);
    }
}

fn tell_udev(dev: &Locked, guest: Domain, error: &str) {
    let sent = CString::try_from_fmt(fmt!("XEN_PCI_ERROR={error}")).and_then(|error| {
        let guest = CString::try_from_fmt(fmt!("XEN_PCI_DOMAIN={guest}"))?;
        uevent::changed(dev, [&error, &guest])
    });
    if let Err(e) = sent {
        dev_warn!(dev, "cannot notify udev: {:?}\n", e);
    }
}
