// SPDX-License-Identifier: GPL-2.0

//! The last entry of an MSI-X table that is held: nothing for a guest.
//!
//! Where the hold is a mapping of the entry to dom0, Xen finds that mapping when a guest masks or
//! unmasks the entry. The guest's own mapping stays masked, and so does the entry as soon as Xen
//! moves the interrupt to another processor: the guest gets one interrupt, or none.
//!
//! So the device model, which reads configuration space from sysfs, is to see a table without the
//! entry. If there is no other it is to see no MSI-X: the guest then uses MSI or INTx.

use kernel::prelude::*;

use crate::pci::{
    ConfigFile,
    ConfigSpace,
    Filter,
    Hiding,
    Locked,
    MsixTable, //
};

/// Hides the last entry from all who read configuration space from sysfs, until it is dropped.
pub(super) struct LastEntry(#[expect(dead_code, reason = "for its drop")] ConfigFile<Hiding>);

impl LastEntry {
    /// Hides the last entry of `table`, the MSI-X table of `dev`.
    ///
    /// Errors: `ENODEV` if `dev` has no driver; `EIO` if it does not answer; those of
    /// [`ConfigFile::new`].
    pub(super) fn hide(dev: &Locked, table: MsixTable) -> Result<Self> {
        let hiding = ConfigSpace::of(dev).hiding_last_entry(table)?;
        ConfigFile::new(&dev.in_tree().ok_or(ENODEV)?, hiding).map(Self)
    }
}

impl Filter for Hiding {
    fn change(&self, offset: u64, bytes: &mut [u8]) {
        Hiding::change(*self, offset, bytes);
    }
}
