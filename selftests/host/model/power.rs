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
    pub fn wake(&self) -> Result {
        Ok(())
    }
}
