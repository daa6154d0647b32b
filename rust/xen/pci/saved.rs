// SPDX-License-Identifier: GPL-2.0

//! Saving, restoring and comparing the configuration of a function.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use core::ptr::NonNull;

use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use crate::{
    bindings,
    linux::fault,
    pci::{
        as_raw,
        config::ConfigSpace,
        firmware_registers::FirmwareRegisters,
        header::Registers,
        vendor::VendorRegisters,
        Locked, //
    }, //
};

/// The saved configuration of a function: the header, the capabilities that `pci_save_state()`
/// covers, and [`FirmwareRegisters`].
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// # use xen::pci::{Locked, Saved};
/// fn with_configuration_restored(dev: &Locked, f: impl FnOnce()) -> Result {
///     let saved = Saved::new(dev)?;
///     f();
///     saved.restore(dev)?;
///     saved.verify()
/// }
/// ```
///
/// # Invariants
///
/// `state` was stored from the function of `config`, and this value owns it.
pub struct Saved {
    config: ConfigSpace,
    state: NonNull<bindings::pci_saved_state>,
    registers: Registers,
    vendor: VendorRegisters,
    firmware: Option<FirmwareRegisters>,
    is_change_logged: Atomic<bool>,
}

// SAFETY: `state` points to plain memory.
unsafe impl Send for Saved {}
// SAFETY: A shared reference only reads `state`.
unsafe impl Sync for Saved {}

impl Saved {
    /// Saves the current configuration. May sleep.
    ///
    /// Errors: `EIO` if the function does not answer; `ENOMEM`; else those of `pci_save_state()`.
    pub fn new(dev: &Locked) -> Result<Self> {
        let config = ConfigSpace::of(dev);
        config.require_present()?;
        let vendor = VendorRegisters::read(&config)?;
        let firmware = FirmwareRegisters::of(dev)?;
        let raw = as_raw(dev);
        fault::point("saving the configuration")?;
        // SAFETY: `raw` is a valid `struct pci_dev`, whose device lock is held.
        let registers = unsafe {
            to_result(bindings::pci_save_state(raw))?;
            Registers::new((*raw).saved_config_space)
        };
        fault::point("keeping the configuration")?;
        // SAFETY: `raw` is a valid `struct pci_dev`, whose device lock is held.
        let state = unsafe { bindings::pci_store_saved_state(raw) };
        // INVARIANT: `pci_store_saved_state()` has allocated the state for this value.
        Ok(Self {
            config,
            state: NonNull::new(state).ok_or(ENOMEM)?,
            registers,
            vendor,
            firmware,
            is_change_logged: Atomic::new(false),
        })
    }

    /// Restores the configuration of `dev`. May sleep.
    ///
    /// Xen's vPCI drops writes to a BAR that it treats as mapped, so that this may succeed without
    /// effect: call [`Saved::verify`] afterwards.
    ///
    /// Errors: `EINVAL` if `dev` is not the function that was saved; else those of
    /// `pci_load_saved_state()`.
    pub fn restore(&self, dev: &Locked) -> Result {
        let raw = as_raw(dev);
        if raw != as_raw(self.config.device()) {
            return Err(EINVAL);
        }
        let loaded = fault::point("restoring the configuration").and_then(|()| {
            // SAFETY: `raw` is a valid `struct pci_dev`, whose device lock is held. By the type
            // invariant the state belongs to this function.
            to_result(unsafe { bindings::pci_load_saved_state(raw, self.state.as_ptr()) })
        });
        // If loading fails, restore the state that the PCI core saved last, if any: it is better
        // than BARs of zero.
        // SAFETY: `raw` is a valid `struct pci_dev`, whose device lock is held.
        unsafe { bindings::pci_restore_state(raw) };
        if let Some(firmware) = &self.firmware {
            firmware.restore(dev);
        }
        loaded
    }

    /// Reads the header and compares it with the saved header, including the BARs and COMMAND.
    /// `EIO` if the function does not answer, or if a register differs, which is logged. Logs once
    /// if one of the vendor's registers differs, which nobody restores.
    pub fn verify(&self) -> Result {
        match self.config.header()?.differs(&self.registers) {
            None => {
                self.log_vendor_change();
                if self.config.lost_msix() == Ok(true) {
                    dev_err!(
                        self.config.device(),
                        "guests cannot use its MSI-X: Xen hides it since the reset; see xl dmesg\n"
                    );
                }
                Ok(())
            }
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

    fn log_vendor_change(&self) {
        let Ok(Some((offset, is, was))) = self.vendor.changed(&self.config) else {
            return;
        };
        if !self.is_change_logged.xchg(true, Relaxed) {
            dev_warn!(
                self.config.device(),
                "vendor register {:#04x} reads {:#x}, not {:#x} as before the seizure: not restored; drivers that need it may fail\n",
                offset,
                is,
                was
            );
        }
    }

    /// Returns whether the header equals the saved header, and MSI and MSI-X are off. Logs nothing.
    pub fn is_current(&self) -> bool {
        self.config.header().is_ok_and(|now| now == self.registers)
            && self.config.has_message_interrupts_off() == Ok(true)
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the state, which C allocated with
        // `kzalloc()`.
        unsafe { bindings::kfree(self.state.as_ptr().cast()) };
    }
}
