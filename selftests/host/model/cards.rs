// SPDX-License-Identifier: GPL-2.0

//! What happens at the same time to the two functions of a card, which are reset together only.

use std::sync::Arc;

use checker::{join, spawn, Scenario};
use kernel::{context, pci::Device, sync::aref::ARef};
use xen::pci::{self, driver, Sbdf};

use crate::{
    assignment::Assignment,
    backend::Backends,
    context::PciBack,
    functions::{self, Functions},
    hide,
    life::{Domain, State},
    IDLE_D3,
};

pub(crate) const ALL: &[Scenario] = &[
    ("card-returned-by-two", returned_by_two),
    ("card-returned-while-in-use", returned_while_in_use),
    (
        "card-returned-while-handed-over",
        returned_while_handed_over,
    ),
    (
        "card-returned-while-given-in-xen",
        returned_while_given_in_xen,
    ),
    ("card-returned-while-announced", returned_while_announced),
    ("card-returned-while-taken", returned_while_taken),
    ("card-hidden", hidden),
    ("card-asleep-while-returned", asleep_while_returned),
    ("card-hidden-asleep", hidden_asleep),
];

const BUS: u8 = 1;

/// The module, loaded, and a card.
struct Card {
    devices: [ARef<Device>; 2],
    driver: driver::Registration<PciBack>,
    functions: Arc<Functions>,
    loaded: functions::Loaded,
}

impl Card {
    fn new() -> Self {
        context::watch_allocations();
        let devices = [0, 1].map(|devfn| Device::plug_behind(BUS, devfn));
        pci::plugged(&[&devices[0], &devices[1]]);
        let functions = Functions::new().expect("nothing fails");
        for devfn in [0, 1] {
            let sbdf = Sbdf::new(0, BUS, devfn);
            functions.slots.lock().add_one(sbdf).expect("a slot");
        }
        Self {
            devices,
            driver: driver::Registration::new(PciBack {
                functions: functions.clone(),
                backends: Backends::new(functions.clone()).expect("nothing fails"),
            }),
            loaded: functions::Loaded::new(functions.clone()),
            functions,
        }
    }

    fn seized() -> Self {
        let card = Self::new();
        for device in &card.devices {
            assert!(card.driver.bind(device));
        }
        card.functions.drain();
        if !IDLE_D3.get() {
            card.is_clean();
        }
        card
    }

    /// Both were reset, and sleep.
    fn sleeps(&self) {
        for devfn in [0, 1] {
            assert_eq!(self.state(devfn), Some(State::Asleep));
        }
        for device in &self.devices {
            device.registers(|registers| assert!(registers.asleep && registers.dirt == 0));
        }
    }

    /// Both functions were reset, and nobody has used them since.
    fn is_clean(&self) {
        for devfn in [0, 1] {
            assert_eq!(self.state(devfn), Some(State::Clean));
        }
        for device in &self.devices {
            device.registers(|registers| {
                assert_eq!(registers.dirt, 0, "what a guest left in it is still there");
            });
        }
    }

    fn state(&self, devfn: u8) -> Option<State> {
        let function = self.functions.get(Sbdf::new(0, BUS, devfn)).ok()?;
        Some(function.state())
    }

    /// XenStore says that the guest has the function.
    fn assign(&self, devfn: u8, domain: Domain) -> Option<Assignment> {
        let function = self.functions.get(Sbdf::new(0, BUS, devfn)).ok()?;
        let assignment = function.export(domain).ok()?;
        assignment.usable().ok().map(|()| assignment)
    }

    /// The guest gets the function and uses it, unless it must not.
    fn give(&self, devfn: u8, domain: Domain) -> Option<Assignment> {
        let assignment = self.assign(devfn, domain)?;
        self.devices[usize::from(devfn)].use_by(domain);
        Some(assignment)
    }

    /// What the guest has left in the function is still there.
    fn goes_on(&self, devfn: u8, domain: Domain) {
        self.devices[usize::from(devfn)].registers(|registers| {
            assert_eq!(registers.dirt, domain, "reset under a guest");
        });
    }

    /// The guest has the function in Xen, and uses it.
    fn gives_in_xen(&self, devfn: u8, domain: Domain) {
        let device = &self.devices[usize::from(devfn)];
        device.registers(|registers| registers.in_xen = true);
        device.use_by(domain);
    }

