// SPDX-License-Identifier: GPL-2.0

//! What happens at the same time, and what has to be true in the end.

use core::ffi::CStr;

use checker::{
    loom::thread::{self, JoinHandle},
    Scenario,
};
use kernel::{context, pci::Device as Function, sync::aref::ARef};
use xen::{
    bus::Observer as _,
    driver,
    pci::{self, DeviceExt},
    xenbus::{self, Probed},
    xenstore::{self, Observer as _},
    Sbdf,
};

use crate::{
    backend::{Backends, Changes},
    driver::PciBack,
    hide,
    life::{Domain, State},
    state::{self, Published},
    unplug::Unplug,
};

/// All scenarios.
pub(crate) const ALL: &[Scenario] = &[
    ("flr-while-handed-over", flr_while_handed_over),
    ("reset-while-handed-over", reset_while_handed_over),
    ("taken-while-handed-over", taken_while_handed_over),
    ("bound-again-while-taken", bound_again_while_taken),
    ("two-guests", two_guests),
    ("broken-while-handed-over", broken_while_handed_over),
    ("killed-while-handed-over", killed_while_handed_over),
    ("detached-while-taken", detached_while_taken),
    ("unplugged", unplugged),
    ("hidden-while-bound", hidden_while_bound),
    ("hidden-while-falling-asleep", hidden_while_falling_asleep),
    ("unloaded-while-returned", unloaded_while_returned),
];

const DEVFN: u8 = 4 << 3;
const SBDF: Sbdf = Sbdf::new(0, 0, DEVFN);

/// The module, loaded, with one function that it has.
struct Machine {
    function: ARef<Function>,
    state: Option<Published>,
}

impl Machine {
    fn new() -> Self {
        context::watch_allocations();
        let function = Function::plug(DEVFN);
        pci::plugged(&[&function]);
        driver::register::<PciBack>();
        let machine = Self {
            function,
            state: state::publish().ok(),
        };
        state::with(|state| state.slots.lock().add_one(SBDF)).expect("a slot");
        machine
    }

    fn seized() -> Self {
        let machine = Self::new();
        assert!(driver::bind::<PciBack>(&machine.function));
        machine
    }

    /// Waits for all work, and looks whether the function is as nobody's has to be, or the
    /// driver's. The module is unloaded then.
    fn ends_free(mut self) {
        let _ = state::with(|state| {
            // In the order in which they queue works for each other.
            state.toolstack.flush();
            state.returns.flush();
            Ok(())
        });
        assert_eq!(
            self.function.core(|core| core.assigned),
            u32::from(self.guest().is_some())
        );
        assert_eq!(self.guest(), None, "it stays with a guest that is gone");
        assert_eq!(
            self.orphan(),
            None,
            "it is said to be with a guest that is gone"
        );
        driver::release(&self.function);
        self.state = None;
        assert_eq!(self.function.core(|core| core.assigned), 0);
        self.function.registers(|registers| {
            assert_eq!(registers.dirt, 0, "what a guest left in it is still there");
            assert!(registers.command && registers.bars, "not as it was found");
        });
    }

    fn guest(&self) -> Option<Domain> {
        state::device(SBDF).ok().and_then(|device| device.guest())
    }

    fn orphan(&self) -> Option<Domain> {
        state::with(|state| Ok(state.orphan(SBDF))).ok().flatten()
    }
}

/// A guest that gets the function by itself, without XenStore.
struct Guest(Domain);

impl Guest {
    /// Whether it has it now.
    fn gets(&self) -> bool {
        state::device(SBDF).is_ok_and(|device| device.export(self.0).is_ok())
    }

    /// It finds no trace of others, and leaves its own.
    fn uses(&self, function: &Function) {
        function.registers(|registers| {
            assert!(
                registers.dirt == 0 || registers.dirt == self.0,
                "a used function was handed on"
            );
            registers.dirt = self.0;
            registers.command = true;
        });
    }

    /// What it left is still there.
    fn goes_on(&self, function: &Function) {
        function.registers(|registers| {
            assert_eq!(registers.dirt, self.0, "reset under a guest");
        });
    }

