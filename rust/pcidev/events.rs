// SPDX-License-Identifier: GPL-2.0

//! What happens on the PCI bus and to modules.

use kernel::{
    pci::Device,
    prelude::*, //
};

use xen::{
    bus::{
        self,
        Event, //
    },
    module,
    pci::{
        self,
        DeviceExt, //
    },
    Sbdf, //
};

use crate::{
    state::{
        self,
        State, //
    },
    PCIBACK,
    PCIBACK_MODULE, //
};

/// Hears of PCI functions.
pub(crate) struct Bus;

impl bus::Observer for Bus {
    fn event(dev: &Device, event: Event<'_>) {
        follow(dev, |state, sbdf| match event {
            Event::Added => state.add(dev, sbdf),
            Event::Removing => {
                state.remove(sbdf);
                Ok(())
            }
            Event::Binding(driver) if driver == PCIBACK => state.before_seizure(dev, sbdf),
            // A hold that had to stay may go by now.
            Event::Binding(_) => state.let_go(dev, sbdf).map(|_| ()),
            Event::Bound { driver, .. } if driver == PCIBACK => state.seized(dev, sbdf),
            Event::Bound { irq, .. } => {
                state.driven(sbdf, irq);
                Ok(())
            }
            Event::NotBound | Event::Unbound => state.released(dev, sbdf),
        });
    }
}

/// Calls `f` for a function, and logs its failure.
fn follow(dev: &Device, f: impl FnOnce(&State, Sbdf) -> Result) {
    // Linux has not told Xen, and said so, of a function that Xen cannot name.
    let Ok(sbdf) = dev.sbdf() else { return };
    if let Err(e) = state::with(|state| f(state, sbdf)) {
        dev_err!(
            dev,
            "xen-pcidev cannot serve it ({:?}): unbind it and bind it again\n",
            e
        );
    }
}

/// Takes up the functions that were there before the module.
pub(crate) fn adopt() {
    {
        let _topology = pci::TopologyLock::new();
        for dev in pci::iter() {
            follow(&dev, |state, sbdf| state.add(&dev, sbdf));
        }
    }
    for dev in pci::iter() {
        let lock = dev.lock();
        follow(&dev, |state, sbdf| match lock.driver_name() {
            Some(driver) if driver == PCIBACK => state.adopt_seized(&dev, sbdf),
            Some(_) => {
                state.driven(sbdf, lock.intx_irq());
                Ok(())
            }
            None => Ok(()),
        });
    }
}

/// Hears of modules.
pub(crate) struct Modules;

impl module::Observer for Modules {
    fn changed(name: &CStr) {
        // It has taken, or cleared, the one place for a GSI look-up.
        if name == PCIBACK_MODULE {
            let _ = state::with(|state| {
                state.privcmd.renew();
                Ok(())
            });
        }
    }
}
