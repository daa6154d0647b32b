// SPDX-License-Identifier: GPL-2.0

//! Runtime power management.
//!
//! C header: [`include/linux/pm_runtime.h`](srctree/include/linux/pm_runtime.h)

use kernel::{
    pci::Device,
    sync::aref::ARef, //
};

use crate::{
    bindings,
    pci::as_raw_device, //
};

/// A function that is not put to sleep for as long as this value lives.
///
/// The PCI core saves the configuration of a function without a driver when it lets that sleep, and
/// puts it back at the end: whoever changes registers meanwhile has his changes undone, or what he
/// had for a moment made permanent. A driver's callbacks run awake, notifications may not.
///
/// # Invariants
///
/// The function's usage count includes one for this value.
pub struct Awake {
    dev: ARef<Device>,
}

impl Awake {
    /// Wakes the function up, and keeps it awake. May sleep.
    pub fn new(dev: &Device) -> Self {
        // The count is raised whatever the result. One that cannot be woken does not answer, which
        // is noticed when it is asked.
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
