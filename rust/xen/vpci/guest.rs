// SPDX-License-Identifier: GPL-2.0

//! Interrupts of functions, mapped to PV guests in their name.
//!
//! A guest binds the pirqs to its event channels itself. Xen unmaps them when the guest ends.

use kernel::{
    pci::Device,
    prelude::*, //
};

use crate::{
    hypercall::physdev,
    pci::{
        DeviceExt,
        MsixTable, //
    }, //
};

/// Maps the MSI of `dev` to `domain`, and returns the pirq. The function must be assigned to it.
///
/// Errors: `ERANGE` if the guest could not be told the number; else those of `PHYSDEVOP_map_pirq`.
pub fn map_msi(domain: u16, dev: &Device) -> Result<u16> {
    small(domain, physdev::map_message(domain, dev.sbdf()?, 0, 0)?)
}

/// Maps an entry of the MSI-X table of `dev`, as [`map_msi`]. Besides, `EINVAL` if the table's BAR
/// has no address; `ENODATA` if Xen does not know the table, see [`super::Hold`].
pub fn map_msix(domain: u16, dev: &Device, table: MsixTable, entry: u16) -> Result<u16> {
    let base = dev.resource_start(table.bar)?;
    // Xen takes 0 for a request of an MSI.
    if base == 0 {
        return Err(EINVAL);
    }
    small(
        domain,
        physdev::map_message(domain, dev.sbdf()?, entry, base)?,
    )
}

/// Returns the pirq of the line `gsi` in `domain`, if a toolstack has mapped it with the function.
/// Does not map it.
///
/// Errors: `ENOENT` if it is not mapped; else those of `PHYSDEVOP_map_pirq`.
pub fn line(domain: u16, gsi: u32) -> Result<i32> {
    physdev::line(domain, gsi)
}

/// Unmaps a pirq of [`map_msi`] or [`map_msix`]. Errors are those of `PHYSDEVOP_unmap_pirq`.
pub fn unmap(domain: u16, pirq: u16) -> Result {
    physdev::unmap_pirq(domain, pirq.into())
}

fn small(domain: u16, pirq: i32) -> Result<u16> {
    u16::try_from(pirq).map_err(|_| {
        let _ = physdev::unmap_pirq(domain, pirq);
        ERANGE
    })
}
