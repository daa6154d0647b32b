// SPDX-License-Identifier: GPL-2.0

//! xen-pcidev in every order: functions that come, go, are seized and released while they are asked
//! for, drivers that are loaded, XenStore that changes, and the module that is unloaded.

#![allow(dead_code)]

#[path = "../../../rust/pcidev/assignments.rs"]
mod assignments;
#[path = "../../../rust/pcidev/backend.rs"]
mod backend;
#[path = "../../../rust/pcidev/events.rs"]
mod events;
#[path = "../../../rust/pcidev/functions.rs"]
mod functions;
#[path = "../../../rust/pcidev/index.rs"]
mod index;
#[path = "../../../rust/pcidev/info.rs"]
mod info;
#[path = "../../../rust/pcidev/lines.rs"]
mod lines;
#[path = "../../../rust/pcidev/owed.rs"]
mod owed;
#[path = "../../../rust/pcidev/privcmd.rs"]
mod privcmd;
#[path = "../../../rust/pcidev/seize.rs"]
mod seize;
#[path = "../../../rust/pcidev/trace.rs"]
mod trace;
#[path = "../../../rust/uapi/pcidev.rs"]
pub mod uapi;

mod graphics {
    //! Intel GPUs, of which there is none.

    use kernel::prelude::KVec;
    use xen::pci::{FirmwareRegisters, Hiding, Locked, Sbdf};

    pub(crate) struct Guard {
        pub(crate) hidden: KVec<Hiding>,
    }

    impl Guard {
        pub(crate) fn new(_dev: &Locked, _registers: Option<&FirmwareRegisters>) -> Option<Self> {
            None
        }

        pub(crate) fn show(&mut self, _dev: &Locked, _is_hidden: bool) {}

        pub(crate) fn is_in_use(&self) -> bool {
            false
        }

        pub(crate) fn observer(&self) -> Option<()> {
            None
        }

        pub(crate) fn assigned(&mut self, _sbdf: Sbdf, _owner: u16, _target: Option<u16>) {}

        pub(crate) fn unassigned(&mut self, _owner: u16) {}

        pub(crate) fn returned(&self, _sbdf: Sbdf) {}
    }
}

mod files {
    //! Files, which only read.

    use kernel::sync::Arc;

    use crate::seize::Function;

    pub(crate) struct Files(pub(crate) Arc<Function>);
}

use std::{ffi::CStr, process::ExitCode};

use checker::{join, spawn, Scenario};
use kernel::{
    context,
    error::{Result, ENODEV, ENOENT},
    pci::Device,
    sync::{aref::ARef, Arc},
};
use xen::{
    dom0,
    gsi::lookup,
    linux::{module, param::On, workqueue::Queue},
    pci::{bus, Sbdf},
    world::{self, Driver},
    xenbus::watch::Observer as _,
};

use assignments::Assignment;
use backend::{Reader, Watcher};
use events::{Bus, Follower, Modules};
use functions::Functions;
use info::{Holder, Info, Msix};
use lines::Lines;
use owed::{Owed, Releases};
use privcmd::Lookup;

const PCIBACK: &CStr = c"pciback";
const PCIBACK_MODULE: &CStr = dom0::STOCK;
static HOLD: On = On;
static LEND: On = On;
static RESET: On = On;
static UNMASK: On = On;

const SCENARIOS: &[Scenario] = &[
    ("asked-while-plugged", asked_while_plugged),
    ("listed-while-plugged", listed_while_plugged),
    ("asked-while-detached", asked_while_detached),
    ("asked-while-released", asked_while_released),
    ("added-twice", added_twice),
    ("unplugged-while-seized", unplugged_while_seized),
    ("bound-while-driver-loads", bound_while_driver_loads),
    ("unbound-while-driver-loads", unbound_while_driver_loads),
    ("let-go-while-seized", let_go_while_seized),
    ("line-wanted-while-lent", line_wanted_while_lent),
    ("line-owed-while-guest-ends", line_owed_while_guest_ends),
    ("line-owed-while-guest-dies", line_owed_while_guest_dies),
    ("line-owed-while-detached", line_owed_while_detached),
    ("line-owed-for-memory", line_owed_for_memory),
    ("told-while-read", told_while_read),
    ("told-while-unreadable", told_while_unreadable),
    ("unloaded-while-unplugged", unloaded_while_unplugged),
];

