// SPDX-License-Identifier: GPL-2.0

//! What the calling task may do.
//!
//! C header: [`include/linux/capability.h`](srctree/include/linux/capability.h)

use crate::bindings;
use kernel::prelude::*;

/// Fails with `EPERM` unless the calling task has `CAP_SYS_ADMIN` in the initial user namespace.
pub fn require_admin() -> Result {
    // CAST: A capability is a small number.
    // SAFETY: Asked of the current task, for a capability that exists.
    if unsafe { bindings::capable(bindings::CAP_SYS_ADMIN as c_int) } {
        Ok(())
    } else {
        Err(EPERM)
    }
}
