// SPDX-License-Identifier: GPL-2.0

//! Functions that are unplugged while a guest has them.
//!
//! Linux tells Xen that the function is gone, and Xen frees its interrupts. If they are still bound
//! to a guest then, destroying that guest crashes Xen. So the guest is stopped, and its toolstack
//! gets time to destroy it, before Xen is told.

use kernel::{
    pci::Device,
    prelude::*,
    sync::Arc, //
};

use xen::pci::{
    bus,
    DeviceExt, //
};

use crate::{
    driver,
    functions::Functions, //
};

/// How long a toolstack may take to destroy a guest that has stopped.
const SECONDS: u32 = 60;

/// Hears of functions that go away.
pub(crate) struct Unplug(pub(crate) Arc<Functions>);

impl bus::Observer for Unplug {
    /// Before `xen-pcidev`, whose look-ups the toolstack needs to destroy the guest.
    const PRIORITY: i32 = 2;

    fn removing(&self, dev: &Device) {
        let Ok(function) = dev.sbdf().and_then(|sbdf| self.0.get(sbdf)) else {
            return;
        };
        let Some(guest) = function.guest() else {
            return;
        };
        driver::stop(
            dev,
            &function,
            guest,
            "unplugged while assigned, which is an",
        );
        if !self.0.wait_until_released(&function, SECONDS) {
            dev_err!(
                dev,
                "domain {} was not destroyed within {} s: destroying it now may crash the host; shut down other guests first\n",
                guest,
                SECONDS
            );
        }
    }
}
