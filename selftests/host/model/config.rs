// SPDX-License-Identifier: GPL-2.0

//! A function's configuration.

use kernel::{
    error::{Result, EIO},
    pci::Device,
    sync::aref::ARef,
};

use crate::pci::Locked;

pub fn has_its_bars(dev: &Device) -> Result<bool> {
    Ok(dev.registers(|registers| registers.bars))
}

pub fn is_present(dev: &Device) -> bool {
    dev.registers(|registers| registers.present)
}

pub fn quiesce(dev: &Device) -> Result {
    dev.registers(|registers| {
        assert!(!registers.in_reset, "written to while it is reset");
        registers.command = false;
    });
    Ok(())
}

pub fn wake(_dev: &Locked) -> Result {
    Ok(())
}

/// What was saved: a function that decodes its BARs.
pub struct Saved(ARef<Device>);

impl Saved {
    pub fn new(dev: &Locked) -> Result<Self> {
        Ok(Self((&**dev).into()))
    }

    pub fn restore(&self, _dev: &Locked) -> Result {
        self.0.registers(|registers| {
            registers.command = true;
            registers.bars = !registers.sick;
        });
        Ok(())
    }

    pub fn verify(&self) -> Result {
        if self.is_current() {
            Ok(())
        } else {
            Err(EIO)
        }
    }

    pub fn is_current(&self) -> bool {
        self.0
            .registers(|registers| registers.command && registers.bars)
    }
}

/// COMMAND as it was, put back in the end.
pub struct Command {
    dev: ARef<Device>,
    found: bool,
}

impl Command {
    pub fn keep(dev: &Device) -> Result<Self> {
        Ok(Self {
            dev: dev.into(),
            found: dev.registers(|registers| registers.command),
        })
    }

    pub fn keep_quiet(&mut self) {
        self.found = false;
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        self.dev
            .registers(|registers| registers.command = self.found);
    }
}
