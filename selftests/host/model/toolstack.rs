// SPDX-License-Identifier: GPL-2.0

//! What a toolstack writes into XenStore, while a function changes its owner.

use checker::{join, spawn, Scenario};
use kernel::sync::aref::ARef;
use xen::{
    pci::{driver, Sbdf},
    xenbus::{self, store, watch::Observer as _, Probed},
};

use crate::{
    backends::{BackendDriver, Changes},
    life::Domain,
    machine::{Machine, SBDF},
};

pub(crate) const ALL: &[Scenario] = &[
    ("killed-while-handed-over", killed_while_handed_over),
    ("detached-while-taken", detached_while_taken),
    ("moved-up-while-read", moved_up_while_read),
    ("attached-while-detached", attached_while_detached),
];

const FRONT: Domain = 7;
const OTHER: Sbdf = Sbdf::new(0, 0, 5 << 3);

/// What a toolstack writes.
fn assign(domain: Domain) -> ARef<xenbus::Device> {
    let dev = xenbus::Device::new(domain);
    store::change(|store| {
        store.set(dev.node(), c"dev-0", SBDF);
        store.set(dev.node(), c"state-0", 1);
        store.set(dev.node(), c"num_devs", 1);
        store.set(dev.node(), c"state", 1);
    });
    dev
}

impl Machine {
    fn probed(&self, dev: &ARef<xenbus::Device>) -> Probed<BackendDriver> {
        Probed::new(BackendDriver(self.backends.clone()), dev)
    }

    fn changed(&self, dev: &xenbus::Device) {
        Changes(self.backends.clone()).changed(dev.node());
    }
}

/// A guest dies in the middle of getting a function that has to be reset first.
fn killed_while_handed_over() {
    let machine = Machine::seized();
    assert!(machine.create(1).lives(&machine.device));
    let dev = assign(FRONT);
    let backend = machine.probed(&dev);
    store::change(|store| store.remove(dev.node()));
    drop(backend);
    machine.ends_free();
}

/// A toolstack takes a function from its guest, while it is unbound by hand.
fn detached_while_taken() {
    let machine = Machine::seized();
    let dev = assign(FRONT);
    let backend = machine.probed(&dev);
    machine.backends.drain();
    let taking = machine.device.clone();
    let other = spawn(move || driver::unbind(&taking));
    store::change(|store| store.set(dev.node(), c"state-0", 5));
    machine.changed(&dev);
    join(other);
    store::change(|store| store.remove(dev.node()));
    drop(backend);
    machine.ends_stopped();
}

/// libxl takes the first of two functions away, and the second moves up: it stays with its guest.
fn moved_up_while_read() {
    let machine = Machine::seized();
    let dev = xenbus::Device::new(FRONT);
    store::change(|store| {
        store.set(dev.node(), c"dev-0", OTHER);
        store.set(dev.node(), c"state-0", 3);
        store.set(dev.node(), c"dev-1", SBDF);
        store.set(dev.node(), c"state-1", 3);
        store.set(dev.node(), c"num_devs", 2);
        store.set(dev.node(), c"state", 3);
    });
    let backend = machine.probed(&dev);
    machine.backends.drain();
    machine.device.use_by(FRONT);
    machine.changed(&dev);
    store::change(|store| {
        store.set(dev.node(), c"dev-0", SBDF);
        store.remove_node(dev.node(), c"dev-1");
        store.remove_node(dev.node(), c"state-1");
        store.set(dev.node(), c"num_devs", 1);
    });
    machine.changed(&dev);
    machine.backends.drain();
    machine.functions.drain();
    machine.device.registers(|registers| {
        assert_eq!(registers.dirt, FRONT, "reset under its running guest");
    });
    assert_eq!(machine.guest(), Some(FRONT));
    store::change(|store| store.remove(dev.node()));
    drop(backend);
    machine.ends_free();
}

/// A toolstack moves a function from one guest to another. It asks for a reset in between, and the
/// second guest finds nothing of the first one's.
fn attached_while_detached() {
    let machine = Machine::seized();
    let dev = assign(FRONT);
    let backend = machine.probed(&dev);
    machine.backends.drain();
    machine.device.use_by(FRONT);
    store::change(|store| store.remove(dev.node()));
    let changing = machine.backends.clone();
    let node = dev.clone();
    let other = spawn(move || Changes(changing).changed(node.node()));
    let reset = if checker::without("look-into-xenstore") {
        machine.function().expect("it is seized").flr()
    } else {
        machine.driver.driver().flr(SBDF)
    };
    assert_eq!(reset, Ok(()));
    // Xen gives it to the next guest now.
    machine.device.use_by(2);
    join(other);
    machine.backends.drain();
    machine.functions.drain();
    machine.device.registers(|registers| {
        assert_eq!(registers.dirt, 2, "reset under its next guest");
    });
    drop(backend);
    machine.device.registers(|registers| registers.dirt = 0);
    machine.ends_free();
}
