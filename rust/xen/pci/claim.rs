// SPDX-License-Identifier: GPL-2.0

//! Keeping functions for one driver.
//!
//! C header: [`include/linux/device.h`](srctree/include/linux/device.h)

use kernel::{
    error::to_result,
    pci::Device,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    bindings,
    linux::fault,
    pci::{
        as_raw_device,
        Locked, //
    }, //
};

/// A function that no driver but one can be bound to, by its `driver_override`, until this value is
/// dropped.
pub struct Claim {
    dev: ARef<Device>,
    driver: &'static CStr,
}

impl Claim {
    /// Keeps `dev` for `driver`; `EBUSY` if user space has set an override.
    pub fn new(dev: &Device, driver: &'static CStr) -> Result<Self> {
        fault::point("claiming the function")?;
        let raw = as_raw_device(dev);
        // SAFETY: `raw` is a valid device, and `driver` a C string.
        unsafe {
            if bindings::device_has_any_override(raw) {
                return Err(EBUSY);
            }
            to_result(bindings::__device_set_driver_override(
                raw,
                driver.as_char_ptr(),
                driver.count_bytes(),
            ))?;
        }
        Ok(Self {
            dev: dev.into(),
            driver,
        })
    }

    /// The function.
    pub fn device(&self) -> &Device {
        &self.dev
    }

    /// Offers the function to its driver; whether it is bound after. May sleep, as the driver's
    /// probe may.
    pub fn attach(&self) -> Result<bool> {
        fault::point("offering the function to its driver")?;
        // SAFETY: A valid device, whose lock this task does not hold.
        match unsafe { bindings::device_attach(as_raw_device(&self.dev)) } {
            errno if errno < 0 => Err(Error::from_errno(errno)),
            bound => Ok(bound > 0),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // SAFETY: A valid device and a C string. What user space has set meanwhile stays.
        unsafe {
            bindings::device_clear_override(as_raw_device(&self.dev), self.driver.as_char_ptr())
        };
    }
}

impl Locked {
    /// Whether user space, or a [`Claim`], has set the function's `driver_override` to the driver
    /// that is being bound to it.
    pub fn is_overridden(&self) -> bool {
        // SAFETY: `self` is a valid device; its driver cannot change.
        unsafe {
            let raw = as_raw_device(self);
            let driver = (*raw).driver;
            !driver.is_null() && bindings::device_has_override(raw, driver)
        }
    }
}
