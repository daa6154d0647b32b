// SPDX-License-Identifier: GPL-2.0

//! The driver core: who has which function.

use core::{cell::RefCell, ffi::CStr};
use std::rc::Rc;

use kernel::{
    error::Result,
    pci::{self, Device},
    sync::{Arc, ArcBorrow},
};

use crate::pci::{driver_files::DriverFile, DeviceLock, Locked};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    NonFatal,
    Fatal,
    Permanent,
}

/// As in the crate.
pub trait Driver: Send + Sync + Sized + 'static {
    const NAME: &'static CStr;
    const FILES: &'static [DriverFile<Self>];
    type Data: Send + Sync + 'static;

    fn probe(&self, dev: &Locked) -> Result<Arc<Self::Data>>;
    fn remove(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>);
    fn reset_prepare(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>);
    fn reset_done(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>);
    fn error_detected(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>, severity: Severity);
    fn slot_reset(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>) -> Result;
    fn resume(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>);
}

/// A driver and its record of a function.
struct Bound<T: Driver> {
    driver: Rc<T>,
    data: Arc<T::Data>,
}

impl<T: Driver> pci::Driver for Bound<T> {
    fn name(&self) -> &'static CStr {
        T::NAME
    }
    fn remove(&self, dev: &Device) {
        self.driver.remove(&Locked::new(dev), ArcBorrow(&self.data));
    }
    fn reset_prepare(&self, dev: &Device) {
        self.driver
            .reset_prepare(&Locked::new(dev), ArcBorrow(&self.data));
    }
    fn reset_done(&self, dev: &Device) {
        self.driver
            .reset_done(&Locked::new(dev), ArcBorrow(&self.data));
    }
    fn error_detected(&self, dev: &Device) {
        self.driver
            .error_detected(&Locked::new(dev), ArcBorrow(&self.data), Severity::Fatal);
    }
    fn slot_reset(&self, dev: &Device) {
        let _ = self
            .driver
            .slot_reset(&Locked::new(dev), ArcBorrow(&self.data));
    }
    fn resume(&self, dev: &Device) {
        self.driver.resume(&Locked::new(dev), ArcBorrow(&self.data));
    }
}

thread_local! {
    // The driver that Claim::attach finds.
    static REGISTERED: RefCell<Option<Rc<dyn Fn(&Device) -> bool>>> = const { RefCell::new(None) };
}

/// A registered driver, without its files.
pub struct Registration<T>(Rc<T>);

impl<T> Clone for Registration<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

// SAFETY: loom runs all its threads on one of the machine's.
unsafe impl<T> Send for Registration<T> {}

impl<T: Driver> Registration<T> {
    pub fn new(driver: T) -> Self {
        let this = Self(Rc::new(driver));
        let registered = this.clone();
        REGISTERED.set(Some(Rc::new(move |dev| registered.bind(dev))));
        this
    }

    /// The end of it, for those functions that it does not have any more.
    pub fn unregister(self) {
        REGISTERED.set(None);
    }

    pub fn driver(&self) -> &T {
        &self.0
    }

    /// As user space can: whether the driver has the function after.
    pub fn bind(&self, dev: &Device) -> bool {
        let dev = DeviceLock::new(dev);
        let free = dev.core(|core| {
            let free = core.driver.is_none() && core.only.is_none_or(|only| only == T::NAME);
            if free {
                core.driver = Some(T::NAME);
            }
            free
        });
        if !free {
            return false;
        }
        Device::wake(&dev);
        match self.0.probe(&dev) {
            Ok(data) => {
                let bound = Bound {
                    driver: self.0.clone(),
                    data,
                };
                dev.core(|core| core.bound = Some(Rc::new(bound)));
                // xen-pcidev holds its MSI-X table now.
                dev.registers(|registers| assert!(!registers.asleep, "bound in its sleep"));
                true
            }
            Err(_) => {
                clear(&dev);
                false
            }
        }
    }
}

fn clear(dev: &Device) {
    // Dropped when nobody looks at it any more.
    let (driver, old) = dev.core(|core| (core.driver.take(), core.bound.take()));
    if driver.is_some() {
        dev.rest();
    }
    drop(old);
}

/// Offers the function to the registered driver; whether it has one after.
pub fn attach(dev: &Device) -> bool {
    let registered = REGISTERED.with_borrow(Clone::clone);
    registered.is_some_and(|bind| bind(dev)) || dev.core(|core| core.driver.is_some())
}

/// A driver of dom0's own takes the function, if it is free, and uses it.
pub fn bind_native(dev: &Device) -> bool {
    let dev = DeviceLock::new(dev);
    let free = dev.core(|core| {
        let free = core.driver.is_none() && core.only.is_none();
        if free {
            core.driver = Some(c"native");
        }
        free
    });
    if free {
        dev.registers(|registers| assert!(!registers.asleep, "dom0 gets it in its sleep"));
        Device::wake(&dev);
    }
    free
}

/// Takes the function from whichever driver has it.
pub fn unbind(dev: &Device) {
    let dev = DeviceLock::new(dev);
    if let Some(driver) = dev.driver() {
        driver.remove(&dev);
    }
    clear(&dev);
}

/// As user space can, by the file `reset`.
pub fn reset_by_hand(dev: &Device) {
    let dev = DeviceLock::new(dev);
    let _ = dev.reset();
}

/// A fatal error, and the recovery from it.
pub fn recover(dev: &Device) {
    let in_turn = |step: fn(&dyn pci::Driver, &Device)| {
        let dev = DeviceLock::new(dev);
        if let Some(driver) = dev.driver() {
            step(&*driver, &dev);
        }
    };
    in_turn(|driver, dev| {
        if !checker::without("report-of-error") {
            driver.error_detected(dev);
        }
        dev.core(|core| core.recovering = true);
    });
    dev.registers(|registers| {
        assert!(!registers.dma, "DMA goes on after a fatal error");
        registers.command = false;
        registers.bars = false;
        registers.asleep = false;
        registers.by_bus = Some(true);
        registers.dirt = 0;
    });
    in_turn(|driver, dev| driver.slot_reset(dev));
    in_turn(|driver, dev| {
        dev.core(|core| core.recovering = false);
        driver.resume(dev);
    });
}
