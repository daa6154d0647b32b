// SPDX-License-Identifier: GPL-2.0

//! Keeping a function's MSI-X table known to Xen.
//!
//! Xen maps MSI-X interrupts for a guest only if it learnt the table's address while dom0 owned
//! the function. `PHYSDEVOP_prepare_msix` tells it, but Xen up to 4.21 at least refuses that
//! operation to a PVH dom0. Mapping one entry to dom0 itself has the same effect for as long as the
//! mapping lives.
//!
//! A guest that uses the function by MSI ends that: Xen then takes the mapping for the guest's own
//! MSI-X, gives it up, and miscounts from then on: nobody's MSI-X works any more, dom0's neither.
//! Not before the function is dom0's again can that be mended.
//!
//! A guest may use that entry too. Its address and data then come from the guest's mapping, but
//! Xen takes the guest's masking and unmasking to the first mapping, ours, and unmasks an entry in
//! hardware only if dom0's side of its mapping is unmasked as well: so ours is bound, too.

use kernel::{
    pci::Device,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    bindings,
    config,
    domctl,
    pci::{
        DeviceExt,
        Locked,
        MsixTable, //
    },
    physdev,
    Sbdf, //
};

/// What Xen says of a table that it does not know, and does not look for.
// CAST: A small number.
const ENODATA: c_int = bindings::ENODATA as c_int;

/// How a [`Hold`] keeps the table known.
enum Means {
    /// `PHYSDEVOP_prepare_msix`, to be undone by `PHYSDEVOP_release_msix`.
    Prepared,
    /// Somebody else's `PHYSDEVOP_prepare_msix`.
    PreparedByOther,
    /// The table's last entry is mapped to this domain, as the pirq given here. Without the
    /// binding guests cannot use that entry.
    Mapped(i32, Result<domctl::Bound>),
}

/// Makes guests able to use the function's MSI-X for as long as this value lives.
///
/// Making one and dropping one mask the table's last entry in hardware, and so must not happen
/// while a guest has the function: [`Hold::new`] is refused then, and before a drop
/// [`owned_by_dom0`] can tell.
///
/// # Invariants
///
/// Xen knows the table by `means`, which is still to be undone.
pub struct Hold {
    dev: ARef<Device>,
    sbdf: Sbdf,
    means: Means,
}

impl Hold {
    /// Makes Xen learn where `table` of `dev` is.
    ///
    /// Errors: `ENODEV` if dom0 does not own the function, because it is quarantined, a guest's, or
    /// Xen refused it; `ENXIO` if its memory decoding is off; else those of `PHYSDEVOP_map_pirq`.
    pub fn new(dev: &Locked, table: MsixTable) -> Result<Self> {
        Self::once(dev, table).or_else(|e| {
            rediscover_lost(dev, e)?;
            Self::once(dev, table)
        })
    }

    fn once(dev: &Device, table: MsixTable) -> Result<Self> {
        let sbdf = dev.sbdf()?;
        let mut arg = physdev::pci_device(sbdf);
        // SAFETY: The argument of this operation.
        let means = match unsafe { physdev::call(bindings::PHYSDEVOP_prepare_msix, &mut arg) } {
            Ok(()) => Means::Prepared,
            Err(e) if e == EBUSY => Means::PreparedByOther,
            Err(_) => {
                let pirq = map(dev, sbdf, table, table.entries.saturating_sub(1))?;
                Means::Mapped(pirq, bind(pirq))
            }
        };
        // INVARIANT: Xen knows it by now.
        Ok(Self {
            dev: dev.into(),
            sbdf,
            means,
        })
    }

    /// The pirq that the table's last entry is mapped to, if it had to be.
    pub fn pirq(&self) -> Option<i32> {
        match self.means {
            Means::Mapped(pirq, _) => Some(pirq),
            Means::Prepared | Means::PreparedByOther => None,
        }
    }

    /// Whether guests can use the table's last entry; else, why Xen did not bind it. `EACCES` for a
    /// Xen that is not known here.
    pub fn last_entry(&self) -> Result {
        match &self.means {
            Means::Mapped(_, Err(e)) => Err(*e),
            _ => Ok(()),
        }
    }

