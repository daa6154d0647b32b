// SPDX-License-Identifier: GPL-2.0

//! Privileges of the calling task.
//!
//! C header: [`include/linux/capability.h`](srctree/include/linux/capability.h)

use crate::bindings;
use kernel::prelude::*;

/// Fails with `EPERM` unless the calling task has `CAP_SYS_ADMIN` in the initial user namespace.
/// Does not sleep.
pub fn require_admin() -> Result {
    // CAST: The numbers of capabilities are small.
    // SAFETY: `capable()` accepts any existing capability, and checks the current task.
    if unsafe { bindings::capable(bindings::CAP_SYS_ADMIN as c_int) } {
        Ok(())
    } else {
        Err(EPERM)
    }
}
