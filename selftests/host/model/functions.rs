// SPDX-License-Identifier: GPL-2.0

//! What crate `xen` adds to a function.

use core::{cell::RefCell, marker::PhantomData, ops::Deref};

use kernel::{error::Result, pci::Device, sync::aref::ARef};

use crate::pci::{reset::Method, Locked, Pin, Sbdf};

impl Locked {
    pub fn clear_master(&self) {}

    pub fn enable(&self) -> Result<Enabled> {
        self.registers(|registers| registers.command = true);
        Ok(Enabled)
    }

    pub fn mark_assigned(&self) {
        let is_ready =
            self.registers(|registers| !registers.in_reset && (registers.bars || registers.sick));
        self.registers(|registers| assert_eq!(registers.pirqs, 0, "the last guest has interrupts"));
        self.core(|core| {
            assert!(
                is_ready || core.recovering,
                "handed over in the middle of a reset"
            );
            core.assigned = true;
            core.assigned_in_recovery = core.recovering;
        });
    }

    pub fn clear_assigned(&self) {
        self.core(|core| core.assigned = false);
    }

    pub fn in_tree(&self) -> Option<InTree<'_>> {
        Some(InTree(self.0.clone(), PhantomData))
    }

    /// What the PCI core does around a reset.
    pub fn reset(&self) -> Result {
        let driver = self.driver();
        if let Some(driver) = &driver {
            driver.reset_prepare(self);
        }
        let result = self.reset_stopped(&self.undisturbed(), Method::Flr);
        if let Some(driver) = &driver {
            driver.reset_done(self);
        }
        result
    }

    /// The reset alone, by this method: the PCI core does not try its next one.
    pub fn reset_stopped(&self, _: &Undisturbed, method: Method) -> Result {
        let is_next = checker::without("only-method");
        self.begin_reset(is_next || method.is_by_bridge());
        self.end_reset();
        Ok(())
    }

    pub fn undisturbed(&self) -> Undisturbed {
        Undisturbed
    }
}

/// As in the crate.
pub struct Undisturbed;

/// As in the crate.
pub trait DeviceExt {
    fn sbdf(&self) -> Result<Sbdf>;
    fn is_plain(&self) -> bool;
    fn ids(&self) -> [u16; 4];
    fn pci_class(&self) -> Class;
    fn is_virtfn(&self) -> bool;
    fn has_virtfns(&self) -> bool;
    fn pin(&self) -> Option<Pin>;
    fn resource_is_fixed(&self, bar: u32) -> bool;
    fn resource_len(&self, bar: u32) -> Result<u64>;
    fn resource_start(&self, bar: u32) -> Result<u64>;
    fn bar_flags(&self, bar: u32) -> u8;
}

impl DeviceExt for Device {
    fn sbdf(&self) -> Result<Sbdf> {
        Ok(Sbdf::new(0, self.bus, self.devfn))
    }

    fn is_plain(&self) -> bool {
        true
    }

    fn ids(&self) -> [u16; 4] {
        [0x8086, 0x10d3, 0, 0]
    }

    fn pci_class(&self) -> Class {
        Class
    }

    fn is_virtfn(&self) -> bool {
        false
    }

    fn has_virtfns(&self) -> bool {
        false
    }

    fn pin(&self) -> Option<Pin> {
        Pin::decode(1)
    }

    fn resource_is_fixed(&self, _bar: u32) -> bool {
        false
    }

    fn resource_len(&self, _bar: u32) -> Result<u64> {
        Ok(0x1000)
    }

    fn resource_start(&self, _bar: u32) -> Result<u64> {
        Ok(0)
    }

    fn bar_flags(&self, _bar: u32) -> u8 {
        0
    }
}

/// That of a NIC.
pub struct Class;

impl Class {
    pub fn as_raw(&self) -> u32 {
        0x02_0000
    }
}

/// A function that is enabled.
pub struct Enabled;

impl Enabled {
    pub fn disable(self, _dev: &Locked) {}
}

/// A function that is not removed.
pub struct InTree<'a>(ARef<Device>, PhantomData<&'a ()>);

impl InTree<'_> {
    pub fn upstream(&self) -> Option<Self> {
        None
    }
}

impl Deref for InTree<'_> {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.0
    }
}

/// Keeps functions from being removed; no scenario does both.
pub struct TopologyLock;

impl TopologyLock {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self
    }

    pub fn iter(&self) -> impl Iterator<Item = InTree<'_>> {
        iter().map(|dev| InTree(dev, PhantomData))
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

/// All of them, for as long as the scenario runs.
pub fn plugged_for_good() -> Vec<&'static Device> {
    iter()
        // SAFETY: `PLUGGED` keeps them until the next scenario begins.
        .map(|dev| unsafe { &*core::ptr::from_ref(&*dev) })
        .collect()
}

/// All of them.
pub fn iter() -> impl Iterator<Item = ARef<Device>> {
    PLUGGED.with_borrow(Vec::clone).into_iter()
}

/// One of them.
pub fn find(sbdf: Sbdf) -> Option<ARef<Device>> {
    iter().find(|dev| dev.sbdf() == Ok(sbdf))
}
