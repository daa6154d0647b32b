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
        config::ConfigSpace,
        device::as_raw_device,
        Locked, //
    }, //
};

/// A reference that keeps a function from being suspended by runtime power management. Dropping it
/// allows that again.
///
/// When the PCI core suspends a function without a driver, it saves the configuration, and it
/// restores it on resume. A register that is written meanwhile loses the change, or a temporary
/// value becomes permanent. Driver callbacks run on a resumed function; bus notifications may not.
///
/// # Invariants
///
/// The runtime usage count of the function includes one for this value.
pub struct Awake {
    dev: ARef<Device>,
}

impl Awake {
    /// Takes a reference and resumes the function. May sleep.
    pub fn new(dev: &Device) -> Self {
        // The count rises even if the resume fails. A function that cannot be resumed does not
        // answer, and the next access reports that.
        // SAFETY: `dev` is a valid device.
        let _ = unsafe { bindings::pm_runtime_get_sync(as_raw_device(dev)) };
        // INVARIANT: `pm_runtime_get_sync()` has raised the count.
        Self { dev: dev.into() }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        // SAFETY: By the type invariant one count belongs to this value.
        unsafe { bindings::pm_runtime_put(as_raw_device(&self.dev)) };
    }
}

// CAST: The bits are those of a 16-bit register.
const STATE: u16 = bindings::PCI_PM_CTRL_STATE_MASK as u16;
const PME_AND_DATA_SELECT: u16 =
    (bindings::PCI_PM_CTRL_PME_ENABLE | bindings::PCI_PM_CTRL_DATA_SEL_MASK) as u16;
/// Write 1 to clear.
const PME_STATUS: u16 = bindings::PCI_PM_CTRL_PME_STATUS as u16;

const PCI_D0: c_int = 0;
const PCI_UNKNOWN: c_int = 5;

impl Locked {
    /// Brings the function to D0, whether dom0 or a guest put it to sleep. Also clears the PME
    /// enable and data select bits, which a power-management reset does not clear. May sleep.
    ///
    /// Call [`ConfigSpace::quiesce`] first: leaving D3hot may reset the function.
    ///
    /// Errors: `EIO` if the function does not answer; else those of `pci_set_power_state()`.
    pub fn wake(&self) -> Result {
        fault::point("waking the function up")?;
        let raw = as_raw(self);
        // SAFETY: `self` is a valid `struct pci_dev`. `pm_cap` does not change after set-up.
        let capability = u16::from(unsafe { (*raw).pm_cap });
        if capability != 0 {
            let config = ConfigSpace::of(self);
            // CAST: The offset is small.
            let register = capability.saturating_add(bindings::PCI_PM_CTRL as u16);
            let control: u16 = config.read(register)?;
            let state = control & STATE;
            if control & PME_AND_DATA_SELECT != 0 {
                config.write(register, state | PME_STATUS)?;
            }
            if state != 0 {
                // Linux does not know of a guest's change, and would skip the transition to D0.
                // SAFETY: `self` is a valid `struct pci_dev`. The device lock excludes drivers that
                // change the field.
                unsafe { (*raw).current_state = PCI_UNKNOWN };
            }
        }
        // SAFETY: `self` is a valid `struct pci_dev`.
        to_result(unsafe { bindings::pci_set_power_state(raw, PCI_D0) })
    }
}