    /// Undoes the hold, and makes Xen able to map `table` of `dev` to dom0's own drivers again.
    ///
    /// Dom0 has to own the function, and no driver may use its interrupts. After an error there
    /// still is a hold. Errors: those of `PHYSDEVOP_release_msix` or `PHYSDEVOP_unmap_pirq`.
    pub fn give_back(&mut self, dev: &Locked, table: MsixTable) -> Result {
        self.release()?;
        if let Err(e) = self.mend(dev, table) {
            dev_warn!(
                dev,
                "dom0 may be unable to use its MSI-X ({:?}, see xl dmesg): remove it (echo 1 >remove) and rescan\n",
                e
            );
        }
        self.release()
    }

    /// Tries to map the table, which is a hold again; mends what a guest's MSI has done to it.
    ///
    /// Without its BARs there is nothing to be tried.
    fn mend(&mut self, dev: &Locked, table: MsixTable) -> Result {
        if !config::has_its_bars(dev)? {
            return Ok(());
        }
        // As it was again in the end.
        let _command = config::Command::keep(dev)?;
        config::decode_memory(dev)?;
        match map(dev, self.sbdf, table, table.entries.saturating_sub(1)) {
            // INVARIANT: Xen knows the table by this mapping.
            Ok(pirq) => self.means = Means::Mapped(pirq, Err(ENOENT)),
            Err(e) => rediscover_lost(dev, e)?,
        }
        Ok(())
    }

    /// Undoes the hold, as dropping it does, and tells what Xen said. After an error it stays.
    pub fn release(&mut self) -> Result {
        match &mut self.means {
            Means::Prepared => {
                let mut arg = physdev::pci_device(self.sbdf);
                // SAFETY: The argument of this operation.
                unsafe { physdev::call(bindings::PHYSDEVOP_release_msix, &mut arg)? }
            }
            Means::PreparedByOther => (),
            Means::Mapped(pirq, bound) => {
                if let Ok(bound) = bound {
                    bound.release()?;
                }
                unmap(*pirq).inspect_err(|_| *bound = bind(*pirq))?;
            }
        }
        // INVARIANT: Nothing is left to be undone.
        self.means = Means::PreparedByOther;
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

/// Whether Xen gives the function to dom0 now, rather than to a guest or to its quarantine.
///
/// Asked by mapping an entry that `table` does not have, which changes nothing: `ENODEV` unless
/// dom0 owns the function, and only then `EINVAL`.
pub fn owned_by_dom0(dev: &Device, table: MsixTable) -> Result<bool> {
    match map(dev, dev.sbdf()?, table, table.entries) {
        Ok(pirq) => unmap(pirq).map(|()| true),
        Err(e) if e == EINVAL => Ok(true),
        Err(e) if e == ENODEV => Ok(false),
        Err(e) => Err(e),
    }
}

/// After this error of a mapping, if it is that of a table that Xen has lost.
fn rediscover_lost(dev: &Locked, error: Error) -> Result {
    if error.to_errno() != -ENODATA {
        return Err(error);
    }
    dev_info!(
        dev,
        "Xen has lost its MSI-X table, as it does when a guest uses MSI, and is made to find it again\n"
    );
    physdev::rediscover(dev)
}

/// Maps an entry of `table` to this domain; returns the pirq.
fn map(dev: &Device, sbdf: Sbdf, table: MsixTable, entry: u16) -> Result<i32> {
    let mut map = bindings::physdev_map_pirq {
        domid: bindings::DOMID_SELF as bindings::domid_t,
        type_: bindings::MAP_PIRQ_TYPE_MSI_SEG as c_int,
        index: -1,
        pirq: -1,
        // CAST: Xen takes the segment's bits back out of the sign.
        bus: (u32::from(sbdf.segment()) << 16 | u32::from(sbdf.bus())) as c_int,
        devfn: i32::from(sbdf.devfn()),
        entry_nr: i32::from(entry),
        table_base: dev.resource_start(table.bar)?,
    };
    // SAFETY: The argument of this operation.
    unsafe { physdev::call(bindings::PHYSDEVOP_map_pirq, &mut map)? };
    Ok(map.pirq)
}

fn bind(pirq: i32) -> Result<domctl::Bound> {
    domctl::Bound::new(u32::try_from(pirq)?)
}

fn unmap(pirq: i32) -> Result {
    let mut arg = bindings::physdev_unmap_pirq {
        domid: bindings::DOMID_SELF as bindings::domid_t,
        pirq,
    };
    // SAFETY: The argument of this operation.
    unsafe { physdev::call(bindings::PHYSDEVOP_unmap_pirq, &mut arg) }
}
