// SPDX-License-Identifier: GPL-2.0

//! Registers in which firmware tells the driver of an integrated Intel GPU of memory. A reset may
//! clear them.
//!
//! C header: [`include/drm/intel/i915_drm.h`](srctree/include/drm/intel/i915_drm.h)

use kernel::{
    pci::{
        Device,
        Vendor, //
    },
    prelude::*, //
};

use crate::pci::{
    ConfigSpace,
    DeviceExt, //
};

/// The base class of displays.
const DISPLAY: u32 = 0x03;

/// The address of the OpRegion (`ASLS`).
const ASLS: u16 = 0xfc;
/// The size of stolen memory (`GGC`), its address (`BDSM`) up to generation 10, its address since
/// generation 11, in two registers, and `ASLS`.
const OFFSETS: [u16; 5] = [0x50, 0x5c, 0xc0, 0xc4, ASLS];

/// The values of those registers.
pub struct FirmwareRegisters([u32; 5]);

impl FirmwareRegisters {
    /// Reads them. `None` if `dev` is no Intel GPU on bus 0: others may have something else there.
    /// May sleep. `EIO` if the function does not answer.
    pub fn of(dev: &Device) -> Result<Option<Self>> {
        if !is_intel_gpu(dev) || !is_integrated(dev) {
            return Ok(None);
        }
        let config = ConfigSpace::of(dev);
        let mut values = [0; 5];
        for (value, offset) in values.iter_mut().zip(OFFSETS) {
            *value = config.read(offset)?;
        }
        Ok(Some(Self(values)))
    }

    /// Writes those back to `dev` that have changed, unless it does not answer. Logs those that
    /// cannot be written. May sleep.
    pub fn restore(&self, dev: &Device) {
        let config = ConfigSpace::of(dev);
        for (offset, was) in self.iter() {
            let Ok(is) = config.read::<u32>(offset) else {
                return;
            };
            if is != was && config.write(offset, was).and_then(|()| config.read(offset)) != Ok(was)
            {
                dev_warn!(
                    dev,
                    "firmware register {:#04x} reads {:#x}, not {:#x} as before the reset, and cannot be restored: drivers may fail\n",
                    offset,
                    is,
                    was
                );
            }
        }
    }

    /// Returns the offsets of those that `dev`, an Intel GPU, may have, for 32 bits each. One that
    /// is not on bus 0 may have an OpRegion.
    pub fn offsets(dev: &Device) -> &'static [u16] {
        if is_integrated(dev) {
            &OFFSETS
        } else {
            &[ASLS]
        }
    }

    /// Returns the offset and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u32)> + '_ {
        OFFSETS.into_iter().zip(self.0)
    }

    /// Returns the address of the OpRegion; 0 for none.
    pub fn opregion(&self) -> u32 {
        let [.., address] = self.0;
        address
    }
}

/// Returns whether `dev` is a GPU of Intel.
pub fn is_intel_gpu(dev: &Device) -> bool {
    dev.vendor_id() == Vendor::INTEL && dev.pci_class().as_raw() >> 16 == DISPLAY
}

fn is_integrated(dev: &Device) -> bool {
    dev.sbdf().is_ok_and(|sbdf| sbdf.bus() == 0)
}
