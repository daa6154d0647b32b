// SPDX-License-Identifier: GPL-2.0

//! The functions of one guest.

use kernel::prelude::*;

use xen::{
    pci::Sbdf,
    xenbus::pci_backend::Entry, //
};

use crate::{
    assignment::Assignment,
    operation::GuestAddress,
    served::Slot,
    topology::Placed, //
};

/// The guest's functions.
pub(crate) struct Guest {
    /// The functions that the directory named when it was last read.
    wanted: KVec<Sbdf>,
    pub(crate) attached: KVec<Attached>,
    /// Entries whose error was already reported.
    refused: KVec<(u32, Option<Sbdf>)>,
}

/// A function that is assigned to the guest.
pub(crate) struct Attached {
    /// What a PV guest uses. It ends before the assignment.
    pub(crate) slot: Slot,
    pub(crate) assignment: Assignment,
    pub(crate) placed: Placed,
}

impl Guest {
    /// Returns a guest without functions.
    pub(crate) fn new() -> Self {
        Self {
            wanted: KVec::new(),
            attached: KVec::new(),
            refused: KVec::new(),
        }
    }

    /// Returns the functions from the guest that the `entries` of its directory do not name, and
    /// forgets the errors of other entries. `ENOMEM` on failure, which changes nothing.
    pub(crate) fn keep_only(&mut self, entries: &[Entry]) -> Result {
        let mut wanted = KVec::with_capacity(entries.len(), GFP_KERNEL)?;
        for sbdf in entries.iter().filter_map(|entry| entry.function) {
            wanted.push(sbdf, GFP_KERNEL)?;
        }
        self.attached
            .retain(|attached| wanted.contains(&attached.assignment.sbdf()));
        self.refused.retain(|(index, function)| {
            entries
                .iter()
                .any(|entry| entry.index == *index && entry.function == *function)
        });
        self.wanted = wanted;
        Ok(())
    }

    /// Returns whether the directory named the function when it was last read.
    pub(crate) fn wants(&self, sbdf: Sbdf) -> bool {
        self.wanted.contains(&sbdf)
    }

    /// Returns whether this is the first error of an entry. `ENOMEM` on failure.
    pub(crate) fn is_first_refusal(&mut self, entry: &Entry) -> Result<bool> {
        let id = (entry.index, entry.function);
        let is_first = !self.refused.contains(&id);
        if is_first {
            self.refused.push(id, GFP_KERNEL)?;
        }
        Ok(is_first)
    }

    /// Returns the function, if the guest has it.
    pub(crate) fn attached(&self, sbdf: Sbdf) -> Option<&Attached> {
        self.attached
            .iter()
            .find(|attached| attached.assignment.sbdf() == sbdf)
    }

    /// Returns the function that a PV guest sees at `address` and may use, if there is one.
    pub(crate) fn at(&mut self, address: GuestAddress) -> Option<&mut Attached> {
        self.attached
            .iter_mut()
            .find(|attached| attached.placed.is_at(address) && attached.assignment.usable().is_ok())
    }

    /// Takes all interrupts from a PV guest. May sleep.
    pub(crate) fn stop_serving(&mut self) {
        for attached in self.attached.iter_mut() {
            attached.slot.stop();
        }
    }

    /// Returns the addresses of all functions in the guest.
    pub(crate) fn placed(&self) -> impl Iterator<Item = Placed> + Clone + '_ {
        self.attached.iter().map(|attached| attached.placed)
    }
}
