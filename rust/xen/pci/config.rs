// SPDX-License-Identifier: GPL-2.0

//! The configuration space of a function.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use kernel::{
    pci::Device,
    prelude::*,
    sync::aref::ARef,
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use crate::{
    bindings,
    linux::fault,
    pci::{
        as_raw,
        header,
        hiding::Hiding,
        DeviceExt,
        MsixTable, //
    }, //
};

// `header.rs` uses no bindings: check its constants against those of C.
const _: () = assert!(
    header::TYPE == bindings::PCI_BASE_ADDRESS_SPACE | bindings::PCI_BASE_ADDRESS_MEM_TYPE_MASK
        && header::TYPE_64 == bindings::PCI_BASE_ADDRESS_MEM_TYPE_64
        && header::CAPABILITY_LIST == bindings::PCI_CAPABILITY_LIST as u16
);

// CAST: The offsets of header registers are small, and the bits are those of 16-bit registers.
pub(super) const COMMAND: u16 = bindings::PCI_COMMAND as u16;
pub(super) const COMMAND_MEMORY: u16 = bindings::PCI_COMMAND_MEMORY as u16;
pub(super) const COMMAND_MASTER: u16 = bindings::PCI_COMMAND_MASTER as u16;
pub(super) const COMMAND_INTX_DISABLE: u16 = bindings::PCI_COMMAND_INTX_DISABLE as u16;
const BAR_0: u16 = bindings::PCI_BASE_ADDRESS_0 as u16;
const MSI_FLAGS: u16 = bindings::PCI_MSI_FLAGS as u16;
const MSI_ENABLE: u16 = bindings::PCI_MSI_FLAGS_ENABLE as u16;
/// The number of messages, as a power of two.
const MSI_SEVERAL: u16 = bindings::PCI_MSI_FLAGS_QSIZE as u16;
const MSIX_FLAGS: u16 = bindings::PCI_MSIX_FLAGS as u16;
const MSIX_ENABLE: u16 = bindings::PCI_MSIX_FLAGS_ENABLE as u16;
const MSIX_MASKALL: u16 = bindings::PCI_MSIX_FLAGS_MASKALL as u16;

/// The type of a register's value: `u8`, `u16` or `u32`.
pub trait Width: Copy + PartialEq + private::Access {
    /// The result of a read that nothing answers. A register may also hold this value.
    const ALL_ONES: Self;
}

mod private {
    use super::*;

    /// Accesses of one width. Both return 0 or a positive `PCIBIOS_*` code.
    pub trait Access: Sized {
        fn read(dev: &Device, offset: u16, value: &mut Self) -> c_int;
        fn write(dev: &Device, offset: u16, value: Self) -> c_int;
    }

