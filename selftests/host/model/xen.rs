// SPDX-License-Identifier: GPL-2.0

//! Stands in for crate `xen`: the driver core, a function's configuration, XenStore and work
//! queues, as far as threads can meet there.

#[path = "../../../rust/xen/pci/header.rs"]
#[allow(dead_code)]
mod header;
#[path = "../../../rust/xen/pci/msix.rs"]
#[allow(dead_code)]
mod msix;
#[path = "../../../rust/xen/xenbus/pci_backend.rs"]
pub mod pci_backend;
#[path = "../../../rust/xen/gsi/route.rs"]
#[allow(dead_code)]
mod route;
#[path = "../../../rust/xen/pci/sbdf.rs"]
mod sbdf;
#[path = "../../../rust/xen/xenbus/state.rs"]
mod state;

mod backends;
pub mod bus;
mod bus_lock;
mod claim;
mod config;
pub mod driver;
mod frontends;
mod functions;
mod locked;
mod power;
pub mod reset;
pub mod store;
pub mod workqueue;

pub mod gsi {
    //! Where a function's pin is routed.

    pub use crate::route::{NoRoute, Polarity, Route, Trigger};

    impl Route {
        /// Slots share a line in pairs.
        pub fn of(dev: &kernel::pci::Device) -> Result<Self, NoRoute> {
            Ok(Self {
                gsi: 16 + u32::from(dev.devfn >> 4),
                trigger: Trigger::Level,
                polarity: Polarity::Low,
            })
        }
    }
}

pub mod pci {
    //! PCI functions.

    pub use crate::{
        bus,
        bus_lock::{can_reset_bus_of, on_bus_of, BusLock},
        claim::Claim,
        config::{Command, ConfigSpace, Saved},
        driver,
        functions::{
            find, iter, plugged, plugged_for_good, DeviceExt, Enabled, InTree, TopologyLock,
            Undisturbed,
        },
        header::Pin,
        locked::{DeviceLock, Locked},
        msix::MsixTable,
        power::Awake,
        reset,
        sbdf::{hex, Sbdf},
    };

    pub mod uevent {
        //! What udev is told.

        use core::ffi::CStr;
        use kernel::error::Result;

        use crate::pci::Locked;

        pub fn changed(_dev: &Locked, _text: [&CStr; 2]) -> Result {
            Ok(())
        }
    }

    pub mod driver_files {
        //! The files are left out.

        use core::marker::PhantomData;

        pub struct DriverFile<T>(PhantomData<fn(T)>);
    }
}

pub mod xenbus {
    //! XenStore.

    pub use crate::{
        backends::{Device, Driver, Probed},
        frontends::{
            end, error, is_connected, request, send_event, spurious_events, EventChannel, Handler,
            SharedPage, PV_GUEST,
        },
        pci_backend,
        state::State,
        store,
    };

    pub mod watch {
        //! Hearing of changes.

        use core::ffi::CStr;

        pub trait Observer: 'static {
            const PATH: &'static CStr;

            fn changed(&self, path: &CStr);
        }
    }
}

pub mod linux {
    //! Kernel services.

    pub use crate::workqueue;

    pub mod module {
        //! This module.

        use kernel::error::Result;

        /// Keeps it loaded.
        pub struct Pinned;

        impl Pinned {
            pub fn new() -> Result<Self> {
                Ok(Self)
            }
        }
    }

    pub mod sysfs {
        //! Files.

        use core::marker::PhantomData;

        pub struct Directory<T>(PhantomData<fn(T)>);

        impl<T> Directory<T> {
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(PhantomData)
            }
        }
    }
}

pub mod hypercall {
    //! What Xen is asked to do.

    pub mod domain {
        //! Guests.

        use core::cell::RefCell;

        use checker::{loom::sync::Mutex, InOrder};
        use kernel::error::{Result, EACCES};

        thread_local! {
            static STOPPED: InOrder<Mutex<Vec<u16>>> = const { InOrder::new() };
            static TOOLSTACK: InOrder<RefCell<Toolstack>> = const { InOrder::new() };
            static UNKNOWN: InOrder<RefCell<Vec<u16>>> = const { InOrder::new() };
            static ENDED: InOrder<RefCell<Vec<u16>>> = const { InOrder::new() };
        }

