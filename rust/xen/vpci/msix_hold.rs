// SPDX-License-Identifier: GPL-2.0

//! Holding an MSI-X table: keeping its location known to Xen.
//!
//! Xen maps MSI-X interrupts for a guest only if it learnt the address of the table while dom0
//! owned the function. `PHYSDEVOP_prepare_msix` records the address, but Xen up to 4.22 refuses
//! that operation to a PVH dom0. Mapping one entry to dom0 records the address as well, for as long
//! as the mapping exists.
//!
//! If a guest uses MSI on the function, Xen takes the mapping for the guest's own MSI-X, drops it,
//! and miscounts from then on. MSI-X of the function then works neither for guests nor for dom0.
//! This can be repaired only once dom0 owns the function again.
//!
//! Guests cannot use the mapped entry. Xen finds dom0's mapping when a guest masks or unmasks it.
//! The guest's own mapping stays masked, and so does the entry as soon as Xen moves the interrupt
//! to another processor: the guest gets one interrupt, or none. So a device model must not see the
//! entry ([`Hold::hiding`]). If there is no other it is to see no MSI-X: the guest then uses MSI or
//! INTx.

use kernel::{
    pci::Device,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    bindings,
    hypercall::physdev,
    pci::{
        Command,
        ConfigSpace,
        DeviceExt,
        Hiding,
        Locked,
        MsixTable, //
    },
    vpci::Function,
};

/// The error of `PHYSDEVOP_map_pirq` if Xen does not know the table and does not look for it.
// CAST: An errno is a small number.
const ENODATA: c_int = bindings::ENODATA as c_int;

/// How Xen was told of the table.
enum Means {
    /// By `PHYSDEVOP_prepare_msix`. `PHYSDEVOP_release_msix` undoes it.
    Prepared,
    /// By a `PHYSDEVOP_prepare_msix` of another caller, who undoes it.
    PreparedByOther,
    /// By a mapping of the table's last entry to this pirq of dom0.
    Mapped(i32),
    /// The hold was released.
    Released,
}

/// A hold on the MSI-X table of a function: guests can use MSI-X until this value is dropped.
///
/// Mapping and unmapping mask the table's last entry in hardware, so neither must happen while a
/// guest has the function. [`Hold::new`] fails then. Before dropping the value, check
/// [`owned_by_dom0`].
///
/// # Invariants
///
/// Unless `means` is [`Means::Released`], Xen knows the table by `means`, which was not undone.
pub struct Hold {
    dev: ARef<Device>,
    function: Function,
    table: MsixTable,
    means: Means,
}

impl Hold {
    /// Tells Xen the location of `table`, the MSI-X table of `dev`. `function` is the identity of
    /// `dev`.
    ///
    /// Errors: `EINVAL` if `function` is another function; `ENODEV` if dom0 does not own the
    /// function: it is quarantined, assigned to a guest, or refused by Xen; `ENXIO` if memory
    /// decoding is off; else those of `PHYSDEVOP_map_pirq`.
    pub fn new(dev: &Locked, function: Function, table: MsixTable) -> Result<Self> {
        function.require(dev)?;
        Self::once(dev, function, table).or_else(|e| {
            rediscover_lost(dev, function, e)?;
            Self::once(dev, function, table)
        })
    }

    fn once(dev: &Locked, function: Function, table: MsixTable) -> Result<Self> {
        let means = match physdev::prepare_msix(function.sbdf) {
            Ok(()) => Means::Prepared,
            Err(e) if e == EBUSY => Means::PreparedByOther,
            Err(_) => Means::Mapped(map_last(dev, table)?),
        };
        // INVARIANT: Xen knows the table by `means`.
        Ok(Self {
            dev: (&**dev).into(),
            function,
            table,
            means,
        })
    }

    /// Returns the pirq of the table's last entry; `None` if the entry is not mapped.
    pub fn pirq(&self) -> Option<i32> {
        match &self.means {
            Means::Mapped(pirq) => Some(*pirq),
            _ => None,
        }
    }

    /// Returns the location and size of the table.
    pub fn table(&self) -> MsixTable {
        self.table
    }

