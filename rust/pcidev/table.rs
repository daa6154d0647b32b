// SPDX-License-Identifier: GPL-2.0

//! What is known of every PCI function.

use kernel::{
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    }, //
};

use xen::{
    gsi::{
        NoRoute,
        Polarity,
        Route,
        Trigger, //
    },
    pci::{
        MsixTable,
        Pin, //
    },
    Sbdf, //
};

use crate::uapi;

/// Who has a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// No driver.
    Nobody,
    /// A driver of dom0's own.
    Driver,
    /// The driver that hands functions to guests.
    Pciback,
}

/// What became of a function's MSI-X table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Msix {
    /// Not held.
    Free,
    /// Held for guests.
    Held,
    /// Should be held, but Xen refused.
    Refused,
}

/// What is known of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The INTx pin.
    pub(crate) pin: Option<Pin>,
    /// Where the pin is routed.
    pub(crate) route: Result<Route, NoRoute>,
    /// The MSI-X table.
    pub(crate) table: Option<MsixTable>,
    /// Who has it.
    pub(crate) holder: Holder,
    /// The line's Linux irq, while a driver has enabled the function or it is seized.
    pub(crate) irq: Option<u32>,
    /// What became of the MSI-X table.
    pub(crate) msix: Msix,
    /// The guest that the toolstack has given it to, from the end of attaching it to the end of
    /// detaching it.
    pub(crate) domain: Option<u16>,
}

impl Facts {
    /// The answer to [`uapi::GET_INFO`].
    pub(crate) fn info(&self, sbdf: Sbdf) -> uapi::Info {
        let mut info = uapi::Info {
            argsz: uapi::Info::SIZE as u32,
            sbdf: sbdf.to_u32(),
            pin: self.pin.map_or(0, |pin| pin.number().into()),
            holder: match self.holder {
                Holder::Nobody => uapi::HOLDER_NONE,
                Holder::Driver => uapi::HOLDER_DRIVER,
                Holder::Pciback => uapi::HOLDER_PCIBACK,
            },
            msix_entries: self.table.map_or(0, |table| table.entries.into()),
            msix: match self.msix {
                Msix::Free => uapi::MSIX_FREE,
                Msix::Held => uapi::MSIX_HELD,
                Msix::Refused => uapi::MSIX_REFUSED,
            },
            ..Default::default()
        };
        if let Ok(route) = self.route {
            info.flags |= uapi::FLAG_GSI;
            info.gsi = route.gsi;
            if route.trigger == Trigger::Level {
                info.trigger = uapi::TRIGGER_LEVEL;
            }
            if route.polarity == Polarity::Low {
                info.polarity = uapi::POLARITY_LOW;
            }
        }
        if let Some(irq) = self.irq {
            info.flags |= uapi::FLAG_IRQ;
            info.irq = irq;
        }
        if let Some(domid) = self.domain {
            info.flags |= uapi::FLAG_DOMID;
            info.domid = domid.into();
        }
        info
    }
}

/// The functions and what is known of them, by address.
///
/// No operation sleeps or allocates: it is used under a spinlock.
pub(crate) struct Table(RBTree<Sbdf, Facts>);

impl Table {
    /// A table without functions.
    pub(crate) fn new() -> Self {
        Self(RBTree::new())
    }

    /// Adds a function, or replaces what is known of it; returns what has to be freed.
    pub(crate) fn insert(
        &mut self,
        node: RBTreeNode<Sbdf, Facts>,
    ) -> Option<RBTreeNode<Sbdf, Facts>> {
        self.0.insert(node)
    }

    /// Removes a function; returns what has to be freed.
    pub(crate) fn remove(&mut self, sbdf: Sbdf) -> Option<RBTreeNode<Sbdf, Facts>> {
        self.0.remove_node(&sbdf)
    }

    /// What is known of a function; `ENODEV` if there is none.
    pub(crate) fn get(&self, sbdf: Sbdf) -> Result<Facts> {
        self.0.get(&sbdf).copied().ok_or(ENODEV)
    }