/// On one line.
const NIC: u8 = 4 << 3;
const DISK: u8 = 5 << 3;

fn main() -> ExitCode {
    checker::main(&[SCENARIOS])
}

fn sbdf(devfn: u8) -> Sbdf {
    Sbdf::new(0, 0, devfn)
}

/// The module, with its fields in the order in which they end.
struct Module {
    watcher: Watcher,
    _modules: module::Registration,
    privcmd: Arc<lookup::Registration<Lookup>>,
    _bus: bus::Registration,
    queue: Arc<Queue>,
    waiting: Arc<Queue>,
    follower: Arc<Follower>,
    functions: Arc<Functions>,
    releases: Releases,
}

impl Module {
    fn load() -> Self {
        context::watch_allocations();
        Self::try_load().expect("nothing fails")
    }

    fn try_load() -> Result<Self> {
        let functions = Functions::new()?;
        let lines = Lines::new()?;
        let queue = Arc::new(Queue::ordered(c"xen-pcidev")?);
        let waiting = Arc::new(Queue::ordered(c"xen-pcidev-lines")?);
        let owed = Arc::new(Owed::new(lines.clone(), waiting.clone())?);
        let follower = Follower::new(functions.clone(), lines, owed.clone())?;
        let privcmd = Arc::new(lookup::Registration::new(Lookup(functions.clone()))?);
        Ok(Self {
            _bus: bus::Registration::new(Bus(follower.clone())),
            _modules: module::Registration::new(Modules {
                follower: follower.clone(),
                privcmd: privcmd.clone(),
                queue: queue.clone(),
            }),
            watcher: Watcher {
                reader: Reader::new(functions.clone(), owed.clone())?,
                queue: queue.clone(),
            },
            releases: Releases(owed),
            privcmd,
            queue,
            waiting,
            follower,
            functions,
        })
    }

    fn assign(&self, functions: &[u8]) {
        let list: Vec<_> = functions
            .iter()
            .map(|devfn| Assignment::open(sbdf(*devfn)))
            .collect();
        self.functions
            .assign(1, None, &list)
            .expect("nothing fails");
    }

    fn info(&self, devfn: u8) -> Result<Info> {
        self.functions.info(sbdf(devfn)).map(|(info, _)| info)
    }

    /// Nothing is held, mapped or forbidden for it.
    fn has_given_back(&self, dev: &Device) {
        let hardware = world::get(dev);
        assert_eq!(hardware.holds, 0, "a hold is left");
        assert!(!hardware.is_reset_forbidden, "its reset stays forbidden");
        let (lines, lent, pins) =
            world::all(|world| (world.lines.clone(), world.lent.len(), world.pins));
        assert_eq!(lent, 0, "dom0 has no interrupts of a line");
        assert!(lines.values().all(|count| *count == 0), "a line is left");
        assert_eq!(pins, 0, "the module stays pinned");
    }

    /// It is held for guests, and says so.
    fn has_seized(&self, dev: &Device) {
        let hardware = world::get(dev);
        assert_eq!(hardware.holds, 1, "bound, and not held");
        assert!(!hardware.is_reset_forbidden, "its reset stays forbidden");
        let info = self.info(dev.devfn).expect("it is there");
        assert_eq!(
            (info.holder, info.msix),
            (Holder::Pciback, Msix::Held),
            "not what is held"
        );
        assert_eq!(info.irq, Some(18));
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let pins = world::all(|world| world.pins);
            assert_eq!(pins, 0, "unloaded though a function is held");
        }
    }
}

