// SPDX-License-Identifier: GPL-2.0

//! The driver core: who has which function.

use core::{cell::Cell, ffi::CStr, marker::PhantomData};
use std::{any::Any, rc::Rc};

use kernel::{
    error::Result,
    pci::{self, Device},
    sync::{Arc, ArcBorrow},
};

use crate::pci::{DeviceExt, Locked};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    NonFatal,
    Fatal,
    Permanent,
}

/// As in the crate.
pub trait Driver: 'static {
    const NAME: &'static CStr;
    type Data: Send + Sync + 'static;

    fn accept(dev: &Locked) -> Result<Arc<Self::Data>>;
    fn probe(dev: &Locked, data: ArcBorrow<'_, Self::Data>) -> Result;
    fn remove(dev: &Locked, data: ArcBorrow<'_, Self::Data>);
    fn reset_prepare(dev: &Locked, data: ArcBorrow<'_, Self::Data>);
    fn reset_done(dev: &Locked, data: ArcBorrow<'_, Self::Data>);
    fn error_detected(dev: &Locked, data: ArcBorrow<'_, Self::Data>, severity: Severity);
    fn slot_reset(dev: &Locked, data: ArcBorrow<'_, Self::Data>) -> Result;
}

struct Bound<T>(PhantomData<T>);

impl<T: Driver> Bound<T> {
    fn with(dev: &Device, f: impl FnOnce(&Locked, ArcBorrow<'_, T::Data>)) {
        let data: Option<Rc<dyn Any>> = dev.core(|core| core.data.clone());
        if let Some(data) = data
            .as_ref()
            .and_then(|data| data.downcast_ref::<Arc<T::Data>>())
        {
            f(&Locked::new(dev), ArcBorrow(data));
        }
    }
}

impl<T: Driver> pci::Driver for Bound<T> {
    fn name(&self) -> &'static CStr {
        T::NAME
    }
    fn remove(&self, dev: &Device) {
        Self::with(dev, T::remove);
    }
    fn reset_prepare(&self, dev: &Device) {
        Self::with(dev, T::reset_prepare);
    }
    fn reset_done(&self, dev: &Device) {
        Self::with(dev, T::reset_done);
    }
}

thread_local! {
    // The driver that Claim::attach finds.
    static REGISTERED: Cell<Option<fn(&Device) -> bool>> = const { Cell::new(None) };
}

/// Registers the driver, without its files.
pub fn register<T: Driver>() {
    REGISTERED.set(Some(bind::<T>));
}

/// As user space can: whether the driver has the function after.
pub fn bind<T: Driver>(dev: &Device) -> bool {
    let dev = dev.lock();
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
    dev.wake();
    let probed = T::accept(&dev).and_then(|data| {
        dev.core(|core| {
            core.data = Some(Rc::new(data.clone()));
            core.bound = Some(Rc::new(Bound::<T>(PhantomData)));
        });
        T::probe(&dev, ArcBorrow(&data))
    });
    if probed.is_err() {
        clear(&dev);
    }
    probed.is_ok()
}

fn clear(dev: &Device) {
    // Dropped when nobody looks at it any more.
    let (driver, old) =
        dev.core(|core| (core.driver.take(), (core.bound.take(), core.data.take())));
    if driver.is_some() {
        dev.rest();
    }
    drop(old);
}

/// Offers the function to the registered driver; whether it has one after.
pub fn attach(dev: &Device) -> bool {
    REGISTERED.get().is_some_and(|bind| bind(dev)) || dev.core(|core| core.driver.is_some())
}

/// A driver of dom0's own takes the function, if it is free, and uses it.
pub fn bind_native(dev: &Device) -> bool {
    let dev = dev.lock();
    let free = dev.core(|core| {
        let free = core.driver.is_none() && core.only.is_none();
        if free {
            core.driver = Some(c"native");
        }
        free
    });
    if free {
        dev.wake();
    }
    free
}

/// Takes the function from whichever driver has it.
pub fn release(dev: &Device) {
    let dev = dev.lock();
    if let Some(driver) = dev.driver() {
        driver.remove(&dev);
    }
    clear(&dev);
}

/// As user space can, by the file `reset`.
pub fn reset_by_hand(dev: &Device) {
    let dev = dev.lock();
    let _ = dev.reset();
}
