// SPDX-License-Identifier: GPL-2.0

//! Fault injection for testing error paths.
//!
//! Each call that this crate makes for a driver and that can fail is a point. With the module
//! parameter that [`fault_param!`](crate::fault_param) declares, root chooses which of the next
//! points fails: writing 3 lets two pass. Reading tells how many are left, 0 when it has failed.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// Points up to the one that fails; 0 for none.
pub(crate) static COUNTDOWN: Atomic<u32> = Atomic::new(0);

/// A point; `EIO` if it is its turn.
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

/// Declares the parameter `fault`, see [`fault`](crate::linux::fault).
#[macro_export]
macro_rules! fault_param {
    () => {
        const _: () = {
            #[link_section = "__param"]
            #[used(compiler)]
            static PARAM: $crate::linux::param::Raw = $crate::linux::param::Raw::fault();
        };
        $crate::modinfo!(b"parmtype=", b"fault", b":", b"uint");
        $crate::modinfo!(
            b"parm=",
            b"fault",
            b":",
            b"Let the n-th call from now fail, for tests"
        );
    };
}
