// SPDX-License-Identifier: GPL-2.0

//! The configuration space of a function.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use kernel::{
    pci::Device,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    bindings,
    linux::fault,
    pci::{
        as_raw,
        header,
        DeviceExt, //
    }, //
};

// The numbers that the decoder, which uses no bindings, has for these bits.
const _: () = assert!(
    header::TYPE == bindings::PCI_BASE_ADDRESS_SPACE | bindings::PCI_BASE_ADDRESS_MEM_TYPE_MASK
        && header::TYPE_64 == bindings::PCI_BASE_ADDRESS_MEM_TYPE_64
);

// CAST: Registers of the header are at small offsets, their bits are those of a word.
pub(super) const COMMAND: u16 = bindings::PCI_COMMAND as u16;
pub(super) const COMMAND_MEMORY: u16 = bindings::PCI_COMMAND_MEMORY as u16;
pub(super) const COMMAND_MASTER: u16 = bindings::PCI_COMMAND_MASTER as u16;
pub(super) const COMMAND_INTX_DISABLE: u16 = bindings::PCI_COMMAND_INTX_DISABLE as u16;
const BAR_0: u16 = bindings::PCI_BASE_ADDRESS_0 as u16;
const MSI_FLAGS: u16 = bindings::PCI_MSI_FLAGS as u16;
const MSI_ENABLE: u16 = bindings::PCI_MSI_FLAGS_ENABLE as u16;
const MSIX_FLAGS: u16 = bindings::PCI_MSIX_FLAGS as u16;
const MSIX_ENABLE: u16 = bindings::PCI_MSIX_FLAGS_ENABLE as u16;
const MSIX_MASKALL: u16 = bindings::PCI_MSIX_FLAGS_MASKALL as u16;

/// A register's width: `u8`, `u16` or `u32`.
pub trait Width: Copy + PartialEq + private::Access {
    /// What a read returns if nothing answers, and what a register may hold, too.
    const ALL_ONES: Self;
}

mod private {
    use super::*;

    /// Accesses of one width; both return 0 or a positive `PCIBIOS_*` code.
    pub trait Access: Sized {
        fn read(dev: &Device, offset: u16, value: &mut Self) -> c_int;
        fn write(dev: &Device, offset: u16, value: Self) -> c_int;
    }

    macro_rules! width {
        ($width:ty, $read:ident, $write:ident) => {
            impl Access for $width {
                fn read(dev: &Device, offset: u16, value: &mut Self) -> c_int {
                    // SAFETY: A valid `struct pci_dev`, and an output that outlives the call. The
                    // PCI core checks the offset.
                    unsafe { bindings::$read(as_raw(dev), offset.into(), value) }
                }

                fn write(dev: &Device, offset: u16, value: Self) -> c_int {
                    // SAFETY: As above.
                    unsafe { bindings::$write(as_raw(dev), offset.into(), value) }
                }
            }

            impl Width for $width {
                const ALL_ONES: Self = <$width>::MAX;
            }
        };
    }

    width!(u8, pci_read_config_byte, pci_write_config_byte);
    width!(u16, pci_read_config_word, pci_write_config_word);
    width!(u32, pci_read_config_dword, pci_write_config_dword);
}

/// The configuration space of a function.
pub struct ConfigSpace {
    dev: ARef<Device>,
    /// The function whose vendor ID shows whether `dev` answers: a VF's own reads as all ones.
    /// `None` for a VF whose PF is gone.
    witness: Option<ARef<Device>>,
}

impl ConfigSpace {
    /// The configuration space of `dev`. May sleep.
    pub fn of(dev: &Device) -> Self {
        Self {
            dev: dev.into(),
            witness: if dev.is_virtfn() {
                dev.physfn()
            } else {
                Some(dev.into())
            },
        }
    }

    /// The function.
    pub fn device(&self) -> &Device {
        &self.dev
    }

