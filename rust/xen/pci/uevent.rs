// SPDX-License-Identifier: GPL-2.0

//! Notifying udev of changes of a function.
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
    pci::device::as_raw_device, //
};

/// Sends a `change` uevent for `dev` with two variables, each `NAME=value`. May sleep.
///
/// Errors are those of `kobject_uevent_env()`.
pub fn changed(dev: &Device, variables: [&CStr; 2]) -> Result {
    fault::point("telling udev")?;
    let [first, second] = variables.map(|text| text.as_char_ptr().cast_mut());
    let mut list = [first, second, ptr::null_mut()];
    // SAFETY: `dev` is a valid device. `list` ends with null, consists of C strings, and is only
    // read.
    to_result(unsafe {
        bindings::kobject_uevent_env(
            &raw mut (*as_raw_device(dev)).kobj,
            bindings::kobject_action_KOBJ_CHANGE,
            list.as_mut_ptr(),
        )
    })
}
