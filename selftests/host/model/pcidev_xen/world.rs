// SPDX-License-Identifier: GPL-2.0

//! What there is outside of the module.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use checker::{loom::sync::Mutex, InOrder};
use kernel::{context, pci::Device, sync::aref::ARef};

use crate::sbdf::Sbdf;

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
    /// Something of it is hidden from device models.
    pub is_hidden: bool,
    pub is_reset_forbidden: bool,
    pub is_removed: bool,
}

#[derive(Default)]
pub struct World {
    pub functions: BTreeMap<u8, Hardware>,
    pub devices: Vec<ARef<Device>>,
    /// Registrations of each line.
    pub lines: BTreeMap<u32, u32>,
    /// Those that Xen gives to guests only.
    pub lent: BTreeSet<u32>,
    /// A guest has them alone.
    pub is_exclusive: bool,
    /// How often binding one to dom0 fails yet: there is no memory, or its guest is dying.
    pub failures: u32,
    /// Counts of the module.
    pub pins: u32,
    pub store: BTreeMap<u16, Vec<Sbdf>>,
    /// How often reading it fails yet.
    pub failed_reads: u32,
}

thread_local! {
    static LOCKS: InOrder<Locks> = const { InOrder::new() };
}

#[derive(Default)]
struct Locks {
    world: Mutex<World>,
    topology: Mutex<()>,
}

fn locks() -> Rc<Locks> {
    LOCKS.with(InOrder::get)
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

/// Gives a function to a guest, if it is one for guests.
pub fn assign(dev: &Device) -> bool {
    of(dev, |hardware| {
        let is_for_guests = hardware.is_hidden && hardware.driver != Some(Driver::Native);
        hardware.is_assigned = is_for_guests;
        is_for_guests
    })
}
