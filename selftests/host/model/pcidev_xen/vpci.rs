// SPDX-License-Identifier: GPL-2.0

//! What Xen knows of functions.

use kernel::{
    error::{Result, EBUSY, ENODEV},
    pci::Device,
    sync::aref::{ARef, AlwaysRefCounted},
};

use crate::{
    pci::{Hiding, InTree, Locked, MsixTable},
    world::{self, Hardware},
};

#[derive(Clone, Copy)]
pub struct Function;

impl Function {
    pub fn of(dev: &InTree<'_>) -> Result<Self> {
        dev.require();
        Ok(Self)
    }

    pub fn is_known(&self) -> Result {
        Ok(())
    }
}

/// A table that Xen knows for guests.
pub struct Hold {
    dev: ARef<Device>,
    table: MsixTable,
    is_released: bool,
}

impl Hold {
    pub fn new(dev: &Locked, _function: Function, table: MsixTable) -> Result<Self> {
        let hardware = world::get(dev);
        assert!(!hardware.is_probed, "held in the middle of a probe");
        assert!(!hardware.is_removed, "held after it was removed");
        world::of(dev, |hardware| match hardware {
            Hardware {
                is_assigned: true, ..
            } => Err(ENODEV),
            Hardware { holds: 1, .. } => Err(EBUSY),
            _ => {
                hardware.holds = 1;
                Ok(())
            }
        })?;
        Ok(Self {
            dev: dev.reference(),
            table,
            is_released: false,
        })
    }

    pub fn pirq(&self) -> Option<i32> {
        None
    }

    pub fn table(&self) -> MsixTable {
        self.table
    }

    pub fn hiding(&self) -> Result<Option<Hiding>> {
        Ok(Some(Hiding))
    }

    pub fn give_back(&mut self, _dev: &Locked) -> Result {
        self.release()
    }

    pub fn release(&mut self) -> Result {
        if !self.is_released {
            self.is_released = true;
            let hardware = world::get(&self.dev);
            assert!(
                !hardware.is_assigned || hardware.is_removed,
                "released under a guest"
            );
            world::of(&self.dev, |hardware| hardware.holds -= 1);
        }
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = self.release();
        }
    }
}

pub fn owned_by_dom0(dev: &Device, _table: MsixTable) -> Result<bool> {
    Ok(!world::get(dev).is_assigned)
}
