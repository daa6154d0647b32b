// SPDX-License-Identifier: GPL-2.0

//! Routes of INTx pins to global system interrupts (GSIs), and the Linux irqs of GSIs.
//!
//! C headers: [`include/xen/acpi.h`](srctree/include/xen/acpi.h),
//! [`include/linux/acpi.h`](srctree/include/linux/acpi.h)

use kernel::{
    pci::Device,
    prelude::*, //
};

use crate::{
    bindings,
    gsi::{
        route,
        NoRoute,
        Polarity,
        Route,
        Trigger, //
    }, //
    linux::fault,
    pci::{
        as_raw,
        DeviceExt, //
    },
};

// `route.rs` uses no bindings: check its constants against those of ACPI.
const _: () = assert!(bindings::ACPI_EDGE_SENSITIVE as i32 == route::ACPI_EDGE);
const _: () = assert!(bindings::ACPI_ACTIVE_HIGH as i32 == route::ACPI_HIGH);

impl Route {
    /// Asks ACPI for the route of `dev`'s INTx pin. If the pin is behind an ACPI link device,
    /// enables the link, as `pci_enable_device()` does. May sleep.
    ///
    /// Call this once for a function and keep the result: `xen_acpi_get_gsi_info()` never frees the
    /// `_PRT` entry that it allocates for each call (40 bytes).
    ///
    /// Errors: [`NoRoute::NoPin`] for a function without an INTx pin, else [`NoRoute::Unrouted`].
    pub fn of(dev: &Device) -> Result<Self, NoRoute> {
        dev.pin().ok_or(NoRoute::NoPin)?;
        fault::point("asking for the route").map_err(|_| NoRoute::Unrouted)?;
        let (mut gsi, mut trigger, mut polarity) = (0, 0, 0);
        // SAFETY: `dev` is a valid `struct pci_dev`, and the outputs outlive the call.
        let ret = unsafe {
            bindings::xen_acpi_get_gsi_info(as_raw(dev), &mut gsi, &mut trigger, &mut polarity)
        };
        if ret != 0 {
            return Err(NoRoute::Unrouted);
        }
        Self::decode(gsi, trigger, polarity)
    }

    /// Maps the GSI to a Linux irq, and reuses the irq that it already has. The line stays masked.
    /// May sleep.
    ///
    /// Errors: `ENXIO` if the kernel returns no valid irq; else those of `acpi_register_gsi()`.
    pub fn map(&self) -> Result<Mapping> {
        fault::point("mapping the GSI")?;
        let trigger = match self.trigger {
            Trigger::Edge => bindings::ACPI_EDGE_SENSITIVE,
            Trigger::Level => bindings::ACPI_LEVEL_SENSITIVE,
        };
        let polarity = match self.polarity {
            Polarity::High => bindings::ACPI_ACTIVE_HIGH,
            Polarity::Low => bindings::ACPI_ACTIVE_LOW,
        };
        // SAFETY: `acpi_register_gsi()` accepts no device, and any GSI.
        let irq = unsafe {
            bindings::acpi_register_gsi(
                core::ptr::null_mut(),
                self.gsi,
                trigger.into(),
                polarity.into(),
            )
        };
        match u32::try_from(irq) {
            // INVARIANT: `acpi_register_gsi()` has counted this registration.
            Ok(irq) if irq > 0 => Ok(Mapping { gsi: self.gsi, irq }),
            Ok(_) => Err(ENXIO),
            Err(_) => Err(Error::from_errno(irq)),
        }
    }
}

/// A GSI that is mapped to a Linux irq until this value is dropped. See [`Route::map`].
///
/// # Invariants
///
/// The registration count of the GSI includes one for this value.
pub struct Mapping {
    gsi: u32,
    irq: u32,
}

impl Mapping {
    /// Returns the number of the GSI.
    pub fn gsi(&self) -> u32 {
        self.gsi
    }

    /// Returns the Linux irq.
    pub fn irq(&self) -> u32 {
        self.irq
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: By the type invariant one registration of the GSI belongs to this value.
        unsafe { bindings::acpi_unregister_gsi(self.gsi) };
    }
}
