// SPDX-License-Identifier: GPL-2.0

//! xen-pciback in every order: its own sources, with two or three threads.
//!
//! Left out: the files of sysfs and the module itself; a scenario does what they would.

#![allow(dead_code)]

#[path = "../../../rust/pciback/answers.rs"]
mod answers;
#[path = "../../../rust/pciback/assignment.rs"]
mod assignment;
#[path = "../../../rust/pciback/backend.rs"]
mod backend;
#[path = "../../../rust/pciback/backends.rs"]
mod backends;
#[path = "../../../rust/pciback/card.rs"]
mod card;
#[path = "../../../rust/pciback/connection.rs"]
mod connection;
#[path = "../../../rust/pciback/context.rs"]
mod context;
#[path = "../../../rust/pciback/driver.rs"]
mod driver;
#[path = "../../../rust/pciback/flr.rs"]
mod flr;
#[path = "../../../rust/pciback/follow.rs"]
mod follow;
#[path = "../../../rust/pciback/frontend.rs"]
mod frontend;
#[path = "../../../rust/pciback/function.rs"]
mod function;
#[path = "../../../rust/pciback/functions.rs"]
mod functions;
#[path = "../../../rust/pciback/guest.rs"]
mod guest;
#[path = "../../../rust/pciback/handshake.rs"]
mod handshake;
#[path = "../../../rust/pciback/hide.rs"]
mod hide;
#[path = "../../../rust/pciback/identity.rs"]
mod identity;
#[path = "../../../rust/pciback/interrupts.rs"]
mod interrupts;
#[path = "../../../rust/pciback/layout.rs"]
mod layout;
#[path = "../../../rust/pciback/life.rs"]
mod life;
#[path = "../../../rust/pciback/operation.rs"]
mod operation;
#[path = "../../../rust/pciback/quirks.rs"]
mod quirks;
#[path = "../../../rust/pciback/registers.rs"]
mod registers;
#[path = "../../../rust/pciback/registry.rs"]
mod registry;
#[path = "../../../rust/pciback/reset.rs"]
mod reset;
#[path = "../../../rust/pciback/restore.rs"]
mod restore;
#[path = "../../../rust/pciback/returned.rs"]
mod returned;
#[path = "../../../rust/pciback/seize.rs"]
mod seize;
#[path = "../../../rust/pciback/served.rs"]
mod served;
#[path = "../../../rust/pciback/serving.rs"]
mod serving;
#[path = "../../../rust/pciback/sleep.rs"]
mod sleep;
#[path = "../../../rust/pciback/slots.rs"]
mod slots;
#[path = "../../../rust/pciback/space.rs"]
mod space;
#[path = "../../../rust/pciback/stop.rs"]
mod stop;
#[path = "../../../rust/pciback/topology.rs"]
mod topology;
#[path = "../../../rust/pciback/unplug.rs"]
mod unplug;

mod cards;
mod machine;
mod pv_guests;
mod scenarios;
mod sleepers;
mod toolstack;

mod files {
    //! The files of sysfs.

    use kernel::{error::Result, sync::Arc};
    use xen::{
        linux::sysfs::Directory,
        pci::{driver_files::DriverFile, InTree},
    };

    use crate::{context::PciBack, function::Function};

    pub(crate) const OF_DRIVER: &[DriverFile<PciBack>] = &[];
    pub(crate) struct OfFunction;

    pub(crate) fn add_directory(_: &InTree<'_>, _: Arc<Function>) -> Result<Directory<OfFunction>> {
        Ok(Directory::new())
    }
}

use core::{
    ffi::CStr,
    sync::atomic::{AtomicBool, Ordering},
};
use std::process::ExitCode;

/// As in the module.
const NAME: &CStr = c"pciback";

/// A parameter of the module.
struct Parameter<T>(T);

impl<T: Copy> Parameter<T> {
    fn get(&self) -> T {
        self.0
    }
}

/// A parameter that a scenario sets.
struct Switch(AtomicBool);

impl Switch {
    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

static PASSTHROUGH: Parameter<bool> = Parameter(false);
static PERMISSIVE: Parameter<bool> = Parameter(false);
static PV: Parameter<bool> = Parameter(true);
static TELL: Parameter<bool> = Parameter(true);
static IDLE_D3: Switch = Switch(AtomicBool::new(false));
static IDS: Parameter<Option<&'static CStr>> = Parameter(None);
static HIDE: Parameter<Option<&'static CStr>> = Parameter(Some(c"(0000:00:04.0)(0000:01:00.*)"));

fn main() -> ExitCode {
    checker::main(&[
        scenarios::ALL,
        toolstack::ALL,
        cards::ALL,
        sleepers::ALL,
        pv_guests::ALL,
    ])
}