    fn is_gone(&self) {
        let _ = state::with(|state| {
            state.release(self.0, |_| false);
            Ok(())
        });
    }

    fn lives(&self, function: &Function) -> bool {
        let got = self.gets();
        if got {
            self.uses(function);
            self.goes_on(function);
        }
        got
    }
}

fn spawn(f: impl FnOnce() + 'static) -> JoinHandle<()> {
    thread::spawn(f)
}

fn join(thread: JoinHandle<()>) {
    thread.join().expect("nobody panics");
}

/// A toolstack resets a function that another one hands over.
fn flr_while_handed_over() {
    let machine = Machine::seized();
    let function = machine.function.clone();
    // The first one has asked already.
    let _ = state::device(SBDF).and_then(|device| device.flr());
    let other = spawn(|| {
        let _ = state::device(SBDF).and_then(|device| device.flr());
    });
    assert!(Guest(1).lives(&function));
    Guest(1).is_gone();
    assert!(Guest(2).lives(&function));
    join(other);
    Guest(2).is_gone();
    machine.ends_free();
}

/// An administrator resets it by the file in sysfs.
fn reset_while_handed_over() {
    let machine = Machine::seized();
    let function = machine.function.clone();
    let resetting = function.clone();
    let other = spawn(move || driver::reset_by_hand(&resetting));
    for guest in [Guest(1), Guest(2)] {
        // Then, a reset by hand is its administrator's business.
        assert!(guest.gets());
        guest.uses(&function);
        guest.is_gone();
    }
    join(other);
    machine.ends_free();
}

/// It is taken from the guest that is just getting it: then it is known that the guest has it.
fn taken_while_handed_over() {
    let machine = Machine::seized();
    let function = machine.function.clone();
    let taking = function.clone();
    let other = spawn(move || driver::release(&taking));
    let got = Guest(1).gets();
    join(other);
    assert_eq!(
        machine.orphan().is_some(),
        got,
        "taken from a guest, and nobody knows"
    );
    assert_eq!(driver::bind::<PciBack>(&function), !got);
    Guest(1).is_gone();
    assert!(driver::bind::<PciBack>(&function) || !got);
    machine.ends_free();
}

/// It is taken from a guest and bound again, while the guest goes.
fn bound_again_while_taken() {
    let machine = Machine::seized();
    let function = machine.function.clone();
    assert!(Guest(1).lives(&function));
    let taking = function.clone();
    let other = spawn(move || {
        driver::release(&taking);
        driver::bind::<PciBack>(&taking);
    });
    Guest(1).is_gone();
    // It may be taken from this one.
    Guest(2).gets();
    join(other);
    Guest(2).is_gone();
    machine.ends_free();
}

/// Two guests want it, and one of them is gone at once.
fn two_guests() {
    let machine = Machine::seized();
    let function = machine.function.clone();
    let second = function.clone();
    let other = spawn(move || {
        Guest(2).lives(&second);
        Guest(2).is_gone();
    });
    Guest(1).lives(&function);
    Guest(1).is_gone();
    join(other);
    machine.ends_free();
}

/// What a guest returns cannot be reset: nobody gets it, and it is given up.
fn broken_while_handed_over() {
    let mut machine = Machine::seized();
    let function = machine.function.clone();
    assert!(Guest(1).lives(&function));
    function.registers(|registers| registers.sick = true);
    let other = spawn(|| {
        Guest(1).is_gone();
        assert!(!Guest(2).gets(), "handed on though it is broken");
    });
    let by_hand = state::device(SBDF).map(|device| device.flr());
    join(other);
    // Or it was stopped only, as the guest had it.
    assert!(
        by_hand.is_err()
            || by_hand.is_ok_and(|result| result.is_err() || machine.guest().is_none())
    );
    let _ = state::with(|state| {
        state.returns.flush();
        Ok(())
    });
    assert_eq!(function.core(|core| core.driver), None, "still offered");
    assert!(
        !driver::bind::<PciBack>(&function),
        "seized though it is broken"
    );
    machine.state = None;
    assert_eq!(function.core(|core| core.assigned), 0);
    function.registers(|registers| assert!(!registers.command, "not left switched off"));
}

