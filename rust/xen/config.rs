// SPDX-License-Identifier: GPL-2.0

//! A function's configuration: keeping it, putting it back, and seeing whether it is back.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use core::ptr::NonNull;

use kernel::{
    error::to_result,
    pci::Device,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    bindings,
    fault,
    header,
    pci::{
        as_raw,
        read_config_dword,
        read_config_word,
        write_config_word,
        Locked, //
    }, //
};

pub use crate::header::Registers;

// What the decoder, which knows no bindings, takes the bits to be.
const _: () = assert!(
    header::TYPE == bindings::PCI_BASE_ADDRESS_SPACE | bindings::PCI_BASE_ADDRESS_MEM_TYPE_MASK
        && header::TYPE_64 == bindings::PCI_BASE_ADDRESS_MEM_TYPE_64
);

impl Registers {
    /// Reads them; `EIO` if the function does not answer.
    pub fn read(dev: &Device) -> Result<Self> {
        if !is_present(dev) {
            return Err(EIO);
        }
        let mut header = [0; 16];
        for (register, offset) in header.iter_mut().zip((0u8..).step_by(4)) {
            *register = register_at(dev, offset)?;
        }
        Ok(Self::new(header))
    }
}

/// A register may well hold all ones.
fn register_at(dev: &Device, offset: u8) -> Result<u32> {
    fault::point("reading configuration space")?;
    let mut value = 0;
    // SAFETY: `dev` is a valid `struct pci_dev`.
    match unsafe { bindings::pci_read_config_dword(as_raw(dev), offset.into(), &mut value) } {
        0 => Ok(value),
        _ => Err(EIO),
    }
}

/// Whether the BARs hold what Linux has put there.
pub fn has_its_bars(dev: &Device) -> Result<bool> {
    let mut bars = [0; 6];
    for (bar, offset) in bars.iter_mut().zip((BAR_0..).step_by(4)) {
        *bar = register_at(dev, offset)?;
    }
    for (index, address) in header::bar_addresses(bars) {
        let start = dev.resource_start(index)?;
        if start != 0 && address != start & header::ADDRESS {
            return Ok(false);
        }
    }
    Ok(true)
}

const BAR_0: u8 = bindings::PCI_BASE_ADDRESS_0 as u8;
const COMMAND: i32 = bindings::PCI_COMMAND as i32;

/// A function's whole configuration, as it was at one time.
///
/// # Invariants
///
/// `state` was stored from `dev`, and is ours.
pub struct Saved {
    dev: ARef<Device>,
    state: NonNull<bindings::pci_saved_state>,
    registers: Registers,
}

// SAFETY: Plain memory.
unsafe impl Send for Saved {}
// SAFETY: Only read.
unsafe impl Sync for Saved {}

impl Saved {
    /// Keeps the configuration as it is now. `ENOMEM`, or `EIO` if the function does not answer.
    pub fn new(dev: &Locked) -> Result<Self> {
        if !is_present(dev) {
            return Err(EIO);
        }
        let raw = as_raw(dev);
        fault::point("saving the configuration")?;
        // SAFETY: `raw` is a valid `struct pci_dev`, whose lock is held.
        let registers = unsafe {
            to_result(bindings::pci_save_state(raw))?;
            // What was just read for it.
            Registers::new((*raw).saved_config_space)
        };
        fault::point("keeping the configuration")?;
        // SAFETY: As above.
        let state = unsafe { bindings::pci_store_saved_state(raw) };
        // INVARIANT: Stored just now.
        Ok(Self {
            dev: (&**dev).into(),
            state: NonNull::new(state).ok_or(ENOMEM)?,
            registers,
        })
    }

    /// Puts the configuration back. May sleep.
    ///
    /// BARs that Xen's vPCI believes to be in use stay as they are: see [`Saved::verify`].
    pub fn restore(&self, _dev: &Locked) -> Result {
        let raw = as_raw(&self.dev);
        let loaded = fault::point("restoring the configuration").and_then(|()| {
            // SAFETY: `raw` is a valid `struct pci_dev`, the device is locked, and by the type
            // invariant the state is one of this device.
            to_result(unsafe { bindings::pci_load_saved_state(raw, self.state.as_ptr()) })
        });
        // Else what the PCI core has saved last, if anything: a function without BARs is of no use.
        // SAFETY: As above.
        unsafe { bindings::pci_restore_state(raw) };
        loaded
    }

    /// Reads the header back, with BARs and COMMAND; `EIO`, and a line in the log, if a register is
    /// not as it was.
    pub fn verify(&self) -> Result {
        match Registers::read(&self.dev)?.differs(&self.registers) {
            None => Ok(()),
            Some((offset, is, wanted)) => {
                dev_err!(
                    self.dev,
                    "register {:#04x} reads {:#x}, not {:#x}\n",
                    offset,
                    is,
                    wanted
                );
                Err(EIO)
            }
        }
    }

