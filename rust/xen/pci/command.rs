// SPDX-License-Identifier: GPL-2.0

//! Temporary changes of a function's COMMAND register.

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

/// The saved value of a function's COMMAND register. Dropping it restores COMMAND; a failed write
/// is logged.
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
    /// Saves the current value of COMMAND. `EIO` if the function does not answer.
    pub fn keep(dev: &Device) -> Result<Self> {
        let config = ConfigSpace::of(dev);
        let before = config.read(COMMAND)?;
        Ok(Self { config, before })
    }

    /// Enables memory decoding of the BARs. `EIO` if the function does not answer.
    pub fn enable_memory(&self) -> Result {
        self.set(COMMAND_MEMORY)
    }

    /// Disables INTx. `EIO` if the function does not answer.
    pub fn disable_intx(&self) -> Result {
        self.set(COMMAND_INTX_DISABLE)
    }

    fn set(&self, bits: u16) -> Result {
        let now: u16 = self.config.read(COMMAND)?;
        self.config.write(COMMAND, now | bits)
    }

    /// Clears bus mastering in the saved value. Drivers enable it when they are ready for DMA.
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