    /// The last guest returns its function.
    fn ends_with(self, last: Assignment) {
        for device in &self.devices {
            device.registers(|registers| registers.in_xen = false);
        }
        drop(last);
        self.functions.drain();
        self.is_clean();
        self.unload();
    }

    fn unload(self) {
        self.functions.drain();
        for device in &self.devices {
            driver::unbind(device);
            assert!(!device.core(|core| core.assigned));
            device.registers(|registers| assert!(!registers.asleep, "dom0 gets it in its sleep"));
        }
        self.driver.unregister();
        drop(self.loaded);
    }
}

/// Two guests return a function each.
fn returned_by_two() {
    let card = Card::seized();
    let first = card.give(0, 1).expect("it is free");
    let second = card.give(1, 2).expect("it is free");
    let other = spawn(move || drop(first));
    drop(second);
    join(other);
    card.functions.drain();
    card.is_clean();
    card.unload();
}

/// One guest returns its function, and another guest keeps the other one: a third one gets nothing.
fn returned_while_in_use() {
    let card = Card::seized();
    let first = card.give(0, 1).expect("it is free");
    let second = card.give(1, 2).expect("it is free");
    let other = spawn(move || drop(first));
    assert!(card.give(0, 3).is_none(), "a used function was handed on");
    join(other);
    card.functions.drain();
    card.goes_on(1, 2);
    // The guest that had it may have it again, unless the third one was in between.
    let first = card.give(0, 1);
    drop(second);
    drop(first);
    card.functions.drain();
    card.is_clean();
    card.unload();
}

/// One guest returns its function, while another guest gets the other one.
fn returned_while_handed_over() {
    let card = Card::seized();
    let first = card.give(0, 1).expect("it is free");
    let other = spawn(move || drop(first));
    let second = card.give(1, 2).expect("it is free");
    card.goes_on(1, 2);
    join(other);
    card.functions.drain();
    card.goes_on(1, 2);
    drop(second);
    card.functions.drain();
    card.is_clean();
    card.unload();
}

/// One guest returns its function, while a toolstack resets the other one and gives it to another
/// guest, which uses it before XenStore says so.
fn returned_while_given_in_xen() {
    let card = Card::seized();
    let first = card.give(0, 1).expect("it is free");
    let other = spawn(move || drop(first));
    let function = card.functions.get(Sbdf::new(0, BUS, 1));
    assert!(function.is_ok_and(|function| function.flr().is_ok()));
    card.gives_in_xen(1, 2);
    let second = card.assign(1, 2).expect("it is free");
    card.goes_on(1, 2);
    join(other);
    card.ends_with(second);
}

/// One guest returns its function, while XenStore says that another guest has the other one, which
/// it has used for long.
fn returned_while_announced() {
    let card = Card::seized();
    let first = card.give(0, 1).expect("it is free");
    card.gives_in_xen(1, 2);
    let other = spawn(move || drop(first));
    let second = card.assign(1, 2).expect("it is free");
    card.goes_on(1, 2);
    join(other);
    card.ends_with(second);
}

/// A guest returns its function, while the other one is unbound.
fn returned_while_taken() {
    let card = Card::seized();
    let first = card.give(0, 1).expect("it is free");
    let taken = card.devices[1].clone();
    let other = spawn(move || driver::unbind(&taken));
    drop(first);
    join(other);
    card.functions.drain();
    // Reset in time, or not at all, which the log says.
    assert!(matches!(card.state(0), Some(State::Clean | State::Touched)));
    card.devices[0].registers(|registers| registers.dirt = 0);
    card.unload();
}

/// Both are named by the parameter `hide`.
fn hidden() {
    let card = Card::new();
    drop(hide::start(&card.functions).expect("nothing fails"));
    card.functions.drain();
    card.is_clean();
    card.unload();
}

/// One guest returns its function, which falls asleep after its reset, and another guest gets the
/// other one.
fn asleep_while_returned() {
    IDLE_D3.set();
    let card = Card::seized();
    let first = card.give(0, 1).expect("it is free");
    let other = spawn(move || drop(first));
    let second = card.give(1, 2).expect("it is free");
    join(other);
    drop(second);
    card.functions.drain();
    card.sleeps();
    card.unload();
}

/// Both are named by the parameter `hide`: neither falls asleep before it is bound.
fn hidden_asleep() {
    IDLE_D3.set();
    let card = Card::new();
    drop(hide::start(&card.functions).expect("nothing fails"));
    card.functions.drain();
    card.sleeps();
    card.unload();
}
