// SPDX-License-Identifier: GPL-2.0

//! Notifications of what happens to functions.

use kernel::pci::Device;

/// Hears of functions.
pub trait Observer: 'static {
    const PRIORITY: i32 = 1;

    fn added(dev: &Device) {
        let _ = dev;
    }
    fn removing(dev: &Device) {
        let _ = dev;
    }
}
