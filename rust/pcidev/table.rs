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

    /// Notes that `domain` has exactly `functions`.
    pub(crate) fn assign(&mut self, domain: u16, functions: &[Sbdf]) {
        for (sbdf, facts) in self.0.iter_mut() {
            if functions.contains(sbdf) {
                facts.domain = Some(domain);
            } else if facts.domain == Some(domain) {
                facts.domain = None;
            }
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