    /// The GSI to tell a toolstack; `ENOENT` if it has nothing to do with one.
    ///
    /// A function that its guest already has can only be on its way out. While the guest keeps
    /// another one on the same line, the line must stay mapped to it, so there is nothing to do.
    pub(crate) fn gsi_for_toolstack(&self, sbdf: Sbdf) -> Result<u32> {
        let facts = self.get(sbdf)?;
        let gsi = facts.route?.gsi;
        let shared = facts.domain.is_some()
            && self.iter().any(|(other, with)| {
                other != sbdf
                    && with.domain == facts.domain
                    && with.route.is_ok_and(|route| route.gsi == gsi)
            });
        if shared {
            Err(ENOENT)
        } else {
            Ok(gsi)
        }
    }

    /// Notes which domain has which function, and that no other function is in a guest.
    pub(crate) fn assign(&mut self, owners: &[(Sbdf, u16)]) {
        for (sbdf, facts) in self.0.iter_mut() {
            let owner = owners.iter().find(|(function, _)| function == sbdf);
            facts.domain = owner.map(|(_, domain)| *domain);
        }
    }

    /// Changes what is known of a function, if it is there.
    pub(crate) fn update(&mut self, sbdf: Sbdf, change: impl FnOnce(&mut Facts)) {
        if let Some(facts) = self.0.get_mut(&sbdf) {
            change(facts);
        }
    }

    /// All functions, in the order of their addresses.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Sbdf, &Facts)> {
        self.0.iter().map(|(sbdf, facts)| (*sbdf, facts))
    }
}

#[kunit_tests(xen_pcidev_table)]
mod tests {
    use super::*;

    const NIC: Sbdf = Sbdf::new(0, 3, 0);
    const DISK: Sbdf = Sbdf::new(0, 3, 8);
    const FAR: Sbdf = Sbdf::new(1, 0, 0);

    fn on_gsi(gsi: u32) -> Facts {
        Facts {
            pin: None,
            route: Ok(Route {
                gsi,
                trigger: Trigger::Level,
                polarity: Polarity::Low,
            }),
            table: None,
            holder: Holder::Nobody,
            irq: None,
            msix: Msix::Free,
            domain: None,
        }
    }

    fn without_route(reason: NoRoute) -> Facts {
        Facts {
            route: Err(reason),
            ..on_gsi(0)
        }
    }

    fn table(functions: &[(Sbdf, Facts)]) -> Result<Table> {
        let mut table = Table::new();
        for (sbdf, facts) in functions {
            table.insert(RBTreeNode::new(*sbdf, *facts, GFP_KERNEL)?);
        }
        Ok(table)
    }

    #[test]
    fn functions_come_and_go() -> Result {
        let mut table = table(&[(NIC, on_gsi(16))])?;
        assert_eq!(table.get(NIC), Ok(on_gsi(16)));
        assert_eq!(table.get(DISK), Err(ENODEV));

        // What is known is replaced, never doubled.
        let old = table.insert(RBTreeNode::new(NIC, on_gsi(17), GFP_KERNEL)?);
        assert!(old.is_some());
        assert_eq!(table.get(NIC), Ok(on_gsi(17)));
        assert_eq!(table.iter().count(), 1);

        assert!(table.remove(NIC).is_some());
        assert!(table.remove(NIC).is_none());
        assert_eq!(table.get(NIC), Err(ENODEV));
        Ok(())
    }

    #[test]
    fn order_is_that_of_addresses() -> Result {
        let table = table(&[(FAR, on_gsi(1)), (NIC, on_gsi(2)), (DISK, on_gsi(3))])?;
        assert!(table.iter().map(|(sbdf, _)| sbdf).eq([NIC, DISK, FAR]));
        Ok(())
    }

