// SPDX-License-Identifier: GPL-2.0

//! Global system interrupts: where a function's INTx pin is routed, and the Linux irq behind it.
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

// What the decoder, which knows no bindings, takes the numbers to be.
const _: () = assert!(bindings::ACPI_EDGE_SENSITIVE as i32 == route::ACPI_EDGE);
const _: () = assert!(bindings::ACPI_ACTIVE_HIGH as i32 == route::ACPI_HIGH);

impl Route {
    /// Asks ACPI for the route of `dev`'s pin.
    ///
    /// Each call costs the kernel the 40 bytes of a `_PRT` entry, which
    /// `xen_acpi_get_gsi_info()` never frees: ask once and keep the answer. A pin behind an ACPI
    /// link device gets the link enabled, as `pci_enable_device()` would. May sleep.
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

    /// Gives the line a Linux irq, or shares the one it has. The line stays masked. May sleep.
    ///
    /// C: `acpi_register_gsi()`; its errors.
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
        // SAFETY: No device is named, and any GSI may be asked for.
        let irq = unsafe {
            bindings::acpi_register_gsi(
                core::ptr::null_mut(),
                self.gsi,
                trigger.into(),
                polarity.into(),
            )
        };
        match u32::try_from(irq) {
            // INVARIANT: Registered just now.
            Ok(irq) if irq > 0 => Ok(Mapping { gsi: self.gsi, irq }),
            Ok(_) => Err(ENXIO),
            Err(_) => Err(Error::from_errno(irq)),
        }
    }
}

/// A GSI that has a Linux irq for at least as long as this value lives. See [`Route::map`].
///
/// # Invariants
///
/// The GSI's registration count includes one for this value.
pub struct Mapping {
    gsi: u32,
    irq: u32,
}

impl Mapping {
    /// The GSI.
    pub fn gsi(&self) -> u32 {
        self.gsi
    }

    /// The Linux irq.
    pub fn irq(&self) -> u32 {
        self.irq
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: By the type invariant one registration is ours.
        unsafe { bindings::acpi_unregister_gsi(self.gsi) };
    }
}
