// SPDX-License-Identifier: GPL-2.0

//! Keeping functions from falling asleep.

use kernel::{error::Result, pci::Device, sync::aref::ARef};

use crate::pci::Locked;

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

impl Locked {
    pub fn can_sleep(&self) -> bool {
        true
    }

    pub fn sleep(&self) -> Result {
        self.registers(|registers| {
            assert_eq!(registers.dirt, 0, "put to sleep under a guest");
            assert!(!registers.in_reset, "put to sleep while it is reset");
            assert!(!registers.command, "put to sleep while it is in use");
            registers.asleep = true;
        });
        Ok(())
    }

    pub fn wake(&self) -> Result {
        self.registers(|registers| {
            if registers.asleep && !checker::without("wake") {
                registers.asleep = false;
                registers.bars = false;
            }
        });
        Ok(())
    }
}
