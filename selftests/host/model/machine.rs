// SPDX-License-Identifier: GPL-2.0

//! The module with one function, and guests that get it.

use core::cell::RefCell;
use std::sync::Arc;

use kernel::{
    context,
    pci::Device,
    sync::{aref::ARef, atomic::Relaxed},
};
use xen::pci::{self, driver, Sbdf};

use crate::{
    assignment::Assignment,
    backend::Backends,
    backends,
    context::PciBack,
    function::Function,
    functions::{self, Functions},
    life::{Domain, State},
};

const DEVFN: u8 = 4 << 3;
pub(crate) const SBDF: Sbdf = Sbdf::new(0, 0, DEVFN);

/// The module, loaded, with one function that it has.
pub(crate) struct Machine {
    pub(crate) device: ARef<Device>,
    pub(crate) driver: driver::Registration<PciBack>,
    pub(crate) backends: Arc<Backends>,
    pub(crate) functions: Arc<Functions>,
    loaded: (backends::Loaded, functions::Loaded),
}

impl Machine {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn seized() -> Self {
        let machine = Self::new();
        assert!(machine.driver.bind(&machine.device));
        machine
    }

    /// Waits for all work, and looks whether the function is as nobody's has to be, or the
    /// driver's. The module is unloaded then.
    pub(crate) fn ends_free(self) {
        let device = self.device.clone();
        self.ends_stopped();
        device.registers(|registers| assert!(registers.command, "not as it was found"));
    }

    /// The same for a function that was unbound in use: it is left stopped.
    pub(crate) fn ends_stopped(self) {
        self.backends.drain();
        self.functions.drain();
        assert_eq!(self.guest(), None, "it stays with a guest that is gone");
        if let Some(function) = self.function() {
            let is_denied = function.has_failed() || function.is_leaving.load(Relaxed);
            assert!(!is_denied, "the next guest is not served");
        }
        assert!(!self.device.core(|core| core.assigned));
        driver::unbind(&self.device);
        let device = self.device.clone();
        self.unload();
        device.registers(|registers| {
            assert_eq!(registers.dirt, 0, "what a guest left in it is still there");
            assert!(!registers.asleep, "dom0 gets it in its sleep");
            assert!(registers.bars, "its BARs are lost");
        });
    }

    pub(crate) fn unload(self) {
        self.driver.unregister();
        drop(self.loaded);
    }

    pub(crate) fn function(&self) -> Option<Arc<Function>> {
        self.functions.get(SBDF).ok()
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.function()
            .is_some_and(|function| function.state() == State::Clean)
    }

    pub(crate) fn guest(&self) -> Option<Domain> {
        self.function().and_then(|function| function.guest())
    }

    /// A guest that gets the function by itself, without XenStore.
    pub(crate) fn create(&self, domain: Domain) -> Guest {
        Guest {
            domain,
            functions: self.functions.clone(),
            assignment: RefCell::new(None),
        }
    }

    pub(crate) fn flr(&self) -> impl FnOnce() + 'static {
        let driver = self.driver.clone();
        move || {
            let _ = driver.driver().flr(SBDF);
        }
    }
}

/// A guest. Its end gives the function back.
pub(crate) struct Guest {
    domain: Domain,
    functions: Arc<Functions>,
    assignment: RefCell<Option<Assignment>>,
}

impl Guest {
    /// Whether it has it now.
    pub(crate) fn gets(&self) -> bool {
        let got = self.functions.get(SBDF).ok();
        let got = got.and_then(|function| function.export(self.domain).ok());
        let usable = got.as_ref().is_some_and(|got| got.usable().is_ok());
        if let Some(function) = self.functions.get(SBDF).ok().filter(|_| usable) {
            function.dev.core(|core| {
                assert!(!core.assigned_in_recovery, "handed over in a recovery");
            });
        }
        self.assignment.replace(got);
        usable
    }

    pub(crate) fn uses(&self, device: &Device) {
        device.use_by(self.domain);
    }

    /// What it left is still there.
    pub(crate) fn goes_on(&self, device: &Device) {
        device.registers(|registers| {
            assert_eq!(registers.dirt, self.domain, "reset under a guest");
        });
    }

    pub(crate) fn lives(&self, device: &Device) -> bool {
        let got = self.gets();
        if got {
            self.uses(device);
            self.goes_on(device);
        }
        got
    }
}
