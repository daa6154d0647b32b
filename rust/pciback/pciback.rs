// SPDX-License-Identifier: GPL-2.0

//! `xen-pciback`: hands PCI functions of a PVH dom0 to guests, and takes them back.
//!
//! * [`driver`], [`hide`]: which functions it takes, and what the PCI core tells it of them.
//! * [`device`], [`life`], [`reset`]: a function, from its seizure to its return.
//! * [`backend`], [`topology`]: what toolstacks say in XenStore.
//! * [`files`], [`slots`], [`quirks`]: what user space reads and writes.
//! * [`unplug`]: functions that go away under a guest.
//! * [`state`]: what ties them together.

mod backend;
mod device;
mod driver;
mod files;
mod hide;
mod life;
mod quirks;
mod reset;
mod slots;
mod state;
mod topology;
mod unplug;

use kernel::prelude::*;
use xen::{
    bus,
    domain,
    pci,
    xenbus,
    xenstore, //
};

module! {
    type: PciBack,
    name: "xen_pciback",
    authors: ["Xen PVH passthrough developers"],
    description: "Hands PCI functions of a Xen PVH dom0 to guests",
    license: "GPL",
    alias: ["xen-backend:pci"],
}

xen::load_after!(b"xen-pcidev");

xen::text_param!(
    /// Which functions to take when the module is loaded.
    HIDE: c"hide",
    "Functions to take when the module is loaded, such as (0000:03:00.0)(04:00.*)"
);

xen::bool_param!(
    /// Whether PV guests may write all of configuration space.
    writable PERMISSIVE: c"permissive" = false,
    "Let PV guests write all of configuration space (default: N)"
);

xen::bool_param!(
    /// Whether frontends see the addresses of the host.
    PASSTHROUGH: c"passthrough" = false,
    "Show PV guests the addresses of the host (default: N)"
);

xen::bool_param!(
    /// Whether Xen is told of resets.
    writable TELL: c"tell" = true,
    "Tell Xen of resets; N is for tests, and breaks functions (default: Y)"
);

xen::fault_param!();

/// The module. The fields are dropped in order: nothing new is begun first, the state goes last.
#[pin_data]
struct PciBack {
    hidden: hide::Hidden,
    #[pin]
    changes: xenstore::Watch<backend::Changes>,
    #[pin]
    backends: xenbus::Registration<backend::Backends>,
    #[pin]
    unplug: bus::Registration<unplug::Unplug>,
    #[pin]
    driver: xen::driver::Registration<driver::PciBack>,
    state: state::Published,
}

impl kernel::InPlaceModule for PciBack {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            state: {
                refuse_unless_pvh_dom0()?;
                refuse_second()?;
                hide::check()?;
                state::publish()?
            },
            driver <- xen::driver::Registration::new(&files::FILES, &files::OF_DEVICE),
            unplug <- bus::Registration::new(),
            backends <- xenbus::Registration::new(),
            changes <- xenstore::Watch::new(),
            // Nothing may fail after this.
            hidden: hide::start()?,
        }? Error)
    }
}

/// Two drivers cannot have one name. The kernel says so, too, but not what to do.
fn refuse_second() -> Result {
    if pci::has_driver(driver::NAME) {
        pr_err!("there is a driver pciback, of another module: unload that first\n");
        return Err(EBUSY);
    }
    Ok(())
}

fn refuse_unless_pvh_dom0() -> Result {
    domain::require_pvh_dom0().map_err(|elsewhere| {
        pr_err!("needs a PVH dom0 (Xen option dom0=pvh); this is {elsewhere}\n");
        ENODEV
    })
}