        type Toolstack = Option<Box<dyn Fn(u16)>>;

        /// What a toolstack does when a domain is stopped. It is to be `None` in the end.
        pub fn set_toolstack(toolstack: Toolstack) {
            TOOLSTACK.with(InOrder::get).replace(toolstack);
        }

        /// The domains that were stopped.
        pub fn stopped() -> Vec<u16> {
            let stopped = STOPPED.with(InOrder::get);
            let stopped = stopped.lock().expect("nobody panics");
            stopped.clone()
        }

        /// Xen does not tell what they are.
        pub fn forget_kinds_of(domains: impl Into<Vec<u16>>) {
            UNKNOWN.with(InOrder::get).replace(domains.into());
        }

        /// Not where all others wait.
        pub fn is_pv_guest(domain: u16) -> Result<bool> {
            kernel::context::might_sleep();
            if UNKNOWN.with(InOrder::get).borrow().contains(&domain) {
                return Err(EACCES);
            }
            Ok(domain == crate::frontends::PV_GUEST)
        }

        /// These have ended.
        pub fn end(domains: impl Into<Vec<u16>>) {
            ENDED.with(InOrder::get).replace(domains.into());
        }

        pub fn has_ended(domain: u16) -> Result<bool> {
            Ok(ENDED.with(InOrder::get).borrow().contains(&domain))
        }

        pub fn crash(domain: u16) -> Result {
            let stopped = STOPPED.with(InOrder::get);
            stopped.lock().expect("nobody panics").push(domain);
            if let Some(toolstack) = &*TOOLSTACK.with(InOrder::get).borrow() {
                toolstack(domain);
            }
            Ok(())
        }
    }
}

pub mod vpci {
    //! What Xen knows of functions.

    pub mod guest {
        //! A guest's interrupts of a function.

        use kernel::{
            error::{Result, EINVAL, ENOSPC},
            pci::Device,
        };

        use crate::pci::{self, MsixTable};

        pub fn map_msi(_domain: u16, dev: &Device) -> Result<u16> {
            dev.registers(|registers| {
                if registers.unmappable {
                    return Err(ENOSPC);
                }
                registers.pirqs += 1;
                Ok(17)
            })
        }

        pub fn map_msix(domain: u16, dev: &Device, _: MsixTable, _entry: u16) -> Result<u16> {
            map_msi(domain, dev)
        }

        pub fn line(_domain: u16, _gsi: u32) -> Result<i32> {
            for dev in pci::iter() {
                let is_taken = dev.registers(|registers| registers.line_taken);
                assert!(!is_taken, "a line is wanted that the guest has lost");
            }
            Ok(16)
        }

        /// The only function that any scenario has with a PV guest.
        pub fn unmap(_domain: u16, _pirq: u16) -> Result {
            for dev in pci::iter() {
                dev.registers(|registers| {
                    if registers.unmappable {
                        return Err(ENOSPC);
                    }
                    registers.pirqs = registers.pirqs.checked_sub(1).ok_or(EINVAL)?;
                    Ok(())
                })?;
            }
            Ok(())
        }
    }

    use kernel::error::Result;

    use crate::{
        pci::{self, DeviceExt, InTree, Locked, Sbdf},
        reset::Kind,
    };

    #[derive(Clone, Copy)]
    pub struct Function(Sbdf);

    impl Function {
        pub fn of(dev: &InTree<'_>) -> Result<Self> {
            Ok(Self(dev.sbdf()?))
        }

        pub fn is_assigned(&self) -> bool {
            !checker::without("question-to-xen")
                && pci::find(self.0)
                    .is_some_and(|dev| dev.registers(|registers| registers.ask_xen()))
        }

        pub fn ask_assigned(&self) -> Result<bool> {
            Ok(self.is_assigned())
        }

        pub fn is_known(&self) -> Result {
            Ok(())
        }

        pub fn was_reset(&self, dev: &Locked, kind: Kind) -> Result {
            if let Some(by_bus) = dev.registers(|registers| registers.by_bus.take()) {
                assert_eq!(kind == Kind::Hot, by_bus, "Xen is told of another reset");
            }
            Ok(())
        }
    }
}
