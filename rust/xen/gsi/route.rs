// SPDX-License-Identifier: GPL-2.0

//! Where a function's INTx pin is routed, as ACPI says.

use kernel::prelude::*;

/// How a line signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A change of the line is an interrupt.
    Edge,
    /// The line is an interrupt for as long as it is active. What PCI asks for.
    Level,
}

/// When a line is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// Active high.
    High,
    /// Active low. What PCI asks for.
    Low,
}

/// Why a function has no GSI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// It has no INTx pin: normal for SR-IOV VFs and for MSI-only functions. `ENOENT`.
    NoPin,
    /// It has a pin, but the firmware routes it nowhere. `ENXIO`.
    Unrouted,
}

impl From<NoRoute> for Error {
    fn from(reason: NoRoute) -> Self {
        match reason {
            NoRoute::NoPin => ENOENT,
            NoRoute::Unrouted => ENXIO,
        }
    }
}

/// The I/O APIC input that a function's INTx pin is wired to, by ACPI's `_PRT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The GSI.
    pub gsi: u32,
    /// How the line signals.
    pub trigger: Trigger,
    /// When the line is active.
    pub polarity: Polarity,
}

/// ACPI's number of [`Trigger::Edge`].
pub(crate) const ACPI_EDGE: i32 = 1;
/// ACPI's number of [`Polarity::High`].
pub(crate) const ACPI_HIGH: i32 = 0;

impl Route {
    /// Takes what ACPI says. What it may not say of a PCI line is taken for what PCI asks for.
    pub fn decode(gsi: i32, trigger: i32, polarity: i32) -> Result<Self, NoRoute> {
        Ok(Self {
            gsi: u32::try_from(gsi).map_err(|_| NoRoute::Unrouted)?,
            trigger: if trigger == ACPI_EDGE {
                Trigger::Edge
            } else {
                Trigger::Level
            },
            polarity: if polarity == ACPI_HIGH {
                Polarity::High
            } else {
                Polarity::Low
            },
        })
    }
}
