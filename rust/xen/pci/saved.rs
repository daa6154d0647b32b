// SPDX-License-Identifier: GPL-2.0

//! A function's whole configuration: saved, restored, compared.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use core::ptr::NonNull;

use kernel::{
    error::to_result,
    prelude::*, //
};

use crate::{
    bindings,
    linux::fault,
    pci::{
        as_raw,
        config::ConfigSpace,
        header::Registers,
        Locked, //
    }, //
};

/// A function's whole configuration, as it was at one time.
///
/// # Invariants
///
/// `state` was stored from the function of `config`, and this value owns it.
pub struct Saved {
    config: ConfigSpace,
    state: NonNull<bindings::pci_saved_state>,
    registers: Registers,
}

// SAFETY: Plain memory.
unsafe impl Send for Saved {}
// SAFETY: Only read.
unsafe impl Sync for Saved {}

impl Saved {
    /// Saves the configuration as it is now. `ENOMEM`, or `EIO` if the function does not answer.
    pub fn new(dev: &Locked) -> Result<Self> {
        let config = ConfigSpace::of(dev);
        config.require_present()?;
        let raw = as_raw(dev);
        fault::point("saving the configuration")?;
        // SAFETY: A valid `struct pci_dev`, whose lock is held.
        let registers = unsafe {
            to_result(bindings::pci_save_state(raw))?;
            Registers::new((*raw).saved_config_space)
        };
        fault::point("keeping the configuration")?;
        // SAFETY: As above.
        let state = unsafe { bindings::pci_store_saved_state(raw) };
        // INVARIANT: Stored just now.
        Ok(Self {
            config,
            state: NonNull::new(state).ok_or(ENOMEM)?,
            registers,
        })
    }

    /// Restores the configuration of `dev`; `EINVAL` if it is another function's. May sleep.
    ///
    /// A BAR that Xen's vPCI takes for used keeps its value: see [`Saved::verify`].
    pub fn restore(&self, dev: &Locked) -> Result {
        let raw = as_raw(dev);
        if raw != as_raw(self.config.device()) {
            return Err(EINVAL);
        }
        let loaded = fault::point("restoring the configuration").and_then(|()| {
            // SAFETY: A valid `struct pci_dev` whose lock is held, and by the type invariant a
            // state of this device.
            to_result(unsafe { bindings::pci_load_saved_state(raw, self.state.as_ptr()) })
        });
        // Without it, the state that the PCI core saved last, if any: BARs of zero are no use.
        // SAFETY: As above.
        unsafe { bindings::pci_restore_state(raw) };
        loaded
    }

    /// Reads the header back, with BARs and COMMAND. `EIO`, and a line in the log, if a register
    /// differs.
    pub fn verify(&self) -> Result {
        match self.config.header()?.differs(&self.registers) {
            None => Ok(()),
            Some((offset, is, wanted)) => {
                dev_err!(
                    self.config.device(),
                    "register {:#04x} reads {:#x}, not {:#x}\n",
                    offset,
                    is,
                    wanted
                );
                Err(EIO)
            }
        }
    }

    /// Whether the header is as it was, and MSI and MSI-X are off. Logs nothing.
    pub fn is_current(&self) -> bool {
        self.config.header().is_ok_and(|now| now == self.registers)
            && self.config.has_message_interrupts_off() == Ok(true)
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns it; C allocated it with `kzalloc()`.
        unsafe { bindings::kfree(self.state.as_ptr().cast()) };
    }
}
