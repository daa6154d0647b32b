// SPDX-License-Identifier: GPL-2.0

//! Where a function's pin is routed.

pub use crate::route::{NoRoute, Polarity, Route, Trigger};

use core::ffi::CStr;

use kernel::{
    error::{Result, EBUSY, ENOMEM},
    pci::Device,
};

use crate::world;

impl Route {
    /// Slots share a line in pairs.
    pub fn of(dev: &Device) -> Result<Self, NoRoute> {
        Ok(Self {
            gsi: 16 + u32::from(dev.devfn >> 4),
            trigger: Trigger::Level,
            polarity: Polarity::Low,
        })
    }

    pub fn map(&self) -> Result<Mapping> {
        world::all(|world| *world.lines.entry(self.gsi).or_default() += 1);
        Ok(Mapping(self.gsi))
    }
}

/// A line that has an irq.
pub struct Mapping(u32);

impl Mapping {
    pub fn gsi(&self) -> u32 {
        self.0
    }

    pub fn irq(&self) -> u32 {
        self.0
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        world::all(|world| *world.lines.entry(self.0).or_default() -= 1);
    }
}

/// A line of which dom0 gets no interrupts.
pub struct Lent(Mapping);

impl Lent {
    pub fn new(line: Mapping, _name: &'static CStr) -> Result<Self> {
        let is_new = world::all(|world| world.lent.insert(line.gsi()));
        assert!(is_new || checker::without("give-back"), "lent twice");
        Ok(Self(line))
    }

    pub fn give_back(&mut self) -> Result {
        if world::all(|world| world.is_exclusive) {
            return Err(EBUSY);
        }
        let fails = world::all(|world| {
            let failures = world.failures;
            world.failures = failures.saturating_sub(1);
            failures > 0
        });
        if fails {
            return Err(ENOMEM);
        }
        if !checker::without("give-back") {
            world::all(|world| world.lent.remove(&self.0.gsi()));
        }
        Ok(())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let _ = self.give_back();
    }
}

pub mod irq {
    //! Requests of lines.

    use core::ffi::CStr;
    use kernel::error::Result;

    pub struct Registration;

    pub fn unmask(_irq: u32, _name: &'static CStr) -> Result<Option<Registration>> {
        Ok(Some(Registration))
    }
}

pub mod lookup {
    //! The kernel's one place for a look-up.

    use kernel::error::Result;

    use crate::pci::Sbdf;

    pub trait GsiLookup: Send + Sync + 'static {
        fn gsi(&self, sbdf: Sbdf) -> Result<u32>;
    }

    pub struct Registration<T>(T);

    impl<T: GsiLookup> Registration<T> {
        pub fn new(lookup: T) -> Result<Self> {
            Ok(Self(lookup))
        }

        pub fn renew(&self) {}

        /// As the kernel asks: with a lock held.
        pub fn ask(&self, sbdf: Sbdf) -> Result<u32> {
            kernel::context::atomic(|| self.0.gsi(sbdf))
        }
    }
}
