// SPDX-License-Identifier: GPL-2.0

//! The route of an INTx pin, decoded from ACPI's numbers.

use kernel::prelude::*;

/// The trigger mode of an interrupt line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Edge-triggered.
    Edge,
    /// Level-triggered, the mode that PCI specifies for INTx.
    Level,
}

/// The polarity of an interrupt line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// Active high.
    High,
    /// Active low, the polarity that PCI specifies for INTx.
    Low,
}

/// The reason why a function has no GSI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// The function has no INTx pin. Normal for SR-IOV VFs and for MSI-only functions. `ENOENT`.
    NoPin,
    /// The firmware does not route the function's INTx pin. `ENXIO`.
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

/// The I/O APIC input that a function's INTx pin is routed to, from ACPI's `_PRT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The number of the GSI.
    pub gsi: u32,
    /// The trigger mode of the line.
    pub trigger: Trigger,
    /// The polarity of the line.
    pub polarity: Polarity,
}

/// ACPI's constant for [`Trigger::Edge`].
pub(crate) const ACPI_EDGE: i32 = 1;
/// ACPI's constant for [`Polarity::High`].
pub(crate) const ACPI_HIGH: i32 = 0;

impl Route {
    /// Decodes ACPI's numbers. Values that are not valid for a PCI line decode to level and active
    /// low, PCI's own. A negative `gsi` is [`NoRoute::Unrouted`].
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
