// SPDX-License-Identifier: GPL-2.0

//! `xen-pcidev`: makes PCI passthrough work on a PVH dom0 beside any driver named `pciback`.
//!
//! * [`seize`]: a function. Resets it in place of the stock driver, and holds its MSI-X table while
//!   xen-pciback has it.
//! * [`lines`]: the GSIs of functions, which are unmasked, and lent to guests. [`owed`] asks Xen
//!   for those that it did not give back.
//! * [`graphics`]: what guests get of an Intel GPU.
//! * [`functions`]: all functions. [`info`] has the properties of each, [`assignments`] the guest
//!   that it is assigned to, and [`index`] the GSI answers for toolstacks.
//! * [`privcmd`], [`ioctl`], [`files`]: the interfaces to user space. [`request`] decodes and
//!   answers the ioctls.
//! * [`events`], [`backend`]: observers of the PCI bus, of modules, and of XenStore.

mod assignments;
mod backend;
mod events;
mod files;
mod functions;
mod graphics;
mod index;
mod info;
mod ioctl;
mod lines;
mod owed;
mod privcmd;
mod request;
mod seize;
mod trace;
#[path = "../uapi/pcidev.rs"]
pub mod uapi;

use kernel::{
    prelude::*,
    sync::Arc, //
};

use xen::{
    gsi::lookup,
    linux::{
        miscdevice,
        module,
        workqueue::Queue, //
    },
    pci::bus,
    xenbus::watch, //
};

use crate::{
    events::Follower,
    functions::Functions,
    lines::Lines,
    owed::Owed, //
};

module! {
    type: PciDev,
    name: "xen_pcidev",
    authors: ["Xen PVH passthrough developers"],
    description: "PCI passthrough services for a Xen PVH dom0",
    license: "GPL",
}

xen::bool_param!(
    /// Whether to unmask the GSI of a function before xen-pciback is bound to it.
    UNMASK: c"unmask" = true,
    "Unmask the GSI of a function before xen-pciback takes it (default: Y)"
);

xen::bool_param!(
    /// Whether to unbind the GSI of functions from dom0 while only guests use it.
    LEND: c"lend" = true,
    "Lend a GSI to guests while dom0 does not use it (default: Y)"
);

xen::bool_param!(
    /// Whether to reset functions in place of the stock driver.
    RESET: c"reset" = true,
    "Reset a function in place of xen-pciback's probe and remove (default: Y)"
);

xen::bool_param!(
    /// Whether to hold the MSI-X tables of functions that xen-pciback has.
    HOLD: c"hold" = true,
    "Hold the MSI-X table of a function that xen-pciback has (default: Y)"
);

xen::bool_param!(
    /// Whether to guard what guests get of an Intel GPU that xen-pciback has.
    GUARD: c"guard" = true,
    "Guard what guests get of an Intel GPU that xen-pciback has (default: Y)"
);

xen::bool_param!(
    /// Whether to show an Intel GPU that is no VGA controller as one, which QEMU expects.
    PRIMARY: c"primary" = true,
    "Show an Intel GPU at 0000:00:02.0 to QEMU as a VGA controller (default: Y)"
);

xen::bool_param!(
    /// Whether guests get a copy of the extended VBT of an Intel GPU.
    VBT: c"vbt" = true,
    "Give guests a copy of the extended VBT of an Intel GPU (default: Y)"
);

xen::fault_param!();

/// The name of the driver that assigns functions to guests, stock or Rust.
const PCIBACK: &CStr = c"pciback";
/// The name of its module.
const PCIBACK_MODULE: &CStr = c"xen_pciback";

/// The module. Its fields are dropped in order: first all registrations, so that no callback runs
/// any more, then the queue, which finishes its work.
#[pin_data]
struct PciDev {
    #[pin]
    device: miscdevice::Registration<ioctl::Device>,
    #[pin]
    backends: watch::Watch<backend::Watcher>,
    #[pin]
    releases: watch::Watch<owed::Releases>,
    #[pin]
    modules: module::Registration<events::Modules>,
    _privcmd: Arc<lookup::Registration<privcmd::Lookup>>,
    #[pin]
    bus: bus::Registration<events::Bus>,
    _queue: Arc<Queue>,
}

impl kernel::InPlaceModule for PciDev {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            xen::require_pvh_dom0!()?;
            let functions = Functions::new()?;
            let lines = Lines::new()?;
            let waiting = Arc::new(Queue::ordered(c"xen-pcidev-lines")?, GFP_KERNEL)?;
            let owed = Arc::new(Owed::new(lines.clone(), waiting)?, GFP_KERNEL)?;
            let follower = Follower::new(functions.clone(), lines, owed.clone())?;
            let queue = Arc::new(Queue::ordered(c"xen-pcidev")?, GFP_KERNEL)?;
            let privcmd = Arc::pin_init(
                lookup::Registration::new(privcmd::Lookup(functions.clone())),
                GFP_KERNEL,
            )?;
            let reader = backend::Reader::new(functions.clone(), owed.clone())?;
            Ok(try_pin_init!(Self {
                _queue: queue.clone(),
                bus <- bus::Registration::new(events::Bus(follower.clone())),
                _privcmd: privcmd.clone(),
                modules <- module::Registration::new(events::Modules {
                    follower: follower.clone(),
                    privcmd,
                    queue: queue.clone(),
                }),
                _: {
                    follower.adopt();
                },
                releases <- watch::Watch::new(owed::Releases(owed)),
                backends <- watch::Watch::new(backend::Watcher { reader, queue }),
                device <- miscdevice::Registration::new(ioctl::Device(functions)),
            }? Error))
        })
    }
}
