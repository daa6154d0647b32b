// SPDX-License-Identifier: GPL-2.0

//! Functions that are unplugged while assigned to a guest.
//!
//! When Linux tells Xen of the removal, Xen frees the interrupts of the function. If they are still
//! bound to the guest, destroying the guest crashes Xen. This driver therefore stops the guest, and
//! gives its toolstack time to destroy it, before Linux tells Xen. A toolstack may take the
//! function from a stub domain before it destroys the stub domain's guest: Xen is asked, too.

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
    functions::Functions,
    stop::stop, //
};

/// The time that a toolstack has to destroy a stopped guest, in seconds.
const SECONDS: u32 = 60;

/// The observer of removed functions.
pub(crate) struct Unplug(pub(crate) Arc<Functions>);

impl bus::Observer for Unplug {
    /// Called before xen-pcidev's observer: to destroy the guest, the toolstack needs its look-ups.
    const PRIORITY: i32 = 2;

    fn removing(&self, dev: &Device) {
        let Ok(function) = dev.sbdf().and_then(|sbdf| self.0.get(sbdf)) else {
            return;
        };
        stop(dev, &function, "unplugged");
        if !self.0.wait_until_released(&function, SECONDS) {
            dev_err!(
                dev,
                "its guest was not destroyed within {} s: destroying it now may crash the host; shut down other guests first\n",
                SECONDS
            );
        }
    }
}
