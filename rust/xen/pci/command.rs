// SPDX-License-Identifier: GPL-2.0

//! A function's COMMAND register, changed for a while.

use kernel::{
    pci::Device,
    prelude::*, //
};

use crate::pci::config::{
    ConfigSpace,
    COMMAND,
    COMMAND_INTX_DISABLE,
    COMMAND_MASTER,
    COMMAND_MEMORY, //
};

/// COMMAND as it was. Dropping it puts that back, or logs that it could not.
///
/// # Examples
///
/// ```
/// # use kernel::{pci::Device, prelude::*};
/// # use xen::pci::Command;
/// fn without_intx(dev: &Device, f: impl FnOnce()) -> Result {
///     let command = Command::keep(dev)?;
///     command.disable_intx()?;
///     f();
///     Ok(())
/// }
/// ```
pub struct Command {
    config: ConfigSpace,
    before: u16,
}

impl Command {
    /// Keeps COMMAND as it is now; `EIO` if the function does not answer.
    pub fn keep(dev: &Device) -> Result<Self> {
        let config = ConfigSpace::of(dev);
        let before = config.read(COMMAND)?;
        Ok(Self { config, before })
    }

    /// Lets the function decode its BARs in memory.
    pub fn enable_memory(&self) -> Result {
        self.set(COMMAND_MEMORY)
    }

    /// Keeps the function from raising INTx.
    pub fn disable_intx(&self) -> Result {
        self.set(COMMAND_INTX_DISABLE)
    }

    fn set(&self, bits: u16) -> Result {
        let now: u16 = self.config.read(COMMAND)?;
        self.config.write(COMMAND, now | bits)
    }

    /// Leaves out bus mastering of what the drop puts back. Drivers switch it on when they are
    /// ready for DMA.
    pub fn forbid_dma(&mut self) {
        self.before &= !COMMAND_MASTER;
    }

    /// Makes the drop disable decoding, DMA and INTx instead of restoring COMMAND.
    pub fn leave_stopped(&mut self) {
        self.before = COMMAND_INTX_DISABLE;
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        if let Err(e) = self.config.write(COMMAND, self.before) {
            dev_warn!(
                self.config.device(),
                "cannot restore COMMAND to {:#x}: {:?}\n",
                self.before,
                e
            );
        }
    }
}
