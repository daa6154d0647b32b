// SPDX-License-Identifier: GPL-2.0

//! `xen-pciback`: assigns PCI functions of a PVH dom0 to guests.
//!
//! * [`driver`], [`context`], [`hide`], [`slots`], [`identity`]: the PCI driver, and the choice of
//!   functions that it seizes.
//! * [`functions`], [`registry`], [`function`], [`life`]: the functions.
//! * [`seize`], [`flr`], [`returned`]: a function is taken, reset for a toolstack, and looked after
//!   when it comes back.
//! * [`reset`], [`card`], [`restore`], [`sleep`]: resets of a function, and its sleep.
//! * [`assignment`]: the assignment of a function to a guest.
//! * [`backends`], [`follow`], [`backend`], [`guest`], [`answers`], [`topology`], [`frontend`]: the
//!   directories of guests in XenStore.
//! * [`serving`], [`served`], [`handshake`], [`connection`], [`operation`], [`interrupts`],
//!   [`space`], [`layout`], [`registers`]: what PV guests request.
//! * [`files`], [`quirks`]: the sysfs files.
//! * [`stop`], [`unplug`]: guests that lose a function by an error, or as it is unplugged.

mod answers;
mod assignment;
mod backend;
mod backends;
mod card;
mod connection;
mod context;
mod driver;
mod files;
mod flr;
mod follow;
mod frontend;
mod function;
mod functions;
mod guest;
mod handshake;
mod hide;
mod identity;
mod interrupts;
mod layout;
mod life;
mod operation;
mod quirks;
mod registers;
mod registry;
mod reset;
mod restore;
mod returned;
mod seize;
mod served;
mod serving;
mod sleep;
mod slots;
mod space;
mod stop;
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
        Changes,
        Ends, //
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
    /// The functions to seize when the module is loaded.
    HIDE: c"hide",
    "Functions to take when the module is loaded, such as (0000:03:00.0)(04:00.*)"
);

xen::text_param!(
    /// What functions to seize besides, wherever they are.
    IDS: c"ids",
    "Functions to take besides, such as 8086:10d3,10de:1eb8 (VENDOR:DEVICE[:SUBVENDOR[:SUBDEVICE[:CLASS[:MASK]]]])"
);

xen::bool_param!(
    /// Whether PV guests may write all of configuration space.
    writable PERMISSIVE: c"permissive" = false,
    "Let PV guests write all of configuration space (default: N)"
);

xen::bool_param!(
    /// Whether PV guests are served.
    writable PV: c"pv" = true,
    "Serve PV guests (default: Y)"
);

xen::bool_param!(
    /// Whether PV guests see the addresses that functions have on the host.
    PASSTHROUGH: c"passthrough" = false,
    "Show PV guests the addresses of the host (default: N)"
);

xen::bool_param!(
    /// Whether functions that are seized from now on sleep while nobody has them.
    writable IDLE_D3: c"idle_d3" = false,
    "Put functions into D3hot while nobody has them, see the file idle_d3 of each (default: N)"
);

xen::bool_param!(
    /// Whether to tell Xen of resets.
    writable TELL: c"tell" = true,
    "Tell Xen of resets; N is for tests, and breaks functions (default: Y)"
);

xen::fault_param!();

/// The module. Its fields are dropped in order: first the registrations whose callbacks begin new
/// work, then the driver, which gives its functions up, and the shared state last.
#[pin_data]
struct Module {
    hidden: hide::Hidden,
    #[pin]
    changes: Watch<Changes>,
    #[pin]
    ends: Watch<Ends>,
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
            xen::require_pvh_dom0!()?;
            refuse_second()?;
            hide::check()?;
            warn_if_unknown();
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
                ends <- Watch::new(Ends(guests.clone())),
                changes <- Watch::new(Changes(guests.clone())),
                // No fallible field may follow: an error would drop the seizures that were just
                // started.
                hidden: hide::start(&all)?,
            }? Error))
        })
    }
}

/// Fails with `EBUSY` if another driver has the name. The kernel refuses the second driver, too,
/// but logs no hint for the administrator.
fn refuse_second() -> Result {
    if pci::has_driver(NAME) {
        pr_err!("there is a driver pciback, of another module: unload that first\n");
        return Err(EBUSY);
    }
    Ok(())
}

/// Without Xen's word, a function can be reset that a guest has, if XenStore does not say so.
fn warn_if_unknown() {
    if let Err(e) = domain::can_ask() {
        pr_warn!(
            "cannot ask Xen which functions guests have ({:?}): update this module\n",
            e
        );
    }
}
