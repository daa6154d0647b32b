// SPDX-License-Identifier: GPL-2.0

//! A PV guest that requests interrupts, while its function changes its owner.

use checker::Scenario;
use kernel::sync::aref::ARef;
use xen::{
    pci::driver,
    xenbus::{self, store, watch::Observer as _, Probed, State, PV_GUEST},
};

use crate::{
    backends::{BackendDriver, Changes},
    machine::{Machine, SBDF},
};

pub(crate) const ALL: &[Scenario] = &[
    ("served-while-detached", served_while_detached),
    ("served-while-it-ends", served_while_it_ends),
    ("served-while-unbound", served_while_unbound),
    ("served-while-reset", served_while_reset),
];

/// A guest with a function, connected.
struct Served {
    machine: Machine,
    dev: ARef<xenbus::Device>,
    backend: Probed<BackendDriver>,
}

impl Served {
    fn new() -> Self {
        let machine = Machine::seized();
        let dev = xenbus::Device::new(PV_GUEST);
        store::change(|store| {
            for (node, value) in [
                (c"dev-0", SBDF.to_string()),
                (c"state-0", "1".into()),
                (c"num_devs", "1".into()),
                (c"online", "1".into()),
                (c"state", "1".into()),
                (c"frontend", "/front".into()),
            ] {
                store.set(dev.node(), node, value);
            }
            for (node, value) in [(c"magic", 7), (c"pci-op-ref", 8), (c"event-channel", 9)] {
                store.set(c"/front", node, value);
            }
        });
        let backend = Probed::new(BackendDriver(machine.backends.clone()), &dev);
        // Only what follows is tried in every order.
        machine.backends.drain();
        backend.other_end(State::Initialised);
        machine.backends.drain();
        assert!(xenbus::is_connected());
        Self {
            machine,
            dev,
            backend,
        }
    }

    /// The guest enables the first entry of its MSI-X table, at 0000:00:00.0.
    fn requests(&self) {
        xenbus::request(&[(0, 4), (7, 1)]);
    }

    fn detach(&self) {
        store::change(|store| store.set(self.dev.node(), c"state-0", 5));
        Changes(self.machine.backends.clone()).changed(self.dev.node());
    }

    fn end(self) -> Machine {
        store::change(|store| store.remove(self.dev.node()));
        drop(self.backend);
        self.machine.backends.drain();
        assert!(!xenbus::is_connected(), "a page stays mapped");
        self.machine.device.registers(|registers| {
            assert_eq!(registers.pirqs, 0, "interrupts stay mapped");
            assert!(!registers.messages, "a message comes to nobody");
        });
        self.machine
    }
}

/// A toolstack takes the function away.
fn served_while_detached() {
    let served = Served::new();
    served.requests();
    served.detach();
    served.end().ends_free();
}

/// The guest is destroyed.
fn served_while_it_ends() {
    let served = Served::new();
    served.requests();
    served.end().ends_free();
}

/// An administrator unbinds the function.
fn served_while_unbound() {
    let served = Served::new();
    served.requests();
    driver::unbind(&served.machine.device);
    served.end().ends_stopped();
}

/// A toolstack has it reset.
fn served_while_reset() {
    let served = Served::new();
    served.requests();
    served.machine.flr()();
    served.end().ends_free();
}
