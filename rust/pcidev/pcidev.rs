// SPDX-License-Identifier: GPL-2.0

//! `xen-pcidev`: makes PCI passthrough work on a PVH dom0 beside any driver named `pciback`.
//!
//! * [`seize`]: unmasks the GSI of a function before the driver takes it, resets it in the driver's
//!   place, and holds its MSI-X table while the driver has it.
//! * [`table`]: what is known of every function.
//! * [`privcmd`], [`ioctl`], [`files`]: the doors through which user space asks.
//! * [`request`]: what is said at the second of them.
//! * [`backend`]: which guest has which function.
//! * [`state`], [`events`]: what ties them together.

mod backend;
mod events;
mod files;
mod ioctl;
mod privcmd;
mod request;
mod seize;
mod state;
mod table;
#[path = "../uapi/pcidev.rs"]
pub mod uapi;

use kernel::prelude::*;
use xen::{
    bus,
    domain,
    miscdevice,
    module,
    xenstore, //
};

module! {
    type: PciDev,
    name: "xen_pcidev",
    authors: ["Xen PVH passthrough developers"],
    description: "PCI passthrough services for a Xen PVH dom0",
    license: "GPL",
}

xen::bool_param!(
    /// Whether to unmask the GSIs of functions that are about to be seized.
    UNMASK: c"unmask" = true,
    "Unmask the GSI of a function before xen-pciback takes it (default: Y)"
);

xen::bool_param!(
    /// Whether to do the driver's resets in its place.
    RESET: c"reset" = true,
    "Reset a function in place of xen-pciback's probe and remove (default: Y)"
);

xen::bool_param!(
    /// Whether to hold the MSI-X tables of seized functions.
    HOLD: c"hold" = true,
    "Hold the MSI-X table of a function that xen-pciback has (default: Y)"
);

xen::fault_param!();

/// The driver that hands functions to guests, stock or ours.
const PCIBACK: &CStr = c"pciback";
/// Its module.
const PCIBACK_MODULE: &CStr = c"xen_pciback";

/// The module. The fields are dropped in order: the doors are shut first, the state goes last.
#[pin_data]
struct PciDev {
    #[pin]
    device: miscdevice::Registration<ioctl::Device>,
    #[pin]
    backends: xenstore::Watch<backend::Backends>,
    #[pin]
    modules: module::Registration<events::Modules>,
    #[pin]
    bus: bus::Registration<events::Bus>,
    state: state::Published,
}

impl kernel::InPlaceModule for PciDev {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            state: {
                refuse_unless_pvh_dom0()?;
                state::publish()?
            },
            bus <- bus::Registration::new(),
            modules <- module::Registration::new(),
            _: {
                events::adopt();
            },
            backends <- xenstore::Watch::new(),
            // Nothing may fail after this.
            device <- miscdevice::Registration::new(),
        }? Error)
    }
}

fn refuse_unless_pvh_dom0() -> Result {
    domain::require_pvh_dom0().map_err(|elsewhere| {
        pr_err!("needs a PVH dom0 (Xen option dom0=pvh); this is {elsewhere}\n");
        ENODEV
    })
}
