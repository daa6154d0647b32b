// SPDX-License-Identifier: GPL-2.0

//! What happens while a function falls asleep, because nobody has it.

use checker::{join, spawn, Scenario};
use kernel::pci::Device;
use xen::pci::driver;

use crate::{life::State, machine::Machine};

pub(crate) const ALL: &[Scenario] = &[
    ("asleep-while-handed-over", handed_over),
    ("asleep-while-reset", reset),
    ("asleep-while-taken", taken),
    ("asleep-while-unplugged", unplugged),
    ("asleep-while-recovered", recovered),
    ("asleep-while-switched-off", switched_off),
];

impl Machine {
    /// A function that is about to fall asleep.
    fn sleepy() -> Self {
        let machine = Self::seized();
        machine.set_idle_d3(true);
        machine
    }

    fn set_idle_d3(&self, sleepy: bool) {
        self.function().expect("it is there").set_idle_d3(sleepy);
    }

    /// After all work.
    fn sleeps(&self) -> bool {
        self.functions.drain();
        let asleep = self.device.registers(|registers| registers.asleep);
        let state = self.function().map(|function| function.state());
        assert_eq!(asleep, state == Some(State::Asleep));
        asleep
    }
}

/// Guests get it, and a toolstack resets it.
fn handed_over() {
    let machine = Machine::sleepy();
    let device = machine.device.clone();
    let other = spawn(machine.flr());
    for domain in [1, 2] {
        let guest = machine.create(domain);
        assert!(guest.lives(&device));
    }
    join(other);
    machine.ends_free();
}

/// An administrator resets it by the file in sysfs.
fn reset() {
    let machine = Machine::sleepy();
    let resetting = machine.device.clone();
    let other = spawn(move || driver::reset_by_hand(&resetting));
    driver::reset_by_hand(&machine.device);
    join(other);
    assert!(machine.sleeps());
    machine.ends_free();
}

/// It is given back to dom0, whose driver takes it.
fn taken() {
    let machine = Machine::sleepy();
    let device = machine.device.clone();
    driver::unbind(&device);
    assert!(driver::bind_native(&device));
    device.registers(|registers| assert!(registers.bars, "its BARs are lost"));
    driver::unbind(&device);
    machine.ends_free();
}

/// It is unplugged.
fn unplugged() {
    let machine = Machine::sleepy();
    let unplug = |device: &Device| {
        device.registers(|registers| registers.present = false);
        driver::unbind(device);
    };
    unplug(&machine.device);
    machine.functions.drain();
    assert!(machine.function().is_none(), "what is gone is remembered");
    machine.unload();
}

/// An error is reported, and the link is reset.
fn recovered() {
    let machine = Machine::sleepy();
    driver::recover(&machine.device);
    assert!(machine.sleeps());
    machine.ends_free();
}

/// An administrator changes his mind.
fn switched_off() {
    let machine = Machine::sleepy();
    machine.set_idle_d3(false);
    assert!(!machine.sleeps());
    machine.ends_free();
}
