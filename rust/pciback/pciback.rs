// SPDX-License-Identifier: GPL-2.0

//! `xen-pciback`: hands PCI functions of a PVH dom0 to guests, and takes them back.
//!
//! * [`driver`], [`hide`], [`slots`]: which functions it seizes, and the events of the PCI core.
//! * [`functions`], [`registry`], [`function`], [`life`], [`reset`]: the functions, from seizure to
//!   return.
//! * [`assignment`]: the fact that a guest has a function.
//! * [`backends`], [`backend`], [`guest`], [`answers`], [`topology`], [`frontend`]: XenStore.
//! * [`context`], [`files`], [`quirks`]: sysfs.
//! * [`unplug`]: functions that are unplugged while a guest has them.

mod answers;
mod assignment;
mod backend;
mod backends;
mod context;
mod driver;
mod files;
mod frontend;
mod function;
mod functions;
mod guest;
mod hide;
mod life;
mod quirks;
mod registry;
mod reset;
mod slots;
mod topology;
mod unplug;

use kernel::prelude::*;
use xen::{
    hypercall::domain,
    pci::{
        self,
        bus, //
    },
    xenbus::{
        self,
        watch::Watch, //
    }, //
};

use crate::{
    backend::Backends,
    backends::{
        BackendDriver,
        Changes, //
    },
    context::PciBack,
    functions::Functions,
    unplug::Unplug, //
};

/// The driver's name, which toolstacks know.
const NAME: &CStr = c"pciback";

module! {
    type: Module,
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

/// The module. The order of the fields is that of their release: nothing new begins first, then the
/// driver gives its functions up, and the shared state goes last.
#[pin_data]
struct Module {
    hidden: hide::Hidden,
    #[pin]
    changes: Watch<Changes>,
    #[pin]
    backend_driver: xenbus::Registration<BackendDriver>,
    backends: backends::Loaded,
    #[pin]
    unplug: bus::Registration<Unplug>,
    #[pin]
    driver: pci::driver::Registration<PciBack>,
    functions: functions::Loaded,
}

impl kernel::InPlaceModule for Module {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            refuse_unless_pvh_dom0()?;
            refuse_second()?;
            hide::check()?;
            let all = Functions::new()?;
            let guests = Backends::new(all.clone())?;
            Ok(try_pin_init!(Self {
                functions: functions::Loaded::new(all.clone()),
                driver <- pci::driver::Registration::new(PciBack {
                    functions: all.clone(),
                    backends: guests.clone(),
                }),
                unplug <- bus::Registration::new(Unplug(all.clone())),
                backends: backends::Loaded::new(guests.clone()),
                backend_driver <- xenbus::Registration::new(BackendDriver(guests.clone())),
                changes <- Watch::new(Changes(guests.clone())),
                // Nothing may fail after this.
                hidden: hide::start(&all)?,
            }? Error))
        })
    }
}

/// Two drivers cannot have one name. The kernel says so, too, but not what to do.
fn refuse_second() -> Result {
    if pci::has_driver(NAME) {
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
