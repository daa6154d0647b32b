// SPDX-License-Identifier: GPL-2.0

//! What happens at the same time, and what has to be true in the end.

use core::{cell::RefCell, ffi::CStr};
use std::sync::Arc;

use checker::{
    loom::thread::{self, JoinHandle},
    Scenario,
};
use kernel::{context, pci::Device, sync::aref::ARef};
use xen::{
    pci::{self, bus::Observer as _, driver, DeviceLock, Sbdf},
    xenbus::{self, store, watch::Observer as _, Probed},
};

use crate::{
    assignment::Assignment,
    backend::Backends,
    backends::{self, BackendDriver, Changes},
    cards,
    context::PciBack,
    function::Function,
    functions::{self, Functions},
    hide,
    life::{Domain, State},
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
    ("rebound-while-given-up", rebound_while_given_up),
    ("killed-while-handed-over", killed_while_handed_over),
    ("detached-while-taken", detached_while_taken),
    ("moved-up-while-read", moved_up_while_read),
    ("attached-while-detached", attached_while_detached),
    ("recovered-while-returned", recovered_while_returned),
    ("unplugged", unplugged),
    ("hidden-while-bound", hidden_while_bound),
    ("hidden-while-falling-asleep", hidden_while_falling_asleep),
    ("unloaded-while-returned", unloaded_while_returned),
    ("card-returned-by-two", cards::returned_by_two),
    ("card-returned-while-in-use", cards::returned_while_in_use),
    (
        "card-returned-while-handed-over",
        cards::returned_while_handed_over,
    ),
    ("card-returned-while-taken", cards::returned_while_taken),
    ("card-hidden", cards::hidden),
];

const DEVFN: u8 = 4 << 3;
const SBDF: Sbdf = Sbdf::new(0, 0, DEVFN);
const OTHER: Sbdf = Sbdf::new(0, 0, 5 << 3);

/// The module, loaded, with one function that it has.
struct Machine {
    device: ARef<Device>,
    driver: driver::Registration<PciBack>,
    backends: Arc<Backends>,
    functions: Arc<Functions>,
    loaded: (backends::Loaded, functions::Loaded),
}

impl Machine {
    fn new() -> Self {
        context::watch_allocations();
        let device = Device::plug(DEVFN);
        pci::plugged(&[&device]);
        let functions = Functions::new().expect("nothing fails");
        let backends = Backends::new(functions.clone()).expect("nothing fails");
        functions.slots.lock().add_one(SBDF).expect("a slot");
        Self {
            device,
            driver: driver::Registration::new(PciBack {
                functions: functions.clone(),
                backends: backends.clone(),
            }),
            loaded: (
                backends::Loaded::new(backends.clone()),
                functions::Loaded::new(functions.clone()),
            ),
            backends,
            functions,
        }
    }

    fn seized() -> Self {
        let machine = Self::new();
        assert!(machine.driver.bind(&machine.device));
        machine
    }

    /// Waits for all work, and looks whether the function is as nobody's has to be, or the
    /// driver's. The module is unloaded then.
    fn ends_free(self) {
        let device = self.device.clone();
        self.ends_stopped();
        device.registers(|registers| assert!(registers.command, "not as it was found"));
    }

    /// The same for a function that was unbound in use: it is left stopped.
    fn ends_stopped(self) {
        self.backends.drain();
        self.functions.drain();
        assert_eq!(self.guest(), None, "it stays with a guest that is gone");
        assert!(!self.device.core(|core| core.assigned));
        driver::unbind(&self.device);
        let device = self.device.clone();
        self.unload();
        device.registers(|registers| {
            assert_eq!(registers.dirt, 0, "what a guest left in it is still there");
            assert!(registers.bars, "its BARs are lost");
        });
    }

    fn unload(self) {
        self.driver.unregister();
        drop(self.loaded);
    }

    fn function(&self) -> Option<Arc<Function>> {
        self.functions.get(SBDF).ok()
    }

    fn guest(&self) -> Option<Domain> {
        self.function().and_then(|function| function.guest())
    }

    /// A guest that gets the function by itself, without XenStore.
    fn create(&self, domain: Domain) -> Guest {
        Guest {
            domain,
            functions: self.functions.clone(),
            assignment: RefCell::new(None),
        }
    }

    fn flr(&self) -> impl FnOnce() + 'static {
        let driver = self.driver.clone();
        move || {
            let _ = driver.driver().flr(SBDF);
        }
    }
}

/// A guest. Its end gives the function back.
struct Guest {
    domain: Domain,
    functions: Arc<Functions>,
    assignment: RefCell<Option<Assignment>>,
}

impl Guest {
    /// Whether it has it now.
    fn gets(&self) -> bool {
        let got = self.functions.get(SBDF).ok();
        let got = got.and_then(|function| function.export(self.domain).ok());
        let usable = got.as_ref().is_some_and(Assignment::is_usable);
        self.assignment.replace(got);
        usable
    }

    /// It finds no trace of others, and leaves its own.
    fn uses(&self, device: &Device) {
        use_it(self.domain, device);
    }

    /// What it left is still there.
    fn goes_on(&self, device: &Device) {
        device.registers(|registers| {
            assert_eq!(registers.dirt, self.domain, "reset under a guest");
        });
    }

    fn lives(&self, device: &Device) -> bool {
        let got = self.gets();
        if got {
            self.uses(device);
            self.goes_on(device);
        }
        got
    }
}

pub(crate) fn use_it(domain: Domain, device: &Device) {
    device.registers(|registers| {
        assert!(
            registers.dirt == 0 || registers.dirt == domain,
            "a used function was handed on"
        );
        registers.dirt = domain;
        registers.command = true;
    });
}

pub(crate) fn spawn(f: impl FnOnce() + 'static) -> JoinHandle<()> {
    thread::spawn(f)
}

pub(crate) fn join(thread: JoinHandle<()>) {
    thread.join().expect("nobody panics");
}

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

const FRONT: Domain = 7;

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
    use_it(FRONT, &machine.device);
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
    use_it(FRONT, &machine.device);
    store::change(|store| store.remove(dev.node()));
    let changing = machine.backends.clone();
    let node = dev.clone();
    let other = spawn(move || Changes(changing).changed(node.node()));
    let reset = machine.driver.driver().flr(SBDF);
    assert_eq!(reset, Ok(()));
    // Xen gives it to the next guest now.
    use_it(2, &machine.device);
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
            .is_some_and(|function| !function.is_first_stop())
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

impl Machine {
    fn is_clean(&self) -> bool {
        self.function()
            .is_some_and(|function| function.state() == State::Clean)
    }
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
