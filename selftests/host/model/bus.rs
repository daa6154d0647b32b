// SPDX-License-Identifier: GPL-2.0

//! Notifications of what happens to functions.

use kernel::pci::Device;

/// Hears of functions.
pub trait Observer: 'static {
    const PRIORITY: i32 = 1;

    fn added(&self, dev: &Device) {
        let _ = dev;
    }
    fn removing(&self, dev: &Device) {
        let _ = dev;
    }
}
