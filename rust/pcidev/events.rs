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
    module, //
};

use crate::{
    state::{
        self,
        State, //
    },
    table::Holder,
    PCIBACK,
    PCIBACK_MODULE, //
};

/// Hears of PCI functions.
pub(crate) struct Bus;

impl bus::Observer for Bus {
    fn event(dev: &Device, event: Event<'_>) {
        let result = state::with(|state| handle(state, dev, event));
        if let Err(e) = result {
            dev_warn!(dev, "xen-pcidev could not follow {:?}: {:?}\n", event, e);
        }
    }
}

fn handle(state: &State, dev: &Device, event: Event<'_>) -> Result {
    match event {
        Event::Added => state.add(dev),
        Event::Removing => state.remove(dev),
        Event::Binding(driver) if driver == PCIBACK => state.before_seizure(dev),
        Event::Bound(driver) if driver == PCIBACK => state.seized(dev),
        // A hold that had to stay may go by now.
        Event::Binding(_) => state.let_go(dev).map(|_| ()),
        Event::Bound(_) => state.set_holder(dev, Holder::Driver),
        Event::NotBound | Event::Unbound => state.released(dev),
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