    macro_rules! width {
        ($width:ty, $read:ident, $write:ident) => {
            impl Access for $width {
                fn read(dev: &Device, offset: u16, value: &mut Self) -> c_int {
                    // SAFETY: `dev` is a valid `struct pci_dev`, and `value` outlives the call. The
                    // PCI core checks the offset.
                    unsafe { bindings::$read(as_raw(dev), offset.into(), value) }
                }

                fn write(dev: &Device, offset: u16, value: Self) -> c_int {
                    // SAFETY: `dev` is a valid `struct pci_dev`. The PCI core checks the offset.
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
///
/// The kernel crate's `ConfigSpace` needs a bound driver, and does not report a function that does
/// not answer.
///
/// # Examples
///
/// ```
/// # use kernel::{pci::Device, prelude::*};
/// # use xen::pci::ConfigSpace;
/// fn is_bus_master(dev: &Device) -> Result<bool> {
///     // The COMMAND register.
///     let command: u16 = ConfigSpace::of(dev).read(0x04)?;
///     Ok(command & 0x4 != 0)
/// }
/// ```
pub struct ConfigSpace {
    dev: ARef<Device>,
    /// The function whose vendor ID shows whether `dev` answers: `dev` itself, or the PF of a VF,
    /// since the vendor ID of a VF reads as all ones. `None` for a VF whose PF was removed.
    witness: Option<ARef<Device>>,
}

impl ConfigSpace {
    /// How long a function may take to come back after a reset, in seconds, as for the PCI core.
    pub const PATIENCE: i64 = 60;

    /// Returns the configuration space of `dev`. May sleep.
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

    /// Returns the function.
    pub fn device(&self) -> &Device {
        &self.dev
    }

    /// Returns whether the function answers. A function that returns Request Retry Status (RRS)
    /// does not count as present.
    pub fn is_present(&self) -> bool {
        fault::point("reading configuration space").is_ok()
            && self.witness.as_ref().is_some_and(|witness| {
                // SAFETY: `witness` is a valid `struct pci_dev` and no VF, so the call follows no
                // pointer to a PF.
                unsafe { bindings::pci_device_is_present(as_raw(witness)) }
            })
    }

    /// Waits until the function answers after a reset, for up to `most` seconds since the reset
    /// `began`. Logs that after 1, 10 and 30 seconds. `ETIMEDOUT` if it does not answer.
    ///
    /// The PCI core waits, too, but looks at COMMAND and STATUS. Xen's vPCI clears the reserved
    /// bits of STATUS for a PVH dom0, so these are never all ones, and the core does not wait.
    pub fn wait_until_present(&self, began: Instant<Monotonic>, most: i64) -> Result {
        let mut logged = 0;
        while !self.is_present() {
            let seconds = began.elapsed().as_millis() / 1000;
            if seconds >= most {
                return Err(ETIMEDOUT);
            }
            if let Some(passed) = [30, 10, 1].into_iter().find(|passed| *passed <= seconds) {
                if passed > logged {
                    dev_info!(self.dev, "no answer {} s after a reset; waiting\n", seconds);
                    logged = passed;
                }
            }
            fsleep(Delta::from_millis(50));
        }
        Ok(())
    }

    /// Fails with `EIO` if the function does not answer.
    pub fn require_present(&self) -> Result {
        self.is_present().then_some(()).ok_or(EIO)
    }

    /// Reads the register at `offset`, in bytes. `EIO` if the function does not answer.
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

    /// Writes the register at `offset`, in bytes. `EIO` if the PCI core reports an error. A write
    /// to a function that does not answer may succeed.
    pub fn write<T: Width>(&self, offset: u16, value: T) -> Result {
        fault::point("writing configuration space")?;
        match T::write(&self.dev, offset, value) {
            0 => Ok(()),
            _ => Err(EIO),
        }
    }

    /// Reads the first 64 bytes. `EIO` if the function does not answer.
    pub(super) fn header(&self) -> Result<header::Registers> {
        self.require_present()?;
        let mut words = [0; 16];
        for (word, offset) in words.iter_mut().zip((0..).step_by(4)) {
            *word = self.read(offset)?;
        }
        Ok(header::Registers::new(words))
    }

    /// Reads the location and size of the MSI-X table from the MSI-X capability. `None` if the
    /// function has no MSI-X, or names a BAR that does not exist. `EIO` if the function does not
    /// answer.
    pub fn msix_table(&self) -> Result<Option<MsixTable>> {
        // SAFETY: `self.dev` is a valid `struct pci_dev`. `msix_cap` does not change after set-up.
        let capability = match unsafe { (*as_raw(&self.dev)).msix_cap } {
            0 => return Ok(None),
            capability => u16::from(capability),
        };
        self.require_present()?;
        // CAST: The offsets are small.
        let control = self.read(capability.saturating_add(bindings::PCI_MSIX_FLAGS as u16))?;
        let offset = self.read(capability.saturating_add(bindings::PCI_MSIX_TABLE as u16))?;
        Ok(MsixTable::decode(control, offset))
    }

    /// Returns how to hide the last entry of `table`, the function's MSI-X table.
    ///
    /// Errors: `EIO` if the function does not answer, or if its capabilities are no list.
    pub(crate) fn hiding_last_entry(&self, table: MsixTable) -> Result<Hiding> {
        // SAFETY: `self.dev` is a valid `struct pci_dev`. `msix_cap` does not change after set-up.
        let capability = unsafe { (*as_raw(&self.dev)).msix_cap };
        if table.entries > 1 {
            return Ok(Hiding::Entry {
                control: u16::from(capability).saturating_add(MSIX_FLAGS),
                entries: table.entries.saturating_sub(1),
            });
        }
        let pointer = header::pointer_to(capability, |offset| self.read(offset))?.ok_or(EIO)?;
        let next = self.read(u16::from(capability).saturating_add(1))?;
        Ok(Hiding::Capability { pointer, next })
    }

    /// Returns whether the function has an MSI-X capability that cannot be found. Xen hides that of
    /// a VF from dom0, and any that it could not set up. `EIO` if the function does not answer.
    pub(super) fn lost_msix(&self) -> Result<bool> {
        // SAFETY: `self.dev` is a valid `struct pci_dev`. `msix_cap` does not change after set-up.
        let capability = unsafe { (*as_raw(&self.dev)).msix_cap };
        if capability == 0 || self.dev.is_virtfn() {
            return Ok(false);
        }
        let pointer = header::pointer_to(capability, |offset| self.read(offset))?;
        Ok(pointer.is_none())
    }

    /// Returns whether the BARs hold the addresses that Linux has assigned. `EIO` if the function
    /// does not answer.
    ///
    /// Always true for a VF, which has no BARs of its own. Fixed resources (enhanced allocation,
    /// legacy IDE) have no BAR register, and are not compared.
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

    /// Stops the function: disables decoding, DMA, INTx, MSI and MSI-X. `EIO` if the function does
    /// not answer, or if the PCI core reports an error.
    ///
    /// If the function is behind Xen's vPCI, vPCI then treats its BARs as unmapped. Can be called
    /// in any context that may access configuration space.
    pub fn quiesce(&self) -> Result {
        self.write(COMMAND, COMMAND_INTX_DISABLE)?;
        self.disable_message_interrupts()
    }

    /// Disables DMA, INTx, MSI and MSI-X. The function goes on to decode its BARs: somebody may
    /// access them. Errors as for [`ConfigSpace::quiesce`].
    pub fn stop_sending(&self) -> Result {
        let command: u16 = self.read(COMMAND)?;
        self.write(COMMAND, command & !COMMAND_MASTER | COMMAND_INTX_DISABLE)?;
        self.disable_message_interrupts()
    }

    /// Lets the function send messages by MSI-X, or by one MSI, and no INTx. `ENODEV` if it does
    /// not have the capability; `EIO` if it does not answer.
    pub fn enable_messages(&self, by_msix: bool) -> Result {
        // SAFETY: `self.dev` is a valid `struct pci_dev`. The offsets do not change after set-up.
        let (msi, msix) = unsafe {
            let raw = as_raw(&self.dev);
            ((*raw).msi_cap, (*raw).msix_cap)
        };
        let (capability, flags, clear, set) = if by_msix {
            (msix, MSIX_FLAGS, MSIX_MASKALL, MSIX_ENABLE)
        } else {
            (msi, MSI_FLAGS, MSI_SEVERAL, MSI_ENABLE)
        };
        if capability == 0 {
            return Err(ENODEV);
        }
        let register = u16::from(capability).saturating_add(flags);
        let command: u16 = self.read(COMMAND)?;
        self.write(COMMAND, command | COMMAND_INTX_DISABLE)?;
        let control: u16 = self.read(register)?;
        self.write(register, control & !clear | set)
    }

    /// Undoes [`ConfigSpace::enable_messages`]. `EIO` if the function does not answer.
    pub fn disable_messages(&self) -> Result {
        self.disable_message_interrupts()?;
        let command: u16 = self.read(COMMAND)?;
        self.write(COMMAND, command & !COMMAND_INTX_DISABLE)
    }

    fn disable_message_interrupts(&self) -> Result {
        for (register, bits) in self.message_interrupts() {
            let control: u16 = self.read(register)?;
            if control & bits != 0 {
                self.write(register, control & !bits)?;
            }
        }
        Ok(())
    }

    /// Returns whether MSI and MSI-X are as [`ConfigSpace::quiesce`] leaves them.
    pub(super) fn has_message_interrupts_off(&self) -> Result<bool> {
        for (register, bits) in self.message_interrupts() {
            if self.read::<u16>(register)? & bits != 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the offsets of the MSI and MSI-X control registers, and the bits that are clear in a
    /// stopped function.
    fn message_interrupts(&self) -> impl Iterator<Item = (u16, u16)> {
        // SAFETY: `self.dev` is a valid `struct pci_dev`. The offsets do not change after set-up.
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
