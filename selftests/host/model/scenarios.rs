// SPDX-License-Identifier: GPL-2.0

//! What happens to one function at the same time, and what has to be true in the end.

use core::ffi::CStr;

use checker::{join, spawn, Scenario};
use xen::{
    hypercall::domain,
    pci::{bus::Observer as _, driver, DeviceLock},
};

use crate::{
    hide,
    machine::{Machine, SBDF},
    unplug::Unplug,
};

pub(crate) const ALL: &[Scenario] = &[
    ("flr-while-handed-over", flr_while_handed_over),
    ("flr-while-returned", flr_while_returned),
    ("flr-while-unbound", flr_while_unbound),
    ("reset-while-handed-over", reset_while_handed_over),
    ("taken-while-handed-over", taken_while_handed_over),
    ("bound-again-while-taken", bound_again_while_taken),
    ("two-guests", two_guests),
    ("broken-while-handed-over", broken_while_handed_over),
    ("rebound-while-given-up", rebound_while_given_up),
    ("recovered-while-returned", recovered_while_returned),
    ("failed-while-returned", failed_while_returned),
    ("failed-while-used", failed_while_used),
    ("unplugged", unplugged),
    ("unplugged-while-in-xen", unplugged_while_in_xen),
    ("seized-while-in-xen", seized_while_in_xen),
    ("hidden-while-bound", hidden_while_bound),
    ("hidden-while-falling-asleep", hidden_while_falling_asleep),
    ("unloaded-while-returned", unloaded_while_returned),
];

/// A toolstack resets a function that another one hands over.
fn flr_while_handed_over() {
    let machine = Machine::seized();
    let device = machine.device.clone();
    // The first one has asked already.
    machine.flr()();
    let other = spawn(machine.flr());
    let guest = machine.create(1);
    assert!(guest.lives(&device));
    drop(guest);
    let guest = machine.create(2);
    assert!(guest.lives(&device));
    join(other);
    drop(guest);
    machine.ends_free();
}

/// A toolstack resets a function that its guest returns.
fn flr_while_returned() {
    let machine = Machine::seized();
    let guest = machine.create(1);
    assert!(guest.lives(&machine.device));
    let other = spawn(machine.flr());
    drop(guest);
    join(other);
    machine.ends_free();
}

/// A toolstack's request for a reset waits while the function is unbound: it is dom0's then, who
/// writes to it.
fn flr_while_unbound() {
    let machine = Machine::seized();
    let device = machine.device.clone();
    let other = spawn(machine.flr());
    driver::unbind(&device);
    device.registers(|registers| {
        registers.command = false;
        registers.dirt = 7;
    });
    join(other);
    device.registers(|registers| assert_eq!(registers.dirt, 7, "reset though it is dom0's"));
    machine.unload();
}

/// An administrator resets it by the file in sysfs.
fn reset_while_handed_over() {
    let machine = Machine::seized();
    let device = machine.device.clone();
    let resetting = device.clone();
    let other = spawn(move || driver::reset_by_hand(&resetting));
    for domain in [1, 2] {
        // Then, a reset by hand is its administrator's business.
        let guest = machine.create(domain);
        assert!(guest.gets());
        guest.uses(&device);
    }
    join(other);
    machine.ends_free();
}

/// It is taken from the guest that is just getting it: then it is known that the guest has it.
fn taken_while_handed_over() {
    let machine = Machine::seized();
    let device = machine.device.clone();
    let taking = device.clone();
    let other = spawn(move || driver::unbind(&taking));
    let guest = machine.create(1);
    let got = guest.gets();
    join(other);
    assert_eq!(
        machine.guest().is_some(),
        got,
        "taken from a guest, and nobody knows"
    );
    assert_eq!(machine.driver.bind(&device), !got);
    drop(guest);
    assert!(
        machine.driver.bind(&device) || !got,
        "returned, and cannot be bound"
    );
    machine.ends_stopped();
}

/// It is taken from a guest and bound again, while the guest goes.
fn bound_again_while_taken() {
    let machine = Machine::seized();
    let device = machine.device.clone();
    let guest = machine.create(1);
    assert!(guest.lives(&device));
    let (taking, registered) = (device.clone(), machine.driver.clone());
    let other = spawn(move || {
        driver::unbind(&taking);
        registered.bind(&taking);
    });
    drop(guest);
    // It may be taken from this one.
    let guest = machine.create(2);
    guest.gets();
    join(other);
    drop(guest);
    machine.ends_stopped();
}

/// Two guests want it, and one of them is gone at once.
fn two_guests() {
    let machine = Machine::seized();
    let device = machine.device.clone();
    let (second, guest) = (device.clone(), machine.create(2));
    let other = spawn(move || {
        guest.lives(&second);
    });
    machine.create(1).lives(&device);
    join(other);
    machine.ends_free();
}

/// A function that cannot be reset after a guest: nobody gets it, and it is given up.
fn broken_while_handed_over() {
    let machine = Machine::seized();
    let device = machine.device.clone();
    let guest = machine.create(1);
    assert!(guest.lives(&device));
    device.registers(|registers| registers.sick = true);
    let second = machine.create(2);
    let other = spawn(move || {
        drop(guest);
        assert!(!second.gets(), "handed on though it is broken");
    });
    let by_hand = machine.driver.driver().flr(SBDF);
    join(other);
    machine.functions.drain();
    // Or it was stopped only, as a guest had it.
    assert!(by_hand.is_err() || machine.guest().is_none());
    assert_eq!(device.core(|core| core.driver), None, "still offered");
    assert!(!machine.driver.bind(&device), "seized though it is broken");
    machine.unload();
    assert!(!device.core(|core| core.assigned));
    device.registers(|registers| assert!(!registers.command, "not left switched off"));
}

