// SPDX-License-Identifier: GPL-2.0

//! xen-pcidev in every order: its state and its table, with functions that come, go and change
//! while they are asked for.

#![allow(dead_code)]

#[path = "../../../rust/pcidev/state.rs"]
mod state;
#[path = "../../../rust/pcidev/table.rs"]
mod table;
#[path = "../../../rust/uapi/pcidev.rs"]
pub mod uapi;

mod backend {
    //! What toolstacks write; scenarios tell the state themselves.

    use kernel::error::Result;

    pub(crate) struct Reader;

    impl Reader {
        pub(crate) fn new() -> Result<Self> {
            Ok(Self)
        }
    }
}

mod privcmd {
    //! The door of `/dev/xen/privcmd`; scenarios go in without it.

    pub(crate) struct Open;

    impl Open {
        pub(crate) fn new() -> Self {
            Self
        }
    }
}

mod seize {
    //! What has to be given back: nothing here but the place in the list.

    use kernel::{error::Result, pci::Device, prelude::*};
    use xen::Sbdf;

    pub(crate) struct Functions(KVec<Sbdf>);

    impl Functions {
        pub(crate) fn new() -> Self {
            Self(KVec::new())
        }

        pub(crate) fn has(&self, sbdf: Sbdf) -> bool {
            self.0.contains(&sbdf) && !checker::without("looking-first")
        }

        pub(crate) fn add(&mut self, _dev: &Device, sbdf: Sbdf) -> Result {
            self.0.push(sbdf, GFP_KERNEL)
        }

        pub(crate) fn remove(&mut self, sbdf: Sbdf) {
            self.0.retain(|other| *other != sbdf);
        }
    }
}

use std::process::ExitCode;

use checker::{
    loom::thread::{self, JoinHandle},
    Scenario,
};
use kernel::{
    context,
    error::{ENODEV, ENOENT},
    pci::Device,
    sync::aref::ARef,
};
use xen::{
    pci::{DeviceExt, Locked},
    Sbdf,
};

use state::Published;
use table::Holder;

const SCENARIOS: &[Scenario] = &[
    ("asked-while-plugged", asked_while_plugged),
    ("listed-while-plugged", listed_while_plugged),
    ("asked-while-detached", asked_while_detached),
    ("added-twice", added_twice),
];

const NIC: u8 = 4 << 3;
const DISK: u8 = 5 << 3;

fn main() -> ExitCode {
    checker::main(SCENARIOS)
}

fn sbdf(devfn: u8) -> Sbdf {
    Sbdf::new(0, 0, devfn)
}

/// The module, loaded, with one function that stays and one that comes and goes.
fn machine() -> (Published, ARef<Device>) {
    context::watch_allocations();
    let state = state::publish().expect("nothing fails");
    add(&Device::plug(NIC));
    (state, Device::plug(DISK))
}

fn add(dev: &Device) {
    state::with(|state| state.add(dev, dev.sbdf()?)).expect("nothing fails");
}

fn remove(dev: &Device) {
    state::with(|state| {
        state.remove(dev.sbdf()?);
        Ok(())
    })
    .expect("nothing fails");
}

fn ask(devfn: u8) -> kernel::error::Result<u32> {
    // As the kernel does: with a lock held.
    context::atomic(|| state::with(|state| state.gsi_for_toolstack(sbdf(devfn))))
}

fn spawn(f: impl FnOnce() + 'static) -> JoinHandle<()> {
    thread::spawn(f)
}

fn join(thread: JoinHandle<()>) {
    thread.join().expect("nobody panics");
}

/// Look-ups, where nothing may sleep, of a function that is plugged and unplugged.
fn asked_while_plugged() {
    let (_state, disk) = machine();
    let readers = [(), ()].map(|()| {
        spawn(|| {
            for _ in 0..2 {
                assert!([Ok(18), Err(ENODEV)].contains(&ask(DISK)));
                assert_eq!(ask(NIC), Ok(18));
            }
        })
    });
    add(&disk);
    assert_eq!(ask(DISK), Ok(18));
    remove(&disk);
    assert_eq!(ask(DISK), Err(ENODEV));
    add(&disk);
    readers.map(join);
}

/// Lists are whole, however many come while memory for them is got.
fn listed_while_plugged() {
    let (_state, disk) = machine();
    let reader = spawn(|| {
        let list = || state::with(|state| state.list(|_| true)).expect("there is memory");
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
    add(&disk);
    add(&Device::plug(6 << 3));
    remove(&disk);
    join(reader);
}

/// A function that leaves its guest takes their line along only if it is the last on it.
fn asked_while_detached() {
    let (_state, disk) = machine();
    add(&disk);
    let assign = |functions: &'static [u8]| {
        let owners: Vec<_> = functions.iter().map(|devfn| (sbdf(*devfn), 1)).collect();
        let _ = state::with(|state| {
            state.assign(&owners);
            Ok(())
        });
    };
    assign(&[NIC, DISK]);
    assert_eq!(ask(NIC), Err(ENOENT));
    let reader = spawn(|| {
        let answer = ask(NIC);
        assert!(answer == Ok(18) || answer == Err(ENOENT));
        let facts = context::atomic(|| state::with(|state| state.facts(sbdf(DISK))));
        assert!(facts.is_ok_and(|facts| [None, Some(1)].contains(&facts.domain)));
    });
    assign(&[DISK]);
    assign(&[]);
    join(reader);
    assert_eq!(ask(NIC), Ok(18));
}

/// The bus tells of a function while all functions are taken up: what is known already stays.
fn added_twice() {
    let (_state, disk) = machine();
    let again = disk.clone();
    let other = spawn(move || add(&again));
    add(&disk);
    state::with(|state| {
        state.driven(&Locked::new(&disk), sbdf(DISK));
        Ok(())
    })
    .expect("nothing fails");
    join(other);
    let facts = state::with(|state| state.facts(sbdf(DISK)));
    assert!(
        facts.is_ok_and(|facts| facts.holder == Holder::Driver && facts.irq == Some(11)),
        "forgotten who has it"
    );
}
