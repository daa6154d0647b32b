// SPDX-License-Identifier: GPL-2.0

//! Keeping functions for one driver.

use core::ffi::CStr;

use kernel::{
    error::{Result, EBUSY},
    pci::Device,
    sync::aref::ARef,
};

use crate::{driver, pci::Locked};

/// A function that only one driver can have.
pub struct Claim {
    dev: ARef<Device>,
    driver: &'static CStr,
}

impl Claim {
    pub fn new(dev: &Device, driver: &'static CStr) -> Result<Self> {
        dev.core(|core| match core.only {
            Some(_) => Err(EBUSY),
            None if checker::without("claim") => Ok(()),
            None => {
                core.only = Some(driver);
                Ok(())
            }
        })?;
        Ok(Self {
            dev: dev.into(),
            driver,
        })
    }

    pub fn device(&self) -> &Device {
        &self.dev
    }

    pub fn attach(&self) -> Result<bool> {
        Ok(driver::attach(&self.dev))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.dev.core(|core| {
            if core.only == Some(self.driver) {
                core.only = None;
            }
        });
    }
}

impl Locked {
    /// Whether it may have one driver only.
    pub fn has_override(&self) -> bool {
        self.core(|core| core.only.is_some())
    }

    /// Whether it may have this driver only.
    pub fn is_overridden(&self) -> bool {
        self.core(|core| core.only.is_some() && core.only == core.driver)
    }
}
