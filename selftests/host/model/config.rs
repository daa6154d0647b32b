// SPDX-License-Identifier: GPL-2.0

//! A function's configuration.

use kernel::{
    error::{Result, EIO},
    pci::Device,
    sync::aref::ARef,
    time::Instant,
};

use crate::pci::{Locked, MsixTable};

/// Accesses to the configuration.
pub struct ConfigSpace(ARef<Device>);

impl ConfigSpace {
    pub const PATIENCE: i64 = 60;

    pub fn of(dev: &Device) -> Self {
        Self(dev.into())
    }

    pub fn has_its_bars(&self) -> Result<bool> {
        Ok(self.0.registers(|registers| registers.bars))
    }

    pub fn is_present(&self) -> bool {
        self.0.registers(|registers| registers.present)
    }

    pub fn wait_until_present(&self, _began: Instant, _most: i64) -> Result {
        Ok(())
    }

    /// A function with an MSI-X table of four entries.
    pub fn read<T: TryFrom<u32>>(&self, offset: u16) -> Result<T> {
        let value = match offset {
            0x04 => 1 << 20 | u32::from(self.0.registers(|registers| registers.command)) << 1,
            0x34 => 0x40,
            0x40 => 0x0003_0011,
            _ => 0,
        };
        T::try_from(value).map_err(|_| EIO)
    }

    /// Only a function that this driver has is written to.
    pub fn write<T: Into<u32>>(&self, offset: u16, value: T) -> Result {
        assert!(self.0.driver().is_some(), "written to after it was unbound");
        let value: u32 = value.into();
        self.0.registers(|registers| {
            assert!(!registers.in_reset, "written to while it is reset");
            if offset == 0x04 {
                registers.command = value & 2 != 0;
                registers.dma = value & 4 != 0;
                registers.had_dma |= registers.dma;
                registers.intx_off = value & 0x400 != 0;
            }
        });
        Ok(())
    }

    pub fn msix_table(&self) -> Result<Option<MsixTable>> {
        Ok(MsixTable::decode(3, 0))
    }

    pub fn enable_messages(&self, _by_msix: bool) -> Result {
        self.write(0x00, 0u32)?;
        self.0.registers(|registers| {
            registers.messages = true;
            registers.intx_off = true;
        });
        Ok(())
    }

    pub fn disable_messages(&self) -> Result {
        self.write(0x00, 0u32)?;
        self.0.registers(|registers| {
            registers.messages = false;
            registers.intx_off = false;
        });
        Ok(())
    }

    pub fn stop_sending(&self) -> Result {
        self.0.registers(|registers| {
            assert!(!registers.in_reset, "written to while it is reset");
            registers.dma = false;
            registers.messages = false;
            registers.intx_off = true;
        });
        Ok(())
    }

    pub fn quiesce(&self) -> Result {
        self.0.registers(|registers| {
            assert!(!registers.in_reset, "written to while it is reset");
            registers.command = false;
            registers.dma = false;
            registers.messages = false;
            registers.intx_off = true;
        });
        Ok(())
    }
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

    pub fn forbid_dma(&mut self) {}

    pub fn leave_stopped(&mut self) {
        self.found = false;
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        self.dev
            .registers(|registers| registers.command = self.found);
    }
}
