// SPDX-License-Identifier: GPL-2.0

//! The properties of a PCI function, and their encoding for the ioctls.

use kernel::prelude::*;

use xen::{
    gsi::{
        NoRoute,
        Polarity,
        Route,
        Trigger, //
    },
    pci::{
        MsixTable,
        Pin,
        Sbdf, //
    }, //
};

use crate::uapi;

/// The kind of driver that a function is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The function has no driver.
    Nobody,
    /// A driver of dom0.
    Driver,
    /// xen-pciback, which assigns functions to guests.
    Pciback,
}

/// The state of the hold on a function's MSI-X table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Msix {
    /// The table is not held.
    Free,
    /// The table is held for guests.
    Held,
    /// Xen refused to hold the table.
    Refused,
}

/// The properties of a PCI function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Info {
    /// The INTx pin.
    pub(crate) pin: Option<Pin>,
    /// The route of the pin, or the reason why there is none.
    pub(crate) route: Result<Route, NoRoute>,
    /// The MSI-X table.
    pub(crate) table: Option<MsixTable>,
    /// The kind of driver that the function is bound to.
    pub(crate) holder: Holder,
    /// The Linux irq of the INTx line. `None` unless a driver has enabled the function, or
    /// xen-pcidev has seized it.
    pub(crate) irq: Option<u32>,
    /// Whether it is bound to a driver of dom0 that may use the INTx line.
    pub(crate) may_use_line: bool,
    /// The state of the hold on the MSI-X table.
    pub(crate) msix: Msix,
    /// The address of the OpRegion that firmware has set, if it is an integrated GPU of Intel.
    pub(crate) opregion: Option<u32>,
}

impl Info {
    /// Returns the answer to [`uapi::GET_INFO`] for the function `sbdf`, which is assigned to
    /// `domain`.
    pub(crate) fn to_uapi(self, sbdf: Sbdf, domain: Option<u16>) -> uapi::Info {
        let mut info = uapi::Info {
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
            info.valid |= uapi::VALID_GSI;
            info.gsi = route.gsi;
            if route.trigger == Trigger::Level {
                info.trigger = uapi::TRIGGER_LEVEL;
            }
            if route.polarity == Polarity::Low {
                info.polarity = uapi::POLARITY_LOW;
            }
        }
        if let Some(irq) = self.irq {
            info.valid |= uapi::VALID_IRQ;
            info.irq = irq;
        }
        if let Some(domid) = domain {
            info.valid |= uapi::VALID_DOMID;
            info.domid = domid.into();
        }
        info
    }
}

#[kunit_tests(xen_pcidev_info)]
mod tests {
    use super::*;

    const NIC: Sbdf = Sbdf::new(0, 3, 0);

    /// Each valid field has its bit set in `valid`, and all other fields are 0.
    #[test]
    fn valid_fields_are_told() {
        let bare = Info {
            pin: None,
            route: Err(NoRoute::NoPin),
            table: None,
            holder: Holder::Nobody,
            irq: None,
            may_use_line: false,
            msix: Msix::Free,
            opregion: None,
        };
        let empty = uapi::Info {
            sbdf: NIC.to_u32(),
            ..Default::default()
        };
        assert_eq!(bare.to_uapi(NIC, None), empty);

        let full = Info {
            pin: Pin::decode(2),
            route: Ok(Route {
                gsi: 16,
                trigger: Trigger::Level,
                polarity: Polarity::Low,
            }),
            table: Some(MsixTable { entries: 5, bar: 3 }),
            holder: Holder::Pciback,
            irq: Some(30),
            may_use_line: false,
            msix: Msix::Held,
            opregion: Some(0x7fff_b000),
        };
        assert_eq!(
            full.to_uapi(NIC, Some(7)),
            uapi::Info {
                valid: uapi::VALID_GSI | uapi::VALID_IRQ | uapi::VALID_DOMID,
                gsi: 16,
                irq: 30,
                pin: 2,
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