/// A broken function is given up, while an administrator binds another driver to it: that stays.
fn rebound_while_given_up() {
    let machine = Machine::seized();
    let device = machine.device.clone();
    let guest = machine.create(1);
    assert!(guest.lives(&device));
    device.registers(|registers| registers.sick = true);
    drop(guest);
    driver::unbind(&device);
    let got = driver::bind_native(&device);
    machine.functions.drain();
    if got {
        assert_eq!(
            device.core(|core| core.driver),
            Some(c"native"),
            "another driver's function is taken"
        );
    }
    driver::unbind(&device);
    machine.unload();
}

/// A guest that was stopped by an error is destroyed, and another one created, while Linux recovers
/// from that error: the link is not reset under the new one.
fn recovered_while_returned() {
    let machine = Machine::seized();
    let device = machine.device.clone();
    let guest = machine.create(1);
    assert!(guest.lives(&device));
    let recovering = device.clone();
    let other = spawn(move || driver::recover(&recovering));
    drop(guest);
    let guest = machine.create(2);
    let got = guest.gets();
    if got {
        guest.uses(&device);
    }
    join(other);
    // Stopped by an error of its own, it has nothing that could go on.
    assert!(
        !got || machine
            .function()
            .is_some_and(|function| function.has_failed())
            || device.registers(|registers| registers.dirt == 2),
        "reset under a guest"
    );
    drop(guest);
    machine.ends_free();
}

/// A guest's function is unplugged: Xen is told when the guest has gone.
fn unplugged() {
    let machine = Machine::seized();
    let removed = machine.device.clone();
    let guest = machine.create(1);
    assert!(guest.gets());
    let functions = machine.functions.clone();
    let other = spawn(move || {
        removed.registers(|registers| registers.present = false);
        driver::unbind(&removed);
        Unplug(functions.clone()).removing(&removed);
        let guest = functions.get(SBDF).ok().and_then(|f| f.guest());
        assert_eq!(guest, None, "Xen forgets a function that a guest has");
    });
    drop(guest);
    join(other);
    machine.unload();
}

/// Only Xen knows of the guest: its toolstack has taken the function from the stub domain, and has
/// not destroyed the guest yet.
fn unplugged_while_in_xen() {
    let machine = Machine::seized();
    let device = machine.device.clone();
    device.registers(|registers| {
        (registers.present, registers.in_xen) = (false, true);
        registers.destroyed_after = 4;
    });
    driver::unbind(&device);
    Unplug(machine.functions.clone()).removing(&device);
    device.registers(|registers| {
        assert!(!registers.in_xen, "Xen forgets a function that a guest has");
    });
    machine.unload();
}

/// Only Xen knows of the guest, and an administrator unbinds and binds the function.
fn seized_while_in_xen() {
    let machine = Machine::seized();
    let device = machine.device.clone();
    device.registers(|registers| registers.in_xen = true);
    driver::unbind(&device);
    assert!(!machine.driver.bind(&device), "seized under its guest");
    device.registers(|registers| registers.in_xen = false);
    assert!(machine.driver.bind(&device));
    machine.ends_stopped();
}

/// An error of a function that its guest returns.
fn failed_while_returned() {
    let machine = Machine::seized();
    let guest = machine.create(1);
    assert!(guest.lives(&machine.device));
    let device = machine.device.clone();
    let other = spawn(move || driver::recover(&device));
    drop(guest);
    join(other);
    machine.ends_free();
}

/// A function fails, and its guest allows DMA up to the moment in which it is stopped.
fn failed_while_used() {
    let machine = Machine::seized();
    let guest = machine.create(1);
    assert!(guest.lives(&machine.device));
    let device = machine.device.clone();
    domain::set_toolstack(Some(Box::new(move |_| {
        device.registers(|registers| registers.dma = true);
    })));
    driver::recover(&machine.device);
    domain::set_toolstack(None);
    assert_eq!(domain::stopped(), [1]);
    drop(guest);
    machine.ends_free();
}

/// A function of the parameter `hide` is bound by hand, and offered to a driver of dom0's own.
fn hidden_while_bound() {
    let machine = Machine::new();
    let device = machine.device.clone();
    let hidden = hide::start(&machine.functions).expect("nothing fails");
    let (by_hand, registered) = (device.clone(), machine.driver.clone());
    let other = spawn(move || {
        registered.bind(&by_hand);
    });
    assert!(!driver::bind_native(&device) || machine.function().is_none());
    join(other);
    drop(hidden);
    let name = DeviceLock::new(&device).driver_name().map(CStr::to_owned);
    if name.as_deref() == Some(c"native") {
        driver::unbind(&device);
    } else {
        assert!(machine.is_clean());
    }
    machine.ends_free();
}

/// Power management, which saves a function's configuration, is not told that it is being taken.
fn hidden_while_falling_asleep() {
    let machine = Machine::new();
    let device = machine.device.clone();
    let dozing = device.clone();
    let other = spawn(move || dozing.doze());
    drop(hide::start(&machine.functions).expect("nothing fails"));
    join(other);
    assert!(machine.is_clean());
    assert!(
        device.registers(|registers| registers.command),
        "seized, and put back to what it was in between"
    );
    machine.ends_free();
}

/// The module is unloaded while a function that was returned is reset.
fn unloaded_while_returned() {
    let machine = Machine::seized();
    let device = machine.device.clone();
    let guest = machine.create(1);
    assert!(guest.lives(&device));
    let other = spawn(move || drop(guest));
    // The driver goes first, and its functions with it.
    driver::unbind(&device);
    join(other);
    machine.unload();
    device.registers(|registers| {
        assert_eq!(registers.dirt, 0, "what a guest left in it is still there");
        assert!(registers.bars, "not as it was found");
    });
}
