// SPDX-License-Identifier: GPL-2.0

//! Power states, and runtime power management.
//!
//! C headers: [`include/linux/pci.h`](srctree/include/linux/pci.h),
//! [`include/linux/pm_runtime.h`](srctree/include/linux/pm_runtime.h)

use kernel::{
    error::to_result,
    pci::Device,
    prelude::*,
    sync::aref::ARef,
    time::Instant, //
};

use crate::{
    bindings,
    linux::fault,
    pci::{
        as_raw,
        config::ConfigSpace,
        device::as_raw_device,
        DeviceExt,
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
const PCI_D3HOT: c_int = 3;
const PCI_UNKNOWN: c_int = 5;

impl Locked {
    /// Returns whether [`Locked::sleep`] can put the function to sleep: it has power management, no
    /// quirk of the PCI core forbids D3hot, and it has no VFs, which would be lost.
    pub fn can_sleep(&self) -> bool {
        // CAST: The flag is one of the bits of the field.
        let forbidden = bindings::pci_dev_flags_PCI_DEV_FLAGS_NO_D3 as u16;
        let raw = as_raw(self);
        // SAFETY: `raw` is a valid `struct pci_dev`. `pm_cap` does not change after set-up. Quirks
        // set the flag during set-up; other flags may change at any time, and the field is read
        // once.
        let (capability, flags) =
            unsafe { ((*raw).pm_cap, (&raw const (*raw).dev_flags).read_volatile()) };
        capability != 0 && flags & forbidden == 0 && !self.has_virtfns()
    }

    /// Puts the function to sleep (D3hot). Its configuration space stays accessible, but it decodes
    /// nothing, and [`Locked::wake`] may reset it. May sleep.
    ///
    /// Call [`ConfigSpace::quiesce`] first. vPCI ignores the power state: as long as memory
    /// decoding is on, it maps the BARs to dom0, and Xen accesses the MSI-X table.
    ///
    /// Errors: `EIO` if the function does not answer, or stays awake; else those of
    /// `pci_set_power_state()`.
    pub fn sleep(&self) -> Result {
        fault::point("putting the function to sleep")?;
        let raw = as_raw(self);
        // SAFETY: `self` is a valid `struct pci_dev`.
        to_result(unsafe { bindings::pci_set_power_state(raw, PCI_D3HOT) })?;
        // The PCI core only logs that a function refuses.
        // SAFETY: `self` is a valid `struct pci_dev`, whose device lock is held.
        let state = unsafe { (*raw).current_state };
        (state == PCI_D3HOT).then_some(()).ok_or(EIO)
    }

    /// Brings the function to D0, whether dom0 or a guest put it to sleep. Also clears the PME
    /// enable and data select bits, which a power-management reset does not clear. May sleep, for
    /// up to a minute.
    ///
    /// Call [`ConfigSpace::quiesce`] first: leaving D3hot may reset the function.
    ///
    /// Errors: `EIO` if the function does not answer; `ETIMEDOUT` if it does not come back; else
    /// those of `pci_set_power_state()`.
    pub fn wake(&self) -> Result {
        let config = ConfigSpace::of(self);
        let raw = as_raw(self);
        // SAFETY: `self` is a valid `struct pci_dev`. `pm_cap` does not change after set-up.
        let capability = u16::from(unsafe { (*raw).pm_cap });
        let mut state = 0;
        if capability != 0 {
            // CAST: The offset is small.
            let register = capability.saturating_add(bindings::PCI_PM_CTRL as u16);
            let control: u16 = config.read(register)?;
            state = control & STATE;
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
        let began = Instant::now();
        self.set_d0()?;
        if state != 0 {
            // The PCI core does not wait for a function that was reset by this, and has read the
            // state of one that does not answer yet. See `wait_until_present()`.
            config.wait_until_present(began, ConfigSpace::PATIENCE)?;
            self.set_d0()?;
        }
        Ok(())
    }

    /// Does nothing if the PCI core knows the function to be in D0.
    fn set_d0(&self) -> Result {
        fault::point("waking the function up")?;
        // SAFETY: `self` is a valid `struct pci_dev`.
        to_result(unsafe { bindings::pci_set_power_state(as_raw(self), PCI_D0) })
    }
}