/// Look-ups, where nothing may sleep, of functions that are plugged and unplugged.
fn asked_while_plugged() {
    let module = Module::load();
    let privcmd = module.privcmd.clone();
    let reader = spawn(move || {
        for devfn in [DISK, NIC] {
            assert!([Ok(18), Err(ENODEV)].contains(&privcmd.ask(sbdf(devfn))));
        }
    });
    let disk = dom0::plug(DISK);
    assert_eq!(module.privcmd.ask(sbdf(DISK)), Ok(18));
    dom0::unplug(&disk);
    assert_eq!(module.privcmd.ask(sbdf(DISK)), Err(ENODEV));
    dom0::plug(NIC);
    join(reader);
    assert_eq!(module.privcmd.ask(sbdf(NIC)), Ok(18));
}

/// Lists are in order, and have what is there all the time.
fn listed_while_plugged() {
    let module = Module::load();
    dom0::plug(NIC);
    let functions = module.functions.clone();
    let reader = spawn(move || {
        let list = || functions.list(|_| true).expect("there is memory");
        let list = if checker::without("sleep") {
            context::atomic(list)
        } else {
            list()
        };
        let functions: Vec<_> = list.iter().map(|(sbdf, _)| *sbdf).collect();
        let more = [sbdf(NIC), sbdf(DISK), sbdf(6 << 3)];
        assert!(
            (1..=3).any(|count| functions == more[..count])
                || functions == [sbdf(NIC), sbdf(6 << 3)]
        );
    });
    let disk = dom0::plug(DISK);
    dom0::plug(6 << 3);
    dom0::unplug(&disk);
    join(reader);
}

/// A function that leaves its guest takes their line along only if it is the last on it.
fn asked_while_detached() {
    let module = Module::load();
    for devfn in [NIC, DISK] {
        dom0::plug(devfn);
    }
    module.assign(&[NIC, DISK]);
    assert_eq!(module.privcmd.ask(sbdf(NIC)), Err(ENOENT));
    let (privcmd, functions) = (module.privcmd.clone(), module.functions.clone());
    let reader = spawn(move || {
        assert!([Ok(18), Err(ENOENT)].contains(&privcmd.ask(sbdf(NIC))));
        let disk = functions.info(sbdf(DISK));
        assert!(disk.is_ok_and(|(_, domain)| [None, Some(1)].contains(&domain)));
    });
    module.assign(&[DISK]);
    assert_eq!(module.privcmd.ask(sbdf(DISK)), Ok(18));
    module.assign(&[]);
    join(reader);
    assert_eq!(module.privcmd.ask(sbdf(NIC)), Ok(18));
}

/// Look-ups go on while a function is released, and what they are told fits together.
fn asked_while_released() {
    let module = Module::load();
    let disk = dom0::plug(DISK);
    assert!(dom0::bind(&disk, Driver::Stock));
    module.has_seized(&disk);
    let (privcmd, functions) = (module.privcmd.clone(), module.functions.clone());
    let reader = spawn(move || {
        assert_eq!(privcmd.ask(sbdf(DISK)), Ok(18));
        let info = || functions.info(sbdf(DISK)).expect("it is there");
        let (info, _) = if checker::without("sleep") {
            context::atomic(info)
        } else {
            info()
        };
        assert_eq!(info.holder == Holder::Nobody, info.irq.is_none());
        assert!(info.holder == Holder::Nobody || info.msix == Msix::Held);
    });
    dom0::unbind(&disk);
    join(reader);
    module.has_given_back(&disk);
}

/// The bus tells of a function while all functions are taken up: what is known already stays.
fn added_twice() {
    let module = Module::load();
    let follower = module.follower.clone();
    let other = spawn(move || follower.adopt());
    let disk = dom0::plug(DISK);
    dom0::bind(&disk, Driver::Native);
    join(other);
    let info = module.info(DISK).expect("it is there");
    assert!(
        info.holder == Holder::Driver && info.irq == Some(11),
        "forgotten who has it"
    );
}

