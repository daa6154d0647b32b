// SPDX-License-Identifier: GPL-2.0

//! A function under examination.

use crate::{
    doctor::{
        facts::{
            Facts,
            Function,
            Owner,
            Xen, //
        },
        reach, //
    },
    sbdf::Sbdf, //
};

/// A function and its context.
#[derive(Clone, Copy)]
pub struct Patient<'a> {
    /// All facts.
    pub facts: &'a Facts,
    /// The hypervisor.
    pub xen: &'a Xen,
    /// The function.
    pub function: &'a Function,
}

impl Patient<'_> {
    /// Its owner in Xen.
    pub fn owner(&self) -> Option<Owner> {
        let owners = self.xen.owners.as_ref().ok()?;
        // Xen does not know unlisted functions.
        Some(
            owners
                .get(&self.function.sbdf)
                .copied()
                .unwrap_or(Owner::Nobody),
        )
    }

    /// The guest that the toolstack assigned it to.
    pub fn guest(&self) -> Option<u32> {
        self.guest_of(self.function.sbdf)
    }

    /// The guest that the toolstack assigned `sbdf` to.
    pub fn guest_of(&self, sbdf: Sbdf) -> Option<u32> {
        self.xen.guests.as_ref().ok()?.get(&sbdf).copied()
    }

    /// The other functions that satisfy `are_so`.
    pub fn others(&self, are_so: impl Fn(&Function) -> bool) -> Vec<Sbdf> {
        let others = self.facts.functions.iter();
        others
            .filter(|other| other.sbdf != self.function.sbdf && are_so(other))
            .map(|other| other.sbdf)
            .collect()
    }

    /// The siblings that are reset with it, as only a reset of the bus can reset it.
    pub fn reset_with(&self) -> Vec<Sbdf> {
        reach::reset_with(self.facts, self.function)
    }

    /// The method that resets it: by itself, or, if the Rust xen-pciback has it and all its
    /// siblings, with them.
    pub fn reset_method(&self) -> Option<&str> {
        let with = self.reset_with();
        let is_ready = |function: &&Function| function.state.is_some();
        let mut card = self
            .facts
            .functions
            .iter()
            .filter(|other| other.sbdf == self.function.sbdf || with.contains(&other.sbdf));
        reach::own_reset(self.facts, self.function)
            .or_else(|| (!with.is_empty() && card.all(|other| is_ready(&other))).then_some("bus"))
    }

    /// Whether it is assigned to a guest, or bound to xen-pciback.
    pub fn is_for_guests(&self) -> bool {
        self.function.seized() || self.guest().is_some()
    }

    /// Whether its INTx pin is unrouted. Only xen-pcidev can tell.
    pub fn has_unrouted_pin(&self) -> bool {
        let known = self.xen.is_pvh() && self.facts.pcidev.is_some();
        known && self.pin().is_some() && self.function.gsi.is_none()
    }

    /// Its INTx pin.
    pub fn pin(&self) -> Option<char> {
        self.function.config.as_ref()?.pin
    }

    /// Whether it has MSI or MSI-X.
    pub fn sends_messages(&self) -> bool {
        let config = self.function.config.as_ref();
        config.is_some_and(|config| config.msi || config.msix_entries > 0)
    }

    /// Its owner, for the report.
    pub fn holder(&self) -> String {
        match (self.guest(), self.function.driver.as_deref()) {
            (Some(guest), _) => format!("assigned to guest {guest}"),
            (None, Some("pciback")) => match &self.function.state {
                Some(state) => format!("for guests, {state}"),
                None => "for guests".to_owned(),
            },
            (None, Some(driver)) => format!("used by dom0 ({driver})"),
            (None, None) => "unused".to_owned(),
        }
    }

    /// The features that work, or would work in a guest.
    pub fn works(&self) -> Vec<String> {
        let mut works = Vec::new();
        let Some(config) = &self.function.config else {
            return works;
        };
        if let Some(gsi) = self.function.gsi {
            works.push(format!("INTx, GSI {gsi}"));
        }
        if config.msi {
            works.push("MSI".to_owned());
        }
        if config.msix_entries > 0 && self.hold() != Hold::Missing {
            let held = match self.hold() {
                Hold::Held => ", held",
                _ => "",
            };
            works.push(format!("MSI-X, {} entries{held}", config.msix_entries));
        }
        if let Some(method) = self.reset_method() {
            let with = match self.reset_with() {
                siblings if siblings.is_empty() => String::new(),
                siblings => format!(", with {}", list(siblings)),
            };
            works.push(format!("reset by {method}{with}"));
        }
        works
    }

    /// Whether its guest can use MSI-X.
    pub fn hold(&self) -> Hold {
        if !self.xen.is_pvh() {
            return Hold::NotNeeded;
        }
        match self.function.msix.as_deref() {
            Some("held") => Hold::Held,
            Some(_) if !self.function.seized() => Hold::NotNeeded,
            _ => Hold::Missing,
        }
    }
}

/// Whether an MSI-X table is held.
#[derive(PartialEq, Eq)]
pub enum Hold {
    /// Held.
    Held,
    /// Not held, and not needed yet.
    NotNeeded,
    /// Not held, but needed.
    Missing,
}

/// Addresses, separated by commas.
pub fn list(functions: impl IntoIterator<Item = Sbdf>) -> String {
    let names: Vec<_> = functions.into_iter().map(|sbdf| sbdf.to_string()).collect();
    names.join(", ")
}