    /// Whether the function answers. One that asks to be waited for (RRS) does not.
    pub fn is_present(&self) -> bool {
        fault::point("reading configuration space").is_ok()
            && self.witness.as_ref().is_some_and(|witness| {
                // SAFETY: A valid `struct pci_dev`, which is no VF: no other one is looked at.
                unsafe { bindings::pci_device_is_present(as_raw(witness)) }
            })
    }

    /// Fails with `EIO` unless the function answers.
    pub fn require_present(&self) -> Result {
        self.is_present().then_some(()).ok_or(EIO)
    }

    /// Reads the register at `offset`; `EIO` if the function does not answer.
    pub fn read<T: Width>(&self, offset: u16) -> Result<T> {
        fault::point("reading configuration space")?;
        let mut value = T::ALL_ONES;
        if T::read(&self.dev, offset, &mut value) != 0 {
            return Err(EIO);
        }
        if value == T::ALL_ONES {
            self.require_present()?;
        }
        Ok(value)
    }

    /// Writes the register at `offset`; `EIO` if the bus refuses. A function that does not answer
    /// is not noticed.
    pub fn write<T: Width>(&self, offset: u16, value: T) -> Result {
        fault::point("writing configuration space")?;
        match T::write(&self.dev, offset, value) {
            0 => Ok(()),
            _ => Err(EIO),
        }
    }

    /// The first 64 bytes; `EIO` if the function does not answer.
    pub(super) fn header(&self) -> Result<header::Registers> {
        self.require_present()?;
        let mut words = [0; 16];
        for (word, offset) in words.iter_mut().zip((0..).step_by(4)) {
            *word = self.read(offset)?;
        }
        Ok(header::Registers::new(words))
    }

    /// Whether the BARs hold the addresses that Linux has assigned.
    ///
    /// A VF has no BARs of its own, and resources that are fixed (enhanced allocation, legacy IDE)
    /// have no BAR register.
    pub fn has_its_bars(&self) -> Result<bool> {
        if self.dev.is_virtfn() {
            return Ok(true);
        }
        let mut bars = [0; 6];
        for (bar, offset) in bars.iter_mut().zip((BAR_0..).step_by(4)) {
            *bar = self.read(offset)?;
        }
        for (index, address) in header::bar_addresses(bars) {
            let start = self.dev.resource_start(index)?;
            if start != 0
                && !self.dev.resource_is_fixed(index)
                && address != start & header::ADDRESS
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Stops the function: it decodes nothing, does no DMA and raises no interrupt.
    ///
    /// Xen's vPCI, if it handles the function, then takes its BARs for unused. May be called in any
    /// context that may access configuration space.
    pub fn quiesce(&self) -> Result {
        self.write(COMMAND, COMMAND_INTX_DISABLE)?;
        for (register, bits) in self.message_interrupts() {
            let control: u16 = self.read(register)?;
            if control & bits != 0 {
                self.write(register, control & !bits)?;
            }
        }
        Ok(())
    }

    /// Whether MSI and MSI-X are as [`ConfigSpace::quiesce`] leaves them.
    pub(super) fn has_message_interrupts_off(&self) -> Result<bool> {
        for (register, bits) in self.message_interrupts() {
            if self.read::<u16>(register)? & bits != 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The control registers of MSI and MSI-X, and the bits that are clear in an idle function.
    fn message_interrupts(&self) -> impl Iterator<Item = (u16, u16)> {
        // SAFETY: A valid `struct pci_dev`; these do not change after set-up.
        let (msi, msix) = unsafe {
            let raw = as_raw(&self.dev);
            ((*raw).msi_cap, (*raw).msix_cap)
        };
        [
            (msi, MSI_FLAGS, MSI_ENABLE),
            (msix, MSIX_FLAGS, MSIX_ENABLE | MSIX_MASKALL),
        ]
        .into_iter()
        .filter(|(capability, ..)| *capability != 0)
        .map(|(capability, register, bits)| (u16::from(capability).saturating_add(register), bits))
    }
}
