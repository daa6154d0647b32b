// SPDX-License-Identifier: GPL-2.0

//! The trace events of xen-pcidev, see `trace.h`.

use kernel::prelude::*;

use xen::pci::Sbdf;

/// How a look-up was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interface {
    /// `IOCTL_PRIVCMD_PCIDEV_GET_GSI` on `/dev/xen/privcmd`.
    Privcmd,
    /// An ioctl on `/dev/xen/pcidev`.
    Pcidev,
    /// A file in `/sys/bus/pci/devices/SBDF/xen/`.
    Sysfs,
}

fn errno(result: Result) -> c_int {
    result.err().map_or(0, Error::to_errno)
}

/// xen-pciback was bound to a function.
pub(crate) fn seize(sbdf: Sbdf) {
    xen::trace!(trace_pcidev_seize(sbdf = sbdf.to_u32()));
}

/// A GSI was unmasked natively, or not.
pub(crate) fn unmask(sbdf: Sbdf, gsi: u32, irq: u32, result: Result) {
    xen::trace!(trace_pcidev_unmask(
        sbdf = sbdf.to_u32(),
        gsi = gsi,
        irq = irq,
        err = errno(result),
    ));
}

/// An MSI-X table was made known to Xen, or not. No pirq is printed as -1.
pub(crate) fn hold(sbdf: Sbdf, entries: u16, pirq: Option<i32>, result: Result) {
    xen::trace!(trace_pcidev_hold(
        sbdf = sbdf.to_u32(),
        entries = u32::from(entries),
        pirq = pirq.unwrap_or(-1),
        err = errno(result),
    ));
}

/// A function was reset in the stock driver's place, or not.
pub(crate) fn reset(sbdf: Sbdf, result: Result) {
    xen::trace!(trace_pcidev_reset(
        sbdf = sbdf.to_u32(),
        err = errno(result),
    ));
}

/// A hold was undone, or not.
pub(crate) fn release(sbdf: Sbdf, result: Result) {
    xen::trace!(trace_pcidev_release(
        sbdf = sbdf.to_u32(),
        err = errno(result),
    ));
}

/// Somebody asked about a function; `value` is the GSI or irq.
pub(crate) fn lookup(interface: Interface, sbdf: Sbdf, value: Result<u32>) {
    let value = value.map_or_else(|e| i64::from(e.to_errno()), i64::from);
    xen::trace!(trace_pcidev_lookup(
        // CAST: The enumeration has the numbers of `trace.h`.
        interface = interface as u32,
        sbdf = sbdf.to_u32(),
        value = value,
    ));
}