/// A function goes while a driver is bound to it.
fn unplugged_while_seized() {
    let module = Module::load();
    let disk = dom0::plug(DISK);
    let seized = disk.clone();
    let other = spawn(move || {
        dom0::bind(&seized, Driver::Stock);
    });
    dom0::unplug(&disk);
    join(other);
    assert_eq!(module.info(DISK), Err(ENODEV));
    module.has_given_back(&disk);
}

/// A function is bound by hand while the stock driver's init function binds another.
fn bound_while_driver_loads() {
    let module = Module::load();
    let (nic, disk) = (dom0::plug(NIC), dom0::plug(DISK));
    let second = disk.clone();
    let other = spawn(move || {
        dom0::bind(&second, Driver::Stock);
    });
    dom0::load_stock(&[&nic]);
    join(other);
    module.queue.drain();
    for dev in [&nic, &disk] {
        module.has_seized(dev);
    }
    for dev in [&nic, &disk] {
        dom0::unbind(dev);
    }
    module.has_given_back(&nic);
    module.has_given_back(&disk);
}

/// A function is taken from the stock driver as soon as that has loaded.
fn unbound_while_driver_loads() {
    let module = Module::load();
    let nic = dom0::plug(NIC);
    let taken = nic.clone();
    dom0::load_stock(&[&nic]);
    let other = spawn(move || dom0::unbind(&taken));
    module.queue.drain();
    join(other);
    module.has_given_back(&nic);
    assert_eq!(module.info(NIC).map(|info| info.msix), Ok(Msix::Free));
}

/// A function whose hold had to stay is wanted by two drivers, one of which gives it to a guest.
fn let_go_while_seized() {
    let module = Module::load();
    let disk = dom0::plug(DISK);
    assert!(dom0::bind(&disk, Driver::Stock) && world::assign(&disk));
    dom0::unbind(&disk);
    assert_eq!(world::get(&disk).holds, 1);
    // The guest is gone.
    world::of(&disk, |hardware| hardware.is_assigned = false);
    let native = disk.clone();
    let other = spawn(move || {
        dom0::bind(&native, Driver::Native);
    });
    if dom0::bind(&disk, Driver::Stock) {
        module.has_seized(&disk);
        assert!(world::assign(&disk));
    }
    join(other);
    if world::get(&disk).is_assigned {
        module.has_seized(&disk);
        world::of(&disk, |hardware| hardware.is_assigned = false);
        dom0::unbind(&disk);
    }
    assert_eq!(world::get(&disk).holds, 0, "a hold is left");
}

/// A driver of dom0 wants a line that is lent to guests, as a function on it comes and goes.
fn line_wanted_while_lent() {
    let module = Module::load();
    let (nic, disk) = (dom0::plug(NIC), dom0::plug(DISK));
    let is_lent = || world::all(|world| world.lent.contains(&18));
    dom0::bind(&nic, Driver::Stock);
    assert!(is_lent(), "guests wait for dom0");
    let native = disk.clone();
    let other = spawn(move || {
        assert!(dom0::bind(&native, Driver::Native));
        dom0::unbind(&native);
    });
    dom0::unbind(&nic);
    dom0::bind(&nic, Driver::Stock);
    join(other);
    assert!(is_lent(), "guests wait for dom0");
    dom0::unbind(&nic);
    module.has_given_back(&nic);
}

/// A line that a guest has alone is given back when that has ended, also if another driver changes.
fn line_owed_while_guest_ends() {
    let module = Module::load();
    let nic = dom0::plug(NIC);
    dom0::bind(&nic, Driver::Stock);
    world::all(|world| world.is_exclusive = true);
    let leaving = nic.clone();
    let other = spawn(move || dom0::unbind(&leaving));
    world::all(|world| world.is_exclusive = false);
    module.releases.changed(Releases::PATH);
    join(other);
    module.waiting.drain();
    module.has_given_back(&nic);
}

