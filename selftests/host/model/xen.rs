// SPDX-License-Identifier: GPL-2.0

//! Stands in for crate `xen`: the driver core, a function's configuration, XenStore and work
//! queues, as far as threads can meet there.

#[path = "../../../rust/xen/header.rs"]
#[allow(dead_code)]
pub mod header;
#[path = "../../../rust/xen/msix_table.rs"]
#[allow(dead_code)]
pub mod msix_table;
#[path = "../../../rust/xen/pci_backend.rs"]
pub mod pci_backend;
#[path = "../../../rust/xen/route.rs"]
pub mod route;
#[path = "../../../rust/xen/sbdf.rs"]
pub mod sbdf;
#[path = "../../../rust/xen/xenbus_state.rs"]
pub mod xenbus_state;

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

pub use sbdf::Sbdf;

pub mod bus;
pub mod claim;
pub mod config;
pub mod driver;
#[path = "functions.rs"]
pub mod pci;
pub mod workqueue;
pub mod xenbus;
pub mod xenstore;

pub mod global {
    //! State that everybody reaches; its own orders are tried in global.rs.

    use core::cell::RefCell;
    use std::sync::Arc;

    use kernel::error::Result;

    /// A place for the state of one order.
    pub struct Global<T: 'static>(RefCell<Option<Arc<T>>>);

    // SAFETY: loom runs all its threads on one of the machine's.
    unsafe impl<T> Sync for Global<T> {}

    impl<T> Global<T> {
        #[allow(clippy::new_without_default)]
        pub const fn new() -> Self {
            Self(RefCell::new(None))
        }

        pub fn publish(&'static self, value: Arc<T>) -> Result<Published<T>> {
            *self.0.borrow_mut() = Some(value);
            Ok(Published(self))
        }

        pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
            let value = self.0.borrow().clone();
            value.map(|value| f(&value))
        }
    }

    /// Keeps it published.
    pub struct Published<T: 'static>(&'static Global<T>);

    impl<T> Drop for Published<T> {
        fn drop(&mut self) {
            let value = self.0 .0.borrow_mut().take();
            // Others may be using it.
            while value
                .as_ref()
                .is_some_and(|value| Arc::strong_count(value) > 1)
            {
                checker::loom::thread::yield_now();
            }
        }
    }
}

pub mod domain {
    //! Guests.

    use kernel::error::Result;

    pub fn crash(_domain: u16) -> Result {
        Ok(())
    }
}

pub mod physdev {
    //! What Xen knows of functions.

    use kernel::error::Result;

    use crate::{pci::Locked, reset::Kind};

    pub fn has_function(_dev: &Locked) -> Result {
        Ok(())
    }

    pub fn was_reset(_dev: &Locked, _kind: Kind) -> Result {
        Ok(())
    }
}

pub mod pm {
    //! Keeping functions from falling asleep.

    use kernel::{pci::Device, sync::aref::ARef};

    pub struct Awake(Option<ARef<Device>>);

    impl Awake {
        pub fn new(dev: &Device) -> Self {
            let kept = !checker::without("awake");
            Self(kept.then(|| {
                dev.wake();
                dev.into()
            }))
        }
    }

    impl Drop for Awake {
        fn drop(&mut self) {
            if let Some(dev) = &self.0 {
                dev.rest();
            }
        }
    }
}

pub mod reset {
    //! How functions are reset.

    use core::fmt;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Kind {
        Warm,
        Hot,
        Flr,
    }

    /// The only method here.
    #[derive(Clone, Copy, Debug)]
    pub struct Method;

    impl Method {
        pub fn kind(self) -> Kind {
            Kind::Flr
        }

        pub fn is_by_bridge(self) -> bool {
            false
        }
    }

    impl fmt::Display for Method {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("flr")
        }
    }
}

pub mod uevent {
    //! What udev is told.

    use core::ffi::CStr;
    use kernel::error::Result;

    use crate::pci::Locked;

    pub fn changed(_dev: &Locked, _text: [&CStr; 2]) -> Result {
        Ok(())
    }
}
