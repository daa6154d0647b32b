// SPDX-License-Identifier: GPL-2.0

//! Keeping a function's MSI-X table known to Xen.
//!
//! Xen maps MSI-X interrupts for a guest only if it learnt the table's address while dom0 owned
//! the function. `PHYSDEVOP_prepare_msix` tells it, but Xen up to 4.22 refuses that operation to a
//! PVH dom0. Mapping one entry to dom0 itself has the same effect for as long as the mapping lives.
//!
//! A guest that uses the function by MSI ends that: Xen then takes the mapping for the guest's own
//! MSI-X, gives it up, and miscounts from then on. Nobody's MSI-X works any more, dom0's neither.
//! This can be repaired only once dom0 owns the function again.
//!
//! A guest may use that entry, too. Its address and data then come from the guest's mapping, but
//! Xen applies the guest's masking and unmasking to the first mapping, ours, and unmasks an entry
//! in hardware only if dom0's side of its mapping is unmasked as well: so ours is bound, too.

use kernel::{
    pci::Device,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    bindings,
    hypercall::{
        domctl,
        physdev, //
    },
    pci::{
        Command,
        ConfigSpace,
        DeviceExt,
        Locked,
        MsixTable, //
    },
    vpci::Function, //
};

/// The error of a mapping if Xen does not know the table, and does not look for it.
// CAST: A small number.
const ENODATA: c_int = bindings::ENODATA as c_int;

/// How Xen was made to know the table.
enum Means {
    /// `PHYSDEVOP_prepare_msix`, to be undone by `PHYSDEVOP_release_msix`.
    Prepared,
    /// Somebody else's `PHYSDEVOP_prepare_msix`: nothing is ours to undo.
    PreparedByOther,
    /// The table's last entry is mapped to this domain.
    Mapped(Mapping),
    /// The hold was undone.
    Released,
}

/// A pirq of this domain, and its binding. Guests cannot use the entry unless it is bound.
struct Mapping {
    pirq: i32,
    bound: Result<domctl::Bound>,
}

/// Makes guests able to use the function's MSI-X for as long as this value lives.
///
/// Making one and dropping one mask the table's last entry in hardware, and so must not happen
/// while a guest has the function: [`Hold::new`] is refused then, and before a drop
/// [`owned_by_dom0`] can tell.
///
/// # Invariants
///
/// Unless it is [`Means::Released`], Xen knows the table by `means`, which is still to be undone.
pub struct Hold {
    dev: ARef<Device>,
    function: Function,
    table: MsixTable,
    means: Means,
}

impl Hold {
    /// Makes Xen learn where `table` of `dev` is.
    ///
    /// Errors: `ENODEV` if dom0 does not own the function, because it is quarantined, a guest's, or
    /// Xen refused it; `ENXIO` if its memory decoding is off; else those of `PHYSDEVOP_map_pirq`.
    ///
    /// `function` is `dev` as Xen is told of it; `EINVAL` if it is another one.
    pub fn new(dev: &Locked, function: Function, table: MsixTable) -> Result<Self> {
        function.require(dev)?;
        Self::once(dev, function, table).or_else(|e| {
            rediscover_lost(dev, function, e)?;
            Self::once(dev, function, table)
        })
    }

    fn once(dev: &Device, function: Function, table: MsixTable) -> Result<Self> {
        let means = match physdev::prepare_msix(function.sbdf) {
            Ok(()) => Means::Prepared,
            Err(e) if e == EBUSY => Means::PreparedByOther,
            Err(_) => Means::Mapped(Mapping::new(map_last(dev, table)?)),
        };
        // INVARIANT: Xen knows it by now.
        Ok(Self {
            dev: dev.into(),
            function,
            table,
            means,
        })
    }

    /// The pirq that the table's last entry is mapped to, if it had to be.
    pub fn pirq(&self) -> Option<i32> {
        match &self.means {
            Means::Mapped(mapping) => Some(mapping.pirq),
            _ => None,
        }
    }

    /// The table.
    pub fn table(&self) -> MsixTable {
        self.table
    }

    /// Whether guests can use the table's last entry; else, why Xen did not bind it. `EACCES` for a
    /// Xen that is not known here.
    pub fn last_entry(&self) -> Result {
        match &self.means {
            Means::Mapped(Mapping { bound: Err(e), .. }) => Err(*e),
            _ => Ok(()),
        }
    }

    /// Undoes the hold, and makes Xen able to map the table to dom0's own drivers again.
    ///
    /// Dom0 has to own the function, and no driver may use its interrupts. After an error there
    /// still is a hold. Errors: `EINVAL` if `dev` is another function; else those of
    /// `PHYSDEVOP_release_msix` or `PHYSDEVOP_unmap_pirq`.
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

    /// Tries to map the table, which makes this a hold again, and repairs the damage that a guest's
    /// MSI has done to it. Does nothing without BARs.
    fn repair(&mut self, dev: &Locked) -> Result {
        if !ConfigSpace::of(dev).has_its_bars()? {
            return Ok(());
        }
        let command = Command::keep(dev)?;
        command.enable_memory()?;
        match map_last(dev, self.table) {
            // INVARIANT: Xen knows the table by this mapping.
            Ok(pirq) => {
                self.means = Means::Mapped(Mapping {
                    pirq,
                    bound: Err(ENOENT),
                })
            }
            Err(e) => rediscover_lost(dev, self.function, e)?,
        }
        Ok(())
    }

    /// Undoes the hold, as dropping it does, and returns Xen's error. After an error it stays.
    pub fn release(&mut self) -> Result {
        match &mut self.means {
            Means::Prepared => physdev::release_msix(self.function.sbdf)?,
            Means::Mapped(mapping) => mapping.undo()?,
            Means::PreparedByOther | Means::Released => (),
        }
        // INVARIANT: Nothing is left to be undone.
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

impl Mapping {
    /// Binds `pirq`.
    fn new(pirq: i32) -> Self {
        Self {
            pirq,
            bound: bind(pirq),
        }
    }

    /// Unbinds and unmaps it. After an error it is as it was.
    fn undo(&mut self) -> Result {
        if let Ok(bound) = &mut self.bound {
            bound.release()?;
        }
        physdev::unmap_pirq(self.pirq).inspect_err(|_| self.bound = bind(self.pirq))
    }
}

/// Whether Xen gives the function to dom0 now, rather than to a guest or to its quarantine.
///
/// Asked by mapping an entry that `table` does not have, which changes nothing: `ENODEV` unless
/// dom0 owns the function, and only then `EINVAL`.
pub fn owned_by_dom0(dev: &Device, table: MsixTable) -> Result<bool> {
    match map(dev, table, table.entries) {
        Ok(pirq) => physdev::unmap_pirq(pirq).map(|()| true),
        Err(e) if e == EINVAL => Ok(true),
        Err(e) if e == ENODEV => Ok(false),
        Err(e) => Err(e),
    }
}

/// Makes Xen find the function again if `error`, of a mapping, says that it has lost the table.
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

/// Maps the last entry of `table` to this domain; returns the pirq.
fn map_last(dev: &Device, table: MsixTable) -> Result<i32> {
    map(dev, table, table.entries.saturating_sub(1))
}

fn map(dev: &Device, table: MsixTable, entry: u16) -> Result<i32> {
    physdev::map_msix(dev.sbdf()?, entry, dev.resource_start(table.bar)?)
}

fn bind(pirq: i32) -> Result<domctl::Bound> {
    domctl::Bound::new(u32::try_from(pirq)?)
}
