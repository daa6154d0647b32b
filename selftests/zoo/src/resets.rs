// SPDX-License-Identifier: GPL-2.0

//! The kinds of reset, and what each of them does to a function.

use serde::Deserialize;

/// Kinds of reset.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Function level reset, by the device control register.
    Flr,
    /// The reset of the bus above it, or of the slot.
    Bus,
    /// From D3hot to D0.
    Pm,
}

/// What a reset does.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    #[default]
    Clear,
    /// Nothing at all, whatever the capability promises.
    Ignore,
}

/// What each kind of reset does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resets {
    pub flr: Effect,
    pub bus: Effect,
    pub pm: Effect,
}

impl Resets {
    /// What a reset of that kind does.
    pub fn effect(&self, kind: Kind) -> Effect {
        match kind {
            Kind::Flr => self.flr,
            Kind::Bus => self.bus,
            Kind::Pm => self.pm,
        }
    }
}
