// SPDX-License-Identifier: GPL-2.0

//! Fault injection for testing error paths.
//!
//! Each fallible call that this crate makes for a driver is a fault point.
//! [`fault_param!`](crate::fault_param) declares the module parameter `fault`: root writes n, and
//! the n-th point from then on fails. Reading it returns the number of points left, or 0 after the
//! fault or without one.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// The number of points up to and including the one that fails; 0 for none.
pub(crate) static COUNTDOWN: Atomic<u32> = Atomic::new(0);

/// A fault point: fails with `EIO` when the countdown ends here. `what` names the call in the log.
pub(crate) fn point(what: &str) -> Result {
    let mut left = COUNTDOWN.load(Relaxed);
    while let Some(fewer) = left.checked_sub(1) {
        match COUNTDOWN.cmpxchg(left, fewer, Relaxed) {
            Ok(1) => {
                pr_warn!("fault injected: {what}\n");
                return Err(EIO);
            }
            Ok(_) => return Ok(()),
            Err(now) => left = now,
        }
    }
    Ok(())
}
