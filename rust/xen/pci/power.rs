// SPDX-License-Identifier: GPL-2.0

//! Power states, and runtime power management.
//!
//! C headers: [`include/linux/pci.h`](srctree/include/linux/pci.h),
//! [`include/linux/pm_runtime.h`](srctree/include/linux/pm_runtime.h)

use kernel::{
    error::to_result,
    pci::Device,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    bindings,
    linux::fault,
    pci::{
        as_raw,
        as_raw_device,
        config::ConfigSpace,
        Locked, //
    }, //
};

/// A function that runtime power management does not suspend, until the value is dropped.
///
/// The PCI core saves the configuration of a function without a driver when it suspends it, and
/// restores it on resume. Registers that somebody else changes meanwhile lose the change, or keep a
/// value that was meant for a moment. Drivers' callbacks run on a resumed function; notifications
/// may not.
///
/// # Invariants
///
/// The function's usage count includes one for this value.
pub struct Awake {
    dev: ARef<Device>,
}

impl Awake {
    /// Resumes the function, and keeps it so. May sleep.
    pub fn new(dev: &Device) -> Self {
        // The count rises whatever the result. A function that cannot be resumed does not answer,
        // which its next access notices.
        // SAFETY: A valid device.
        let _ = unsafe { bindings::pm_runtime_get_sync(as_raw_device(dev)) };
        // INVARIANT: Raised just now.
        Self { dev: dev.into() }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the count is ours to lower.
        unsafe { bindings::pm_runtime_put(as_raw_device(&self.dev)) };
    }
}

// CAST: Bits of a word.
const STATE: u16 = bindings::PCI_PM_CTRL_STATE_MASK as u16;
const PME_AND_DATA_SELECT: u16 =
    (bindings::PCI_PM_CTRL_PME_ENABLE | bindings::PCI_PM_CTRL_DATA_SEL_MASK) as u16;
/// Cleared by writing it.
const PME_STATUS: u16 = bindings::PCI_PM_CTRL_PME_STATUS as u16;

const PCI_D0: c_int = 0;
const PCI_UNKNOWN: c_int = 5;

impl Locked {
    /// Brings the function to D0, whoever suspended it. May sleep.
    ///
    /// Clears the PME enable and data select bits that the previous owner set: a power-management
    /// reset does not. To be called after [`ConfigSpace::quiesce`], since leaving D3hot may reset
    /// the function.
    pub fn wake(&self) -> Result {
        fault::point("waking the function up")?;
        let raw = as_raw(self);
        // SAFETY: A valid `struct pci_dev`.
        let capability = u16::from(unsafe { (*raw).pm_cap });
        if capability != 0 {
            let config = ConfigSpace::of(self);
            // CAST: A small offset.
            let register = capability.saturating_add(bindings::PCI_PM_CTRL as u16);
            let control: u16 = config.read(register)?;
            let state = control & STATE;
            if control & PME_AND_DATA_SELECT != 0 {
                config.write(register, state | PME_STATUS)?;
            }
            if state != 0 {
                // A guest's change is unknown to Linux, which would find nothing to do.
                // SAFETY: As above; the device's lock keeps drivers from changing it.
                unsafe { (*raw).current_state = PCI_UNKNOWN };
            }
        }
        // SAFETY: A valid `struct pci_dev`.
        to_result(unsafe { bindings::pci_set_power_state(raw, PCI_D0) })
    }
}
