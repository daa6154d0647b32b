// SPDX-License-Identifier: GPL-2.0

//! Reserving functions for one driver.
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
        device::as_raw_device,
        Locked, //
    }, //
};

/// A reservation of a function for one driver by its `driver_override`. No other driver can be
/// bound to the function until this value is dropped.
///
/// # Examples
///
/// ```
/// # use kernel::{pci::Device, prelude::*};
/// # use xen::pci::Claim;
/// /// Binds `dev` to the driver `example`.
/// fn bind(dev: &Device) -> Result {
///     let claim = Claim::new(dev, c"example")?;
///     claim.attach()?.then_some(()).ok_or(ENODEV)
/// }
/// ```
pub struct Claim {
    dev: ARef<Device>,
    driver: &'static CStr,
}

impl Claim {
    /// Reserves `dev` for `driver`. May sleep.
    ///
    /// Errors: `EBUSY` if the function already has a `driver_override`; else those of
    /// `__device_set_driver_override()`.
    pub fn new(dev: &Device, driver: &'static CStr) -> Result<Self> {
        fault::point("claiming the function")?;
        let raw = as_raw_device(dev);
        // SAFETY: `raw` is a valid device, and `driver` is a C string.
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

    /// Returns the function.
    pub fn device(&self) -> &Device {
        &self.dev
    }

    /// Binds the function to its driver, unless it is bound. Returns whether it is bound
    /// afterwards. Sleeps while the driver probes. The caller must not hold the device lock, which
    /// this takes.
    pub fn attach(&self) -> Result<bool> {
        fault::point("offering the function to its driver")?;
        // SAFETY: `self.dev` is a valid device.
        match unsafe { bindings::device_attach(as_raw_device(&self.dev)) } {
            errno if errno < 0 => Err(Error::from_errno(errno)),
            bound => Ok(bound > 0),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // SAFETY: `self.dev` is a valid device, and `driver` is a C string. This leaves an override
        // that user space has set meanwhile.
        unsafe {
            bindings::device_clear_override(as_raw_device(&self.dev), self.driver.as_char_ptr())
        };
    }
}

impl Locked {
    /// Returns whether the function has a `driver_override`, set by user space or by a [`Claim`].
    pub fn has_override(&self) -> bool {
        // SAFETY: `self` is a valid device.
        unsafe { bindings::device_has_any_override(as_raw_device(self)) }
    }

    /// Returns whether the function's `driver_override` names `driver`.
    pub fn has_override_for(&self, driver: &CStr) -> bool {
        // SAFETY: `self` is a valid device, and `driver` is a C string.
        unsafe { bindings::device_has_override(as_raw_device(self), driver.as_char_ptr()) }
    }

    /// Returns whether the function's `driver_override`, set by user space or by a [`Claim`], names
    /// the driver that the function is bound to, or being bound to.
    pub fn is_overridden(&self) -> bool {
        self.driver_name()
            .is_some_and(|driver| self.has_override_for(driver))
    }
}
