// SPDX-License-Identifier: GPL-2.0

//! What the PCI core tells the driver.

use kernel::{
    prelude::*,
    str::CString,
    sync::{
        Arc,
        ArcBorrow, //
    },
};

use xen::{
    domain,
    driver::{
        Driver,
        Severity, //
    },
    pci::{
        DeviceExt,
        Locked, //
    },
    physdev,
    uevent, //
};

use crate::{
    device::Device,
    life::Domain,
    state::{
        self,
        State, //
    }, //
};

/// The driver's name, which toolstacks know.
pub(crate) const NAME: &CStr = c"pciback";

/// The driver.
pub(crate) struct PciBack;

impl Driver for PciBack {
    const NAME: &'static CStr = NAME;
    type Data = Device;

    fn accept(dev: &Locked) -> Result<Arc<Device>> {
        state::with(|state| {
            if !state.wants(dev).unwrap_or(false) && !dev.is_overridden() {
                return Err(ENODEV);
            }
            match state.take_hidden(dev.sbdf()?) {
                Some(device) => Ok(device),
                None => make(state, dev),
            }
        })
    }

    fn probe(dev: &Locked, device: ArcBorrow<'_, Device>) -> Result {
        device.seize(dev)?;
        let added = state::with(|state| {
            // Or it is bound by its driver_override.
            let is_listed = state.wants(dev)?;
            if !is_listed {
                state.slots.lock().add_one(device.sbdf)?;
            }
            state.add(device.into()).inspect_err(|_| {
                if !is_listed {
                    state.slots.lock().remove_one(device.sbdf);
                }
            })
        });
        if let Err(e) = added {
            dev_err!(dev, "not seized: {:?}\n", e);
            device.give_up(dev);
            return Err(e);
        }
        match dev.reset_method() {
            Some(method) => dev_info!(dev, "seized, reset by {}\n", method),
            None => dev_info!(dev, "seized\n"),
        }
        Ok(())
    }

    fn remove(dev: &Locked, device: ArcBorrow<'_, Device>) {
        let _ = state::with(|state| {
            state.disown(&device);
            Ok(())
        });
        device.give_up(dev);
        let _ = state::with(|state| {
            state.remove(device.sbdf);
            Ok(())
        });
    }

    fn reset_prepare(dev: &Locked, device: ArcBorrow<'_, Device>) {
        device.reset_prepare(dev);
    }

    fn reset_done(dev: &Locked, device: ArcBorrow<'_, Device>) {
        device.reset_done(dev);
        Arc::<Device>::from(device).look_after();
    }

    fn error_detected(dev: &Locked, device: ArcBorrow<'_, Device>, severity: Severity) {
        let name = match severity {
            Severity::NonFatal => "nonfatal",
            Severity::Fatal => "fatal",
            Severity::Permanent => "permanent",
        };
        let guest = match severity {
            Severity::NonFatal => device.guest(),
            Severity::Fatal | Severity::Permanent => device.cut_off(),
        };
        let Some(guest) = guest else {
            dev_warn!(dev, "{} error, no guest has it\n", name);
            return;
        };
        if severity == Severity::NonFatal {
            // A guest may know how to cause any number of them.
            if !device.is_first_error() {
                return;
            }
            dev_warn!(dev, "nonfatal error, domain {} is not told\n", guest);
        } else {
            stop(dev, guest, name);
        }
        tell_udev(dev, guest, name);
    }

    fn slot_reset(dev: &Locked, device: ArcBorrow<'_, Device>) -> Result {
        let result = device.slot_reset(dev);
        Arc::<Device>::from(device).look_after();
        result
    }
}

/// Looks whether a guest can be given the function, and makes the driver's record of it.
pub(crate) fn make(state: &State, dev: &Locked) -> Result<Arc<Device>> {
    let sbdf = dev.sbdf()?;
    if !dev.is_plain() {
        dev_err!(dev, "not seized: a bridge cannot be handed to a guest\n");
        return Err(ENODEV);
    }
    state.refuse_orphan(dev, sbdf)?;
    physdev::has_function(dev).inspect_err(|e| {
        dev_err!(
            dev,
            "not seized: Xen refuses this function ({:?}, see xl dmesg)\n",
            e
        )
    })?;
    Device::new(dev, sbdf)
}

/// Stops a guest that must not touch a function any more.
pub(crate) fn stop(dev: &kernel::pci::Device, guest: Domain, why: &str) {
    match domain::crash(guest) {
        Ok(()) => dev_err!(
            dev,
            "{} error: domain {} had it and was stopped, as if it had crashed\n",
            why,
            guest
        ),
        Err(e) => dev_err!(
            dev,
            "{} error: domain {} has it and could not be stopped ({:?}): xl destroy it\n",
            why,
            guest,
            e
        ),
    }
}

fn tell_udev(dev: &Locked, guest: Domain, error: &str) {
    let sent = CString::try_from_fmt(fmt!("XEN_PCI_ERROR={error}")).and_then(|error| {
        let guest = CString::try_from_fmt(fmt!("XEN_PCI_DOMAIN={guest}"))?;
        uevent::changed(dev, [&error, &guest])
    });
    if let Err(e) = sent {
        dev_warn!(dev, "udev is not told: {:?}\n", e);
    }
}
