// SPDX-License-Identifier: GPL-2.0

//! Telling udev, and through its rules the administrator, what happened to a function.
//!
//! C header: [`include/linux/kobject.h`](srctree/include/linux/kobject.h)

use core::ptr;

use kernel::{
    error::to_result,
    pci::Device,
    prelude::*, //
};

use crate::{
    bindings,
    linux::fault,
    pci::as_raw_device, //
};

/// Sends a "change" event of `dev` with two variables, `NAME=value` each. May sleep.
pub fn changed(dev: &Device, variables: [&CStr; 2]) -> Result {
    fault::point("telling udev")?;
    let [first, second] = variables.map(|text| text.as_char_ptr().cast_mut());
    let mut list = [first, second, ptr::null_mut()];
    // SAFETY: A valid device, and a list of C strings that ends with null and is only read.
    to_result(unsafe {
        bindings::kobject_uevent_env(
            &raw mut (*as_raw_device(dev)).kobj,
            bindings::kobject_action_KOBJ_CHANGE,
            list.as_mut_ptr(),
        )
    })
}
