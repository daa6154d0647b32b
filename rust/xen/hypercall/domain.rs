// SPDX-License-Identifier: GPL-2.0

//! The kind of domain this kernel runs as.
//!
//! C headers: [`include/xen/xen.h`](srctree/include/xen/xen.h),
//! [`include/xen/interface/sched.h`](srctree/include/xen/interface/sched.h)

use kernel::prelude::*;

use crate::{
    bindings,
    linux::fault, //
};

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

/// Stops a domain for good, as if it had crashed: its toolstack destroys it, or does what it is
/// configured to do of a crash. The domain does not run any more when this returns.
///
/// Errors: `ESRCH` if there is no such domain or it is this one.
pub fn crash(domain: u16) -> Result {
    fault::point("stopping the domain")?;
    let mut arg = bindings::sched_remote_shutdown {
        domain_id: domain,
        reason: bindings::SHUTDOWN_crash,
    };
    // CAST: A small number.
    // SAFETY: The argument of this operation.
    match unsafe {
        bindings::HYPERVISOR_sched_op(
            bindings::SCHEDOP_remote_shutdown as c_int,
            (&raw mut arg).cast(),
        )
    } {
        0 => Ok(()),
        errno => Err(Error::from_errno(errno)),
    }
}

/// What a module that is for a PVH dom0 finds instead. Formats for a message.
pub struct Elsewhere(());

impl kernel::fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        f.write_str(Kind::current().name())?;
        f.write_str(match (Kind::current(), is_initial()) {
            (Kind::Native, _) => "",
            (_, true) => " dom0",
            (_, false) => " guest",
        })
    }
}

/// Makes sure that this is a PVH dom0.
pub fn require_pvh_dom0() -> Result<(), Elsewhere> {
    match (Kind::current(), is_initial()) {
        (Kind::Pvh, true) => Ok(()),
        _ => Err(Elsewhere(())),
    }
}
