// SPDX-License-Identifier: GPL-2.0

//! What there is outside of the module.

use core::{cell::RefCell, ffi::CStr};
use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use checker::loom::sync::{Mutex, RwLock};
use kernel::{context, pci::Device, sync::aref::ARef};

use crate::{
    linux::module,
    pci::{
        bus::{self, Event},
        InTree, Locked,
    },
    sbdf::Sbdf,
};

pub const STOCK: &CStr = c"xen_pciback";

/// A PCI driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// The stock xen-pciback.
    Stock,
    /// The Rust xen-pciback.
    Rust,
    /// One of dom0's own.
    Native,
}

/// What the driver core, Xen and the function itself have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardware {
    pub driver: Option<Driver>,
    /// In the middle of the driver's probe, or of the init function that does the rest of it.
    pub is_probed: bool,
    /// A guest has it in Xen.
    pub is_assigned: bool,
    /// Holds of its MSI-X table.
    pub holds: u32,
    pub is_reset_forbidden: bool,
    pub is_removed: bool,
}

type Chain<T> = Vec<Arc<RwLock<Option<Arc<T>>>>>;

#[derive(Default)]
pub struct World {
    pub functions: BTreeMap<u8, Hardware>,
    pub devices: Vec<ARef<Device>>,
    /// Registrations of each line.
    pub lines: BTreeMap<u32, u32>,
    /// Counts of the module.
    pub pins: u32,
    pub store: BTreeMap<u16, Vec<Sbdf>>,
    pub(crate) bus: Chain<dyn bus::Observer>,
    pub(crate) modules: Chain<dyn module::Observer>,
}

thread_local! {
    static WORLD: RefCell<Option<(u64, Rc<Locks>)>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Locks {
    world: Mutex<World>,
    topology: Mutex<()>,
}

fn locks() -> Rc<Locks> {
    WORLD.with_borrow_mut(|current| match current {
        Some((order, locks)) if *order == checker::order() => locks.clone(),
        _ => {
            let locks = Rc::new(Locks::default());
            *current = Some((checker::order(), locks.clone()));
            locks
        }
    })
}

/// Reads or changes it. Others can come before or after.
pub fn all<R>(f: impl FnOnce(&mut World) -> R) -> R {
    f(&mut locks().world.lock().expect("nobody panics"))
}

/// Reads or changes what there is of a function.
pub fn of<R>(dev: &Device, f: impl FnOnce(&mut Hardware) -> R) -> R {
    all(|world| f(world.functions.entry(dev.devfn).or_default()))
}

/// What there is of a function now.
pub fn get(dev: &Device) -> Hardware {
    of(dev, |hardware| hardware.clone())
}

/// Nobody adds or removes functions meanwhile.
pub fn topology<R>(f: impl FnOnce() -> R) -> R {
    context::might_sleep();
    let locks = locks();
    let _lock = locks.topology.lock().expect("nobody panics");
    f()
}

/// A new function.
pub fn plug(devfn: u8) -> ARef<Device> {
    let dev = Device::plug(devfn);
    topology(|| {
        all(|world| {
            world.functions.insert(devfn, Hardware::default());
            world.devices.push(dev.clone());
        });
        call(|observer| observer.added(&InTree::new(&dev)));
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
        call(|observer| observer.removing(dev));
        all(|world| world.devices.retain(|other| other.devfn != dev.devfn));
    });
}

fn call(f: impl Fn(&dyn bus::Observer)) {
    for slot in all(|world| world.bus.clone()) {
        if let Some(observer) = &*slot.read().expect("nobody panics") {
            f(&**observer);
        }
    }
}

fn tell(dev: &Device, event: Event) {
    call(|observer| observer.driver(&Locked::new(dev), event));
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
    assert!(
        driver != Driver::Stock || get(dev).is_reset_forbidden,
        "the stock driver resets it, and tells Xen too early"
    );
    of(dev, |hardware| hardware.is_probed = false);
    tell(dev, Event::Bound);
    true
}

/// Unbinds whatever driver it has.
pub fn unbind(dev: &Device) {
    let _lock = dev.device_lock();
    if get(dev).driver.is_none() {
        return;
    }
    tell(dev, Event::Unbinding);
    set_driver(dev, None);
    tell(dev, Event::Unbound);
}

/// Loads the stock driver, which binds functions first and is done with them later.
pub fn load_stock(devices: &[&Device]) {
    tell_module(module::Event::Coming);
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
    tell_module(module::Event::Live);
}

fn tell_module(event: module::Event) {
    for slot in all(|world| world.modules.clone()) {
        if let Some(observer) = &*slot.read().expect("nobody panics") {
            observer.changed(STOCK, event);
        }
    }
}

/// Gives a function to a guest, if it is one for guests.
pub fn assign(dev: &Device) -> bool {
    of(dev, |hardware| {
        let is_for_guests = hardware.holds == 1 && hardware.driver != Some(Driver::Native);
        hardware.is_assigned = is_for_guests;
        is_for_guests
    })
}
