// SPDX-License-Identifier: GPL-2.0

//! The kind of domain this kernel runs as.
//!
//! C header: [`include/xen/xen.h`](srctree/include/xen/xen.h)

use crate::bindings;

/// The kind of domain this kernel runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not under Xen at all.
    Native,
    /// Paravirtualised: no hardware virtualisation.
    Pv,
    /// Hardware virtualised, started through the PVH entry point, without emulated firmware.
    Pvh,
    /// Hardware virtualised, with a device model.
    Hvm,
}

impl Kind {
    /// Returns the kind of the running domain. It never changes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::prelude::*;
    /// # use xen::domain;
    /// fn only_on_a_pvh_dom0() -> Result {
    ///     if domain::Kind::current() == domain::Kind::Pvh && domain::is_initial() {
    ///         Ok(())
    ///     } else {
    ///         Err(ENODEV)
    ///     }
    /// }
    /// ```
    pub fn current() -> Self {
        // SAFETY: These read variables that are constant after boot.
        let (xen, pv, pvh) = unsafe {
            (
                bindings::xen_domain(),
                bindings::xen_pv_domain(),
                bindings::xen_pvh_domain(),
            )
        };
        match (xen, pv, pvh) {
            (false, ..) => Self::Native,
            (_, true, _) => Self::Pv,
            (_, _, true) => Self::Pvh,
            _ => Self::Hvm,
        }
    }

    /// What the kind is called in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "no Xen",
            Self::Pv => "PV",
            Self::Pvh => "PVH",
            Self::Hvm => "HVM",
        }
    }
}

/// Whether this is the initial domain, which Xen starts at boot: dom0.
pub fn is_initial() -> bool {
    // SAFETY: This reads variables that are constant after boot.
    unsafe { bindings::xen_initial_domain() }
}
