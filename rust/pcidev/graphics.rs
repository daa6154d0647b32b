// SPDX-License-Identifier: GPL-2.0

//! What guests get of an Intel GPU.
//!
//! If a guest has the option `gfx_passthru` and the GPU is a VGA controller, QEMU maps the pages at
//! the host's address of the OpRegion to the guest, whatever is there: machine page 0 if the
//! address is 0. Dom0 cannot see the option, but without it QEMU refuses a GPU at 0000:00:02.0. So
//! the rule is:
//!
//! * A GPU at 0000:00:02.0 with a valid OpRegion stays as it is. What a guest has written to the
//!   OpRegion is undone when it does not have the GPU any more.
//! * Any other GPU of Intel is shown as a display that is no VGA controller, so that QEMU maps
//!   nothing, and refuses it at 0000:00:02.0. Addresses of the host in its configuration space are
//!   hidden.

use kernel::prelude::*;

use xen::{
    igd,
    pci::{
        is_intel_gpu,
        DeviceExt,
        FirmwareRegisters,
        Hiding,
        Locked,
        Sbdf,
        TextFile, //
    },
    vpci, //
};

use crate::GUARD;

/// Where QEMU expects the GPU.
const PLACE: Sbdf = Sbdf::new(0, 0, 0x10);

/// The base class and subclass of a VGA controller.
const VGA: u32 = 0x03_00;
/// The class of a display that is no VGA controller.
const OTHER_DISPLAY: u32 = 0x03_80_00;

/// What is changed of an Intel GPU in sysfs while xen-pciback has it.
pub(crate) struct Guard {
    /// What has to be hidden in its configuration space.
    pub(crate) hidden: KVec<Hiding>,
    /// The OpRegion, if guests may have it.
    opregion: Option<igd::Contents>,
    _class: Option<TextFile>,
}

impl Guard {
    /// Decides what guests may have of `dev`, whose firmware has set `registers`. `None` if it is
    /// no Intel GPU, if the parameter is off, or if a guest has it already. May sleep.
    ///
    /// Errors: `ENOMEM`; those of [`TextFile::class`].
    pub(crate) fn new(dev: &Locked, registers: Option<&FirmwareRegisters>) -> Result<Option<Self>> {
        if !GUARD.get() || !is_intel_gpu(dev) {
            return Ok(None);
        }
        let in_tree = dev.in_tree().ok_or(ENODEV)?;
        if vpci::Function::of(&in_tree)?.is_assigned() {
            dev_warn!(
                dev,
                "a guest has this GPU already: not guarded; after that guest, run xl pci-assignable-remove, then pci-assignable-add\n"
            );
            return Ok(None);
        }
        let opregion = opregion(dev, registers)?;
        let mut hidden = KVec::new();
        match registers {
            // Not as they are: a reset may clear them under a device model.
            Some(registers) => {
                for (offset, value) in registers.iter() {
                    let value = opregion.as_ref().map_or(0, |_| value);
                    hidden.push(Hiding::Register { offset, value }, GFP_KERNEL)?;
                }
            }
            None => {
                let offset = FirmwareRegisters::OPREGION;
                hidden.push(Hiding::Register { offset, value: 0 }, GFP_KERNEL)?;
            }
        }
        let is_vga = dev.pci_class().as_raw() >> 8 == VGA;
        let class = match is_vga && opregion.is_none() {
            true => Some(TextFile::class(&in_tree, OTHER_DISPLAY)?),
            false => None,
        };
        Ok(Some(Self {
            hidden,
            opregion,
            _class: class,
        }))
    }

    /// Undoes what a guest has written to the OpRegion. May sleep.
    pub(crate) fn returned(&self, sbdf: Sbdf) {
        if let Some(Err(e)) = self.opregion.as_ref().map(igd::Contents::restore) {
            pr_warn!(
                "{sbdf}: the next owner finds what the last one wrote to the OpRegion: {e:?}\n"
            );
        }
    }
}

/// Returns the OpRegion if QEMU may map it to a guest, and logs whether it may.
fn opregion(dev: &Locked, registers: Option<&FirmwareRegisters>) -> Result<Option<igd::Contents>> {
    if dev.sbdf()? != PLACE {
        dev_info!(
            dev,
            "guests get no OpRegion: QEMU maps only that of 0000:00:02.0\n"
        );
        return Ok(None);
    }
    let address = registers.map_or(0, FirmwareRegisters::opregion);
    match igd::opregion(address) {
        Ok((region, contents)) => {
            let (major, minor) = region.version;
            dev_info!(
                dev,
                "OpRegion {}.{} at {:#x}: guests with gfx_passthru get it\n",
                major,
                minor,
                address
            );
            Ok(Some(contents))
        }
        Err(e) => {
            dev_err!(
                dev,
                "OpRegion at {:#x} is not valid ({}): guests cannot have this GPU; look for new firmware (BIOS)\n",
                address,
                e.reason()
            );
            Ok(None)
        }
    }
}