    /// Whether the header is as it was; says nothing.
    pub fn is_current(&self) -> bool {
        Registers::read(&self.dev).is_ok_and(|now| now == self.registers)
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is ours; it was allocated with `kzalloc()`.
        unsafe { bindings::kfree(self.state.as_ptr().cast()) };
    }
}

/// COMMAND as it was; dropping it puts that back, or says that it could not.
pub struct Command {
    dev: ARef<Device>,
    value: u16,
}

impl Command {
    /// Keeps COMMAND as it is now; `EIO` if the function does not answer.
    pub fn keep(dev: &Device) -> Result<Self> {
        Ok(Self {
            value: read_config_word(dev, COMMAND).ok_or(EIO)?,
            dev: dev.into(),
        })
    }

    /// Makes it "decode nothing, do no DMA, raise no INTx" that will be put back.
    pub fn keep_quiet(&mut self) {
        self.value = QUIET;
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        if let Err(e) = write_config_word(&self.dev, COMMAND, self.value) {
            dev_warn!(
                self.dev,
                "COMMAND does not get back its {:#x}: {:?}\n",
                self.value,
                e
            );
        }
    }
}

/// Lets the function decode its BARs in memory.
pub(crate) fn decode_memory(dev: &Device) -> Result {
    let now = read_config_word(dev, COMMAND).ok_or(EIO)?;
    // CAST: A bit of a word.
    write_config_word(dev, COMMAND, now | bindings::PCI_COMMAND_MEMORY as u16)
}

const QUIET: u16 = bindings::PCI_COMMAND_INTX_DISABLE as u16;

/// Stops the function: it decodes nothing, does no DMA, raises no interrupt.
///
/// Can be called at any time, from any context that may read configuration space. Xen's vPCI, if it
/// handles the function, sees that the BARs are not in use any more.
pub fn quiesce(dev: &Device) -> Result {
    write_config_word(dev, COMMAND, QUIET)?;
    // SAFETY: `dev` is a valid `struct pci_dev`; these do not change after set-up.
    let (msi, msix) = unsafe { ((*as_raw(dev)).msi_cap, (*as_raw(dev)).msix_cap) };
    for (capability, flags, enable) in [
        (msi, bindings::PCI_MSI_FLAGS, bindings::PCI_MSI_FLAGS_ENABLE),
        (
            msix,
            bindings::PCI_MSIX_FLAGS,
            bindings::PCI_MSIX_FLAGS_ENABLE,
        ),
    ] {
        if capability == 0 {
            continue;
        }
        let flags = i32::from(capability) + flags as i32;
        let now = read_config_word(dev, flags).ok_or(EIO)?;
        // CAST: Bits of a word.
        if now & enable as u16 != 0 {
            write_config_word(dev, flags, now & !(enable as u16))?;
        }
    }
    Ok(())
}

/// Brings the function to D0, whoever put it to sleep, and ends what its last owner wanted to know
/// of its power management: a reset by that leaves these. To be called after [`quiesce`]: waking
/// up may reset it. May sleep.
pub fn wake(dev: &Locked) -> Result {
    fault::point("waking the function up")?;
    let raw = as_raw(dev);
    // SAFETY: `raw` is a valid `struct pci_dev`.
    let capability = i32::from(unsafe { (*raw).pm_cap });
    if capability != 0 {
        let register = capability + bindings::PCI_PM_CTRL as i32;
        let control = read_config_word(dev, register).ok_or(EIO)?;
        let state = control & PM_STATE;
        if control & PM_WISHES != 0 {
            write_config_word(dev, register, state | PM_HAPPENED)?;
        }
        if state != 0 {
            // A guest does not tell Linux, which would think that there is nothing to do.
            // SAFETY: As above; the device's lock keeps drivers from changing it.
            unsafe { (*raw).current_state = PCI_UNKNOWN };
        }
    }
    // SAFETY: `raw` is a valid `struct pci_dev`.
    to_result(unsafe { bindings::pci_set_power_state(raw, PCI_D0) })
}

// CAST: Bits of a word.
const PM_STATE: u16 = bindings::PCI_PM_CTRL_STATE_MASK as u16;
const PM_WISHES: u16 =
    (bindings::PCI_PM_CTRL_PME_ENABLE | bindings::PCI_PM_CTRL_DATA_SEL_MASK) as u16;
/// Cleared by writing it.
const PM_HAPPENED: u16 = bindings::PCI_PM_CTRL_PME_STATUS as u16;

const PCI_D0: c_int = 0;
const PCI_UNKNOWN: c_int = 5;

/// Whether the function answers at all.
pub fn is_present(dev: &Device) -> bool {
    read_config_dword(dev, bindings::PCI_VENDOR_ID as i32).is_some()
}
