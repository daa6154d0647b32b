// SPDX-License-Identifier: GPL-2.0

//! What crate `xen` adds to a function.

use core::{cell::RefCell, ffi::CStr, ops::Deref};

use checker::loom::sync::MutexGuard;
use kernel::{
    error::Result,
    pci::Device,
    sync::aref::{ARef, AlwaysRefCounted},
};

pub use crate::{header::Pin, msix_table::MsixTable};
use crate::{reset::Method, Sbdf};

/// A function whose lock is held.
pub struct Locked(ARef<Device>);

impl Locked {
    /// The caller holds the lock.
    pub fn new(dev: &Device) -> Self {
        Self(dev.reference())
    }

    pub fn driver_name(&self) -> Option<&CStr> {
        self.core(|core| core.driver)
    }

    pub fn clear_master(&self) {}

    pub fn intx_irq(&self) -> Option<u32> {
        Some(11)
    }

    /// What the PCI core does around a reset.
    pub fn reset(&self) -> Result {
        let driver = self.driver();
        if let Some(driver) = &driver {
            driver.reset_prepare(self);
        }
        let result = self.reset_stopped(&self.undisturbed());
        if let Some(driver) = &driver {
            driver.reset_done(self);
        }
        result
    }

    /// The reset alone.
    pub fn reset_stopped(&self, _: &Undisturbed) -> Result {
        self.save();
        self.registers(|registers| {
            registers.in_reset = true;
            registers.command = false;
            registers.bars = false;
            registers.dirt = 0;
        });
        self.registers(|registers| {
            registers.in_reset = false;
            registers.bars = true;
        });
        self.restore();
        Ok(())
    }

    pub fn undisturbed(&self) -> Undisturbed {
        Undisturbed
    }
}

/// As in the crate.
pub struct Undisturbed;

impl Deref for Locked {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.0
    }
}

/// Holds a function's lock.
pub struct DeviceLock<'a> {
    locked: Locked,
    _guard: Option<MutexGuard<'a, ()>>,
}

impl Deref for DeviceLock<'_> {
    type Target = Locked;

    fn deref(&self) -> &Locked {
        &self.locked
    }
}

/// As in the crate.
pub trait DeviceExt {
    fn sbdf(&self) -> Result<Sbdf>;
    fn is_plain(&self) -> bool;
    fn is_virtfn(&self) -> bool;
    fn reset_method(&self) -> Option<Method>;
    fn upstream(&self) -> Option<ARef<Device>>;
    fn lock(&self) -> DeviceLock<'_>;
    fn enable(&self) -> Result<Enabled>;
    fn pin(&self) -> Option<Pin>;
    fn msix_table(&self) -> Result<Option<MsixTable>>;
}

impl DeviceExt for Device {
    fn sbdf(&self) -> Result<Sbdf> {
        Ok(Sbdf::new(0, 0, self.devfn))
    }

    fn is_plain(&self) -> bool {
        true
    }

    fn is_virtfn(&self) -> bool {
        false
    }

    fn reset_method(&self) -> Option<Method> {
        Some(Method)
    }

    fn upstream(&self) -> Option<ARef<Device>> {
        None
    }

    fn lock(&self) -> DeviceLock<'_> {
        let guard = self.device_lock();
        DeviceLock {
            locked: Locked::new(self),
            _guard: guard,
        }
    }

    fn enable(&self) -> Result<Enabled> {
        self.registers(|registers| registers.command = true);
        Ok(Enabled)
    }

    fn pin(&self) -> Option<Pin> {
        Pin::decode(1)
    }

    fn msix_table(&self) -> Result<Option<MsixTable>> {
        Ok(None)
    }
}

/// A function that is enabled.
pub struct Enabled;

/// The mark of a function that a guest has.
pub struct Assigned(ARef<Device>);

impl Assigned {
    pub fn new(dev: &Device) -> Self {
        dev.registers(|registers| {
            assert!(
                !registers.in_reset && registers.bars,
                "handed over in the middle of a reset"
            );
        });
        dev.core(|core| core.assigned += 1);
        Self(dev.into())
    }
}

impl Drop for Assigned {
    fn drop(&mut self) {
        self.0.core(|core| core.assigned -= 1);
    }
}

thread_local! {
    static PLUGGED: RefCell<Vec<ARef<Device>>> = const { RefCell::new(Vec::new()) };
}

/// The functions that there are in this order.
pub fn plugged(functions: &[&ARef<Device>]) {
    PLUGGED.set(
        functions
            .iter()
            .map(|function| (*function).clone())
            .collect(),
    );
}

/// All of them.
pub fn iter() -> impl Iterator<Item = ARef<Device>> {
    PLUGGED.with_borrow(Vec::clone).into_iter()
}

/// One of them.
pub fn find(sbdf: Sbdf) -> Option<ARef<Device>> {
    iter().find(|dev| dev.sbdf() == Ok(sbdf))
}
