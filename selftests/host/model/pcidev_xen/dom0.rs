// SPDX-License-Identifier: GPL-2.0

//! What dom0's administrator and its kernel do, and whom the kernel tells.

use core::ffi::CStr;

use kernel::{pci::Device, sync::aref::ARef};

use crate::{
    gsi::Route,
    linux::module,
    pci::{
        bus::{self, Event},
        InTree, Locked,
    },
    world::{all, get, of, topology, Driver, Hardware},
};

pub const STOCK: &CStr = c"xen_pciback";

/// A new function.
pub fn plug(devfn: u8) -> ARef<Device> {
    let dev = Device::plug(devfn);
    topology(|| {
        all(|world| {
            world.functions.insert(devfn, Hardware::default());
            world.devices.push(dev.clone());
        });
        bus::call(|observer| observer.added(&InTree::new(&dev)));
    });
    dev
}

/// Removes a function, whatever driver it has.
pub fn unplug(dev: &Device) {
    topology(|| {
        unbind(dev);
        {
            let _lock = dev.device_lock();
            of(dev, |hardware| hardware.is_removed = true);
        }
        bus::call(|observer| observer.removing(dev));
        all(|world| world.devices.retain(|other| other.devfn != dev.devfn));
    });
}

fn tell(dev: &Device, event: Event) {
    bus::call(|observer| observer.driver(&Locked::new(dev), event));
}

fn set_driver(dev: &Device, driver: Option<Driver>) {
    of(dev, |hardware| hardware.driver = driver);
    dev.core(|core| {
        core.driver = driver.map(|driver| match driver {
            Driver::Native => c"native",
            _ => c"pciback",
        });
    });
}

/// Binds a driver, unless there is one; whether it is bound by it.
pub fn bind(dev: &Device, driver: Driver) -> bool {
    let _lock = dev.device_lock();
    let hardware = get(dev);
    if hardware.is_removed || hardware.driver.is_some() {
        return false;
    }
    set_driver(dev, Some(driver));
    tell(dev, Event::Binding);
    of(dev, |hardware| hardware.is_probed = true);
    gets_interrupts(dev);
    assert!(
        driver != Driver::Stock || get(dev).is_reset_forbidden,
        "the stock driver resets it, and tells Xen too early"
    );
    of(dev, |hardware| hardware.is_probed = false);
    tell(dev, Event::Bound);
    true
}

/// A driver of dom0 gets interrupts.
fn gets_interrupts(dev: &Device) {
    let Ok(route) = Route::of(dev) else { return };
    let is_lent = all(|world| world.lent.contains(&route.gsi));
    assert!(
        get(dev).driver != Some(Driver::Native) || !is_lent,
        "a driver has no interrupts, as its line is lent"
    );
}

/// Unbinds whatever driver it has.
pub fn unbind(dev: &Device) {
    let _lock = dev.device_lock();
    if get(dev).driver.is_none() {
        return;
    }
    gets_interrupts(dev);
    tell(dev, Event::Unbinding);
    set_driver(dev, None);
    tell(dev, Event::Unbound);
}

/// Loads the stock driver, which binds functions first and is done with them later.
pub fn load_stock(devices: &[&Device]) {
    module::call(STOCK, module::Event::Coming);
    for dev in devices {
        let _lock = dev.device_lock();
        if get(dev).driver.is_some() {
            continue;
        }
        set_driver(dev, Some(Driver::Stock));
        tell(dev, Event::Binding);
        of(dev, |hardware| hardware.is_probed = true);
        tell(dev, Event::Bound);
    }
    for dev in devices {
        of(dev, |hardware| hardware.is_probed = false);
    }
    module::call(STOCK, module::Event::Live);
}
