// SPDX-License-Identifier: GPL-2.0

//! Trace events, for `trace-cmd` and `perf`, of a module that links
//! `rust/xen/helpers/trace.o`.
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)
//!
//! The functions are inlined into the module that calls them: a module that does not trace needs
//! no events.

use kernel::prelude::*;

use crate::{
    bindings,
    Sbdf, //
};

/// How a look-up was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `IOCTL_PRIVCMD_PCIDEV_GET_GSI` on `/dev/xen/privcmd`.
    Privcmd,
    /// An ioctl on `/dev/xen/pcidev`.
    Ioctl,
    /// A file in `/sys/bus/pci/devices/SBDF/xen/`.
    Sysfs,
}

fn errno(result: Result) -> c_int {
    result.err().map_or(0, Error::to_errno)
}

/// `seize`: a driver that hands functions to guests was bound to one.
#[inline]
pub fn seize(sbdf: Sbdf) {
    // SAFETY: A trace event can be raised anywhere.
    unsafe { bindings::trace_xen_seize(sbdf.to_u32()) };
}

/// `unmask`: a GSI was unmasked natively, or not.
#[inline]
pub fn unmask(sbdf: Sbdf, gsi: u32, irq: u32, result: Result) {
    // SAFETY: As above.
    unsafe { bindings::trace_xen_unmask(sbdf.to_u32(), gsi, irq, errno(result)) };
}

/// `hold`: an MSI-X table was made known to Xen, or not. No pirq is printed as -1.
#[inline]
pub fn hold(sbdf: Sbdf, entries: u16, pirq: Option<i32>, result: Result) {
    // SAFETY: As above.
    unsafe {
        bindings::trace_xen_hold(
            sbdf.to_u32(),
            entries.into(),
            pirq.unwrap_or(-1),
            errno(result),
        )
    };
}

/// `reset`: a function was reset in the driver's place, or not.
#[inline]
pub fn reset(sbdf: Sbdf, result: Result) {
    // SAFETY: As above.
    unsafe { bindings::trace_xen_reset(sbdf.to_u32(), errno(result)) };
}

/// `release`: a hold was undone, or not.
#[inline]
pub fn release(sbdf: Sbdf, result: Result) {
    // SAFETY: As above.
    unsafe { bindings::trace_xen_release(sbdf.to_u32(), errno(result)) };
}

/// `lookup`: somebody asked about a function; `value` is the GSI or irq, or the error.
#[inline]
pub fn lookup(door: Door, sbdf: Sbdf, value: Result<u32>) {
    let value = value.map_or_else(|e| i64::from(e.to_errno()), i64::from);
    // SAFETY: As above.
    unsafe { bindings::trace_xen_lookup(door as c_uint, sbdf.to_u32(), value) };
}