/// The end of another guest is told while the one that has a line alone is dying.
fn line_owed_while_guest_dies() {
    let module = Module::load();
    let nic = dom0::plug(NIC);
    dom0::bind(&nic, Driver::Stock);
    world::all(|world| world.is_exclusive = true);
    dom0::unbind(&nic);
    module.waiting.drain();
    world::all(|world| {
        world.is_exclusive = false;
        world.failures = 3;
    });
    module.releases.changed(Releases::PATH);
    module.waiting.drain();
    module.has_given_back(&nic);
}

/// A function is taken from a guest that has its line alone, and lives on.
fn line_owed_while_detached() {
    let module = Module::load();
    let nic = dom0::plug(NIC);
    dom0::bind(&nic, Driver::Stock);
    module.assign(&[NIC]);
    world::all(|world| world.is_exclusive = true);
    dom0::unbind(&nic);
    // In vain. Later, Xen unbinds the line before the toolstack removes the function.
    module.waiting.drain();
    world::all(|world| world.is_exclusive = false);
    module.watcher.changed(c"backend/pci/1/0/num_devs");
    module.queue.drain();
    module.waiting.drain();
    module.has_given_back(&nic);
}

/// There is no memory for a moment. No guest is there that might end.
fn line_owed_for_memory() {
    let module = Module::load();
    let (nic, disk) = (dom0::plug(NIC), dom0::plug(DISK));
    dom0::bind(&nic, Driver::Stock);
    world::all(|world| world.failures = 2);
    let other = spawn(move || dom0::unplug(&disk));
    dom0::unbind(&nic);
    join(other);
    module.waiting.drain();
    module.has_given_back(&nic);
}

/// XenStore changes while it is read.
fn told_while_read() {
    let module = Module::load();
    for devfn in [NIC, DISK] {
        dom0::plug(devfn);
    }
    let changes: [Option<&[u8]>; 3] = [Some(&[NIC, DISK]), Some(&[DISK]), None];
    for change in changes {
        world::all(|world| match change {
            Some(list) => {
                let list = list.iter().map(|devfn| sbdf(*devfn)).collect();
                world.store.insert(1, list);
            }
            None => {
                world.store.remove(&1);
            }
        });
        let path = match change {
            Some(_) => c"backend/pci/1/0/num_devs",
            None => c"backend/pci/1",
        };
        module.watcher.changed(path);
    }
    module.queue.drain();
    for devfn in [NIC, DISK] {
        let domain = module.functions.info(sbdf(devfn)).map(|(_, domain)| domain);
        assert_eq!(domain, Ok(None), "a change is missed");
    }
}

/// XenStore cannot be read for a moment: a guest keeps its function until it is read again.
fn told_while_unreadable() {
    let module = Module::load();
    dom0::plug(NIC);
    module.assign(&[NIC]);
    let owner = || module.functions.info(sbdf(NIC)).map(|(_, domain)| domain);
    world::all(|world| world.failed_reads = 1);
    module.watcher.changed(c"backend/pci/1");
    module.queue.drain();
    assert_eq!(
        owner(),
        Ok(Some(1)),
        "what cannot be read counts as returned"
    );
    module.watcher.changed(c"backend/pci/2/0/num_devs");
    module.queue.drain();
    assert_eq!(owner(), Ok(None), "it is not read again");
}

/// The module is unloaded while a function is unplugged.
fn unloaded_while_unplugged() {
    let module = Module::load();
    let disk: ARef<Device> = dom0::plug(DISK);
    assert!(dom0::bind(&disk, Driver::Stock));
    dom0::unbind(&disk);
    module.has_given_back(&disk);
    let other = spawn(move || dom0::unplug(&disk));
    drop(module);
    join(other);
}