const FRONT: Domain = 7;

/// What a toolstack writes.
fn assign() -> ARef<xenbus::Device> {
    let dev = xenbus::Device::new(FRONT);
    xenstore::change(|store| {
        store.set(dev.node(), c"dev-0", SBDF);
        store.set(dev.node(), c"state-0", 1);
        store.set(dev.node(), c"num_devs", 1);
        store.set(dev.node(), c"state", 1);
    });
    dev
}

fn set(dev: &xenbus::Device, node: &CStr, value: u32) {
    xenstore::change(|store| store.set(dev.node(), node, value));
    Changes::changed(dev.node());
}

/// A guest dies in the middle of getting a function that has to be reset first.
fn killed_while_handed_over() {
    let machine = Machine::seized();
    assert!(Guest(1).lives(&machine.function));
    Guest(1).is_gone();
    let dev = assign();
    let backend = Probed::<Backends>::new(&dev);
    xenstore::change(|store| store.remove(dev.node()));
    drop(backend);
    machine.ends_free();
}

/// A toolstack detaches a function that is unbound at the same time.
fn detached_while_taken() {
    let machine = Machine::seized();
    let dev = assign();
    let backend = Probed::<Backends>::new(&dev);
    let taking = machine.function.clone();
    let other = spawn(move || driver::release(&taking));
    set(&dev, c"state-0", 5);
    join(other);
    xenstore::change(|store| store.remove(dev.node()));
    drop(backend);
    machine.ends_free();
}

/// A guest's function is unplugged: Xen is told when the guest has gone.
fn unplugged() {
    let machine = Machine::seized();
    let removed = machine.function.clone();
    assert!(Guest(1).gets());
    let other = spawn(move || {
        removed.registers(|registers| registers.present = false);
        driver::release(&removed);
        Unplug::removing(&removed);
        let orphan = state::with(|state| Ok(state.orphan(SBDF)));
        assert_eq!(orphan, Ok(None), "Xen forgets a function that a guest has");
    });
    Guest(1).is_gone();
    join(other);
}

/// A function of the parameter `hide` is bound by hand, and offered to a driver of dom0's own.
fn hidden_while_bound() {
    let machine = Machine::new();
    let function = machine.function.clone();
    let hidden = hide::start().expect("nothing fails");
    let by_hand = function.clone();
    let other = spawn(move || {
        driver::bind::<PciBack>(&by_hand);
    });
    assert!(!driver::bind_native(&function) || state::device(SBDF).is_err());
    join(other);
    drop(hidden);
    let name = function.lock().driver_name().map(CStr::to_owned);
    if name.as_deref() == Some(c"native") {
        driver::release(&function);
    } else {
        assert!(state::device(SBDF).is_ok_and(|device| device.state() == State::Clean));
    }
    machine.ends_free();
}

/// Power management, which saves a function's configuration, is not told that it is being taken.
fn hidden_while_falling_asleep() {
    let machine = Machine::new();
    let function = machine.function.clone();
    let dozing = function.clone();
    let other = spawn(move || dozing.doze());
    drop(hide::start().expect("nothing fails"));
    join(other);
    assert!(state::device(SBDF).is_ok_and(|device| device.state() == State::Clean));
    assert!(
        function.registers(|registers| registers.command),
        "seized, and put back to what it was in between"
    );
    machine.ends_free();
}

/// The module is unloaded while a function that was returned is reset.
fn unloaded_while_returned() {
    let mut machine = Machine::seized();
    let function = machine.function.clone();
    assert!(Guest(1).lives(&function));
    let other = spawn(|| Guest(1).is_gone());
    // The driver goes first, and what it has with it.
    driver::release(&function);
    join(other);
    machine.state = None;
    function.registers(|registers| {
        assert_eq!(registers.dirt, 0, "what a guest left in it is still there");
        assert!(registers.command && registers.bars, "not as it was found");
    });
}
