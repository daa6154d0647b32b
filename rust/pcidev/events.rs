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
        DeviceExt,
        Locked, //
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
    fn added(dev: &Device) {
        follow(dev, |state, sbdf| state.add(dev, sbdf));
    }

    fn removing(dev: &Device) {
        follow(dev, |state, sbdf| {
            state.remove(sbdf);
            Ok(())
        });
    }

    fn driver(dev: &Locked, event: Event) {
        let pciback = dev.driver_name() == Some(PCIBACK);
        follow(dev, |state, sbdf| match event {
            Event::Binding if pciback => {
                // Something may have failed when it was added.
                state.add(dev, sbdf)?;
                state.before_seizure(dev, sbdf)
            }
            // A hold that had to stay may go by now.
            Event::Binding => state.let_go(dev, sbdf).map(|_| ()),
            Event::Bound if pciback => state.seized(dev, sbdf),
            Event::Bound => {
                state.driven(dev, sbdf);
                Ok(())
            }
            Event::Unbinding if pciback => state.before_release(dev, sbdf),
            Event::Unbinding => Ok(()),
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
    adopt_drivers();
}

/// Takes up what drivers have.
fn adopt_drivers() {
    for dev in pci::iter() {
        let dev = dev.lock();
        follow(&dev, |state, sbdf| match dev.driver_name() {
            Some(driver) if driver == PCIBACK => state.seized(&dev, sbdf),
            Some(_) => {
                state.driven(&dev, sbdf);
                Ok(())
            }
            None => Ok(()),
        });
    }
}

/// Hears of modules.
pub(crate) struct Modules;

impl module::Observer for Modules {
    fn changed(name: &CStr, event: module::Event) {
        if name != PCIBACK_MODULE {
            return;
        }
        let was_coming = state::with(|state| {
            let was_coming = state.pciback_is_coming();
            state.set_pciback_coming(event == module::Event::Coming);
            // It has taken, or cleared, the one place for a GSI look-up.
            state.privcmd.renew();
            Ok(was_coming)
        });
        if event == module::Event::Live && was_coming == Ok(true) {
            // Those that it seized while it was coming.
            adopt_drivers();
        }
    }
}