    /// A function that went away meanwhile is not made again.
    #[test]
    fn update_changes_only_what_is_there() -> Result {
        let mut table = table(&[(NIC, on_gsi(16))])?;
        table.update(NIC, |facts| facts.holder = Holder::Pciback);
        table.update(DISK, |facts| facts.holder = Holder::Pciback);
        assert_eq!(table.get(NIC)?.holder, Holder::Pciback);
        assert_eq!(table.get(DISK), Err(ENODEV));
        Ok(())
    }

    /// libxl goes on without INTx at `ENOENT` only.
    #[test]
    fn toolstack_is_told_why_there_is_no_gsi() -> Result {
        let table = table(&[
            (NIC, on_gsi(16)),
            (DISK, without_route(NoRoute::NoPin)),
            (FAR, without_route(NoRoute::Unrouted)),
        ])?;
        assert_eq!(table.gsi_for_toolstack(NIC), Ok(16));
        assert_eq!(table.gsi_for_toolstack(DISK), Err(ENOENT));
        assert_eq!(table.gsi_for_toolstack(FAR), Err(ENXIO));
        assert_eq!(table.gsi_for_toolstack(Sbdf::new(9, 9, 9)), Err(ENODEV));
        Ok(())
    }

    /// A line stays mapped for as long as its guest has one function on it.
    #[test]
    fn line_is_unmapped_with_the_last_function() -> Result {
        let mut table = table(&[(NIC, on_gsi(16)), (DISK, on_gsi(16)), (FAR, on_gsi(17))])?;
        table.assign(&[(NIC, 1), (DISK, 1), (FAR, 1)]);
        assert_eq!(table.gsi_for_toolstack(NIC), Err(ENOENT));
        assert_eq!(table.gsi_for_toolstack(FAR), Ok(17));

        // Detached: the other one is the last.
        table.assign(&[(DISK, 1), (FAR, 1)]);
        assert_eq!(table.gsi_for_toolstack(DISK), Ok(16));

        // Another guest's function on the line is no reason to keep it mapped here.
        table.assign(&[(DISK, 1), (FAR, 1), (NIC, 2)]);
        assert_eq!(table.gsi_for_toolstack(DISK), Ok(16));
        assert_eq!(table.gsi_for_toolstack(NIC), Ok(16));
        Ok(())
    }

    #[test]
    fn assignment_is_replaced() -> Result {
        let mut table = table(&[(NIC, on_gsi(16)), (DISK, on_gsi(16))])?;
        table.assign(&[(NIC, 1), (DISK, 2)]);
        assert_eq!(table.get(NIC)?.domain, Some(1));
        assert_eq!(table.get(DISK)?.domain, Some(2));
        table.assign(&[(DISK, 2)]);
        assert_eq!(table.get(NIC)?.domain, None);
        assert_eq!(table.get(DISK)?.domain, Some(2));
        Ok(())
    }

    /// A flag for each field that holds, and nothing in those that do not.
    #[test]
    fn info_says_what_holds() {
        let bare = without_route(NoRoute::NoPin).info(NIC);
        let empty = uapi::Info {
            argsz: uapi::Info::SIZE as u32,
            sbdf: NIC.to_u32(),
            ..Default::default()
        };
        assert_eq!(bare, empty);

        let full = Facts {
            table: Some(MsixTable { entries: 5, bar: 3 }),
            holder: Holder::Pciback,
            irq: Some(30),
            msix: Msix::Held,
            domain: Some(7),
            ..on_gsi(16)
        };
        assert_eq!(
            full.info(NIC),
            uapi::Info {
                flags: uapi::FLAG_GSI | uapi::FLAG_IRQ | uapi::FLAG_DOMID,
                gsi: 16,
                irq: 30,
                trigger: uapi::TRIGGER_LEVEL,
                polarity: uapi::POLARITY_LOW,
                holder: uapi::HOLDER_PCIBACK,
                domid: 7,
                msix_entries: 5,
                msix: uapi::MSIX_HELD,
                ..empty
            }
        );
    }
}
