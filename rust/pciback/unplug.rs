// SPDX-License-Identifier: GPL-2.0

//! Functions that are unplugged while a guest has them.
//!
//! Linux tells Xen that the function is gone, and Xen frees its interrupts. If they are still bound
//! to a guest then, destroying that guest brings Xen down. So the guest is stopped, and its
//! toolstack gets time to destroy it, before Xen is told.

use kernel::{
    pci::Device,
    prelude::*, //
};

use xen::{
    bus,
    pci::DeviceExt, //
};

use crate::{
    driver,
    state, //
};

/// How long a toolstack may take to destroy a guest that has stopped.
const SECONDS: u32 = 60;

/// Hears of functions that go away.
pub(crate) struct Unplug;

impl bus::Observer for Unplug {
    /// Before `xen-pcidev`, whose look-ups the toolstack needs to destroy the guest.
    const PRIORITY: i32 = 2;

    fn removing(dev: &Device) {
        let Ok(sbdf) = dev.sbdf() else { return };
        let _ = state::with(|state| {
            let Some(guest) = state.orphan(sbdf) else {
                return Ok(());
            };
            driver::stop(dev, guest, "unplugged under a guest, which is an");
            if !state.wait_for_orphan(sbdf, SECONDS) {
                dev_err!(
                    dev,
                    "domain {} was not destroyed within {} s: do not destroy it without need, Xen may come down\n",
                    guest,
                    SECONDS
                );
            }
            Ok(())
        });
    }
}
