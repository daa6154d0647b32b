// SPDX-License-Identifier: GPL-2.0

//! Trace events of xen-pcidev. See `trace.h`.

use kernel::prelude::*;

use xen::pci::Sbdf;

/// The interface by which user space looked a function up.
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

/// Records that xen-pciback was bound to a function.
pub(crate) fn seize(sbdf: Sbdf) {
    xen::trace!(trace_pcidev_seize(sbdf = sbdf.to_u32()));
}

/// Records an attempt to unmask a GSI natively.
pub(crate) fn unmask(sbdf: Sbdf, gsi: u32, irq: u32, result: Result) {
    xen::trace!(trace_pcidev_unmask(
        sbdf = sbdf.to_u32(),
        gsi = gsi,
        irq = irq,
        err = errno(result),
    ));
}

/// Records an attempt to lend a GSI to guests, or to give it back to dom0.
pub(crate) fn line(gsi: u32, is_lent: bool, result: Result) {
    xen::trace!(trace_pcidev_line(
        gsi = gsi,
        lent = c_int::from(is_lent),
        err = errno(result),
    ));
}

/// Records an attempt to hold an MSI-X table. `None` is printed as pirq -1.
pub(crate) fn hold(sbdf: Sbdf, entries: u16, pirq: Option<i32>, result: Result) {
    xen::trace!(trace_pcidev_hold(
        sbdf = sbdf.to_u32(),
        entries = u32::from(entries),
        pirq = pirq.unwrap_or(-1),
        err = errno(result),
    ));
}

/// Records a reset in place of the stock driver.
pub(crate) fn reset(sbdf: Sbdf, result: Result) {
    xen::trace!(trace_pcidev_reset(
        sbdf = sbdf.to_u32(),
        err = errno(result),
    ));
}

/// Records an attempt to release a hold.
pub(crate) fn release(sbdf: Sbdf, result: Result) {
    xen::trace!(trace_pcidev_release(
        sbdf = sbdf.to_u32(),
        err = errno(result),
    ));
}

/// Records a look-up. `value` is the GSI or irq that user space was told.
pub(crate) fn lookup(interface: Interface, sbdf: Sbdf, value: Result<u32>) {
    let value = value.map_or_else(|e| i64::from(e.to_errno()), i64::from);
    xen::trace!(trace_pcidev_lookup(
        // CAST: The variants are the numbers in `trace.h`.
        interface = interface as u32,
        sbdf = sbdf.to_u32(),
        value = value,
    ));
}