    /// Returns how to hide the last entry from device models; `None` if guests can use it.
    ///
    /// Errors: `EIO` if the function does not answer, or if its capabilities are no list.
    pub fn hiding(&self) -> Result<Option<Hiding>> {
        match &self.means {
            Means::Mapped(_) => ConfigSpace::of(&self.dev)
                .hiding_last_entry(self.table)
                .map(Some),
            _ => Ok(None),
        }
    }

    /// Releases the hold, and makes sure that dom0's own drivers can use MSI-X again. Logs if they
    /// may be unable to.
    ///
    /// Dom0 has to own the function, and no driver may use its interrupts.
    ///
    /// Errors: `EINVAL` if `dev` is another function; else those of `PHYSDEVOP_release_msix` or
    /// `PHYSDEVOP_unmap_pirq`. After an error the hold still exists.
    pub fn give_back(&mut self, dev: &Locked) -> Result {
        self.function.require(dev)?;
        self.release()?;
        if let Err(e) = self.repair(dev) {
            dev_warn!(
                dev,
                "dom0 may be unable to use its MSI-X ({:?}, see xl dmesg): remove it (echo 1 >remove) and rescan\n",
                e
            );
        }
        self.release()
    }

    /// Maps the last entry again, which makes this a hold again. If Xen has lost the table because
    /// a guest used MSI, makes Xen rediscover the function. Does nothing if the BARs were lost.
    fn repair(&mut self, dev: &Locked) -> Result {
        if !ConfigSpace::of(dev).has_its_bars()? {
            return Ok(());
        }
        let command = Command::keep(dev)?;
        command.enable_memory()?;
        match map_last(dev, self.table) {
            // INVARIANT: Xen knows the table by this mapping.
            Ok(pirq) => self.means = Means::Mapped(pirq),
            Err(e) => rediscover_lost(dev, self.function, e)?,
        }
        Ok(())
    }

    /// Releases the hold, as dropping it does, and returns Xen's error. After an error the hold
    /// still exists.
    pub fn release(&mut self) -> Result {
        match &mut self.means {
            Means::Prepared => physdev::release_msix(self.function.sbdf)?,
            Means::Mapped(pirq) => physdev::unmap_pirq(physdev::SELF, *pirq)?,
            Means::PreparedByOther | Means::Released => (),
        }
        // INVARIANT: `means` was undone.
        self.means = Means::Released;
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Err(e) = self.release() {
            dev_warn!(self.dev, "Xen did not release the MSI-X table: {:?}\n", e);
        }
    }
}

/// Returns whether dom0 owns the function, rather than a guest or Xen's quarantine.
///
/// The check maps an entry that `table` does not have, which changes nothing: Xen fails with
/// `ENODEV` if dom0 does not own the function, and with `EINVAL` otherwise.
pub fn owned_by_dom0(dev: &Device, table: MsixTable) -> Result<bool> {
    match map(dev, table, table.entries) {
        Ok(pirq) => physdev::unmap_pirq(physdev::SELF, pirq).map(|()| true),
        Err(e) if e == EINVAL => Ok(true),
        Err(e) if e == ENODEV => Ok(false),
        Err(e) => Err(e),
    }
}

/// Makes Xen rediscover the function if `error`, of a mapping, says that Xen has lost the table.
/// Returns other errors.
fn rediscover_lost(dev: &Locked, function: Function, error: Error) -> Result {
    if error.to_errno() != -ENODATA {
        return Err(error);
    }
    dev_info!(
        dev,
        "Xen dropped this function's MSI-X table (guest used MSI); re-registering\n"
    );
    function.rediscover(dev)
}

/// Maps the last entry of `table` to dom0, and returns the pirq.
fn map_last(dev: &Device, table: MsixTable) -> Result<i32> {
    map(dev, table, table.entries.saturating_sub(1))
}

fn map(dev: &Device, table: MsixTable, entry: u16) -> Result<i32> {
    physdev::map_message(
        physdev::SELF,
        dev.sbdf()?,
        entry,
        dev.resource_start(table.bar)?,
    )
}
