// SPDX-License-Identifier: GPL-2.0

//! The type of domain that this kernel runs in, and control of other domains.
//!
//! C headers: [`include/xen/xen.h`](srctree/include/xen/xen.h),
//! [`include/xen/interface/sched.h`](srctree/include/xen/interface/sched.h)

use kernel::prelude::*;

use crate::{
    bindings,
    hypercall::domctl,
    linux::fault, //
};

/// The type of domain that this kernel runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No domain: the kernel does not run on Xen.
    Native,
    /// Paravirtualized: no hardware virtualization.
    Pv,
    /// Hardware virtualization, started through the PVH entry point, without emulated firmware.
    Pvh,
    /// Hardware virtualization with a device model.
    Hvm,
}

impl Kind {
    /// Returns the type of this domain, which never changes. Does not sleep.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::prelude::*;
    /// # use xen::hypercall::domain;
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

    /// Returns the name of the type for log messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "no Xen",
            Self::Pv => "PV",
            Self::Pvh => "PVH",
            Self::Hvm => "HVM",
        }
    }
}

/// Returns whether this domain is the initial domain (dom0), which Xen starts at boot.
pub fn is_initial() -> bool {
    // SAFETY: This reads variables that are constant after boot.
    unsafe { bindings::xen_initial_domain() }
}

/// Fails if Xen cannot be asked about domains: `EACCES` for a version of Xen whose control
/// operations are not known.
pub fn can_ask() -> Result {
    domctl::is_dying(0).map(drop)
}

/// Returns whether `domain` is a PV guest, by Xen's word.
///
/// Errors: `ESRCH` if there is no such domain; `EACCES` for a version of Xen whose control
/// operations are not known.
pub fn is_pv_guest(domain: u16) -> Result<bool> {
    domctl::is_pv_guest(domain)
}

/// Returns whether `domain` is not there any more, or is being destroyed. Errors are those of
/// [`is_pv_guest`], without `ESRCH`.
pub fn has_ended(domain: u16) -> Result<bool> {
    domctl::is_dying(domain).or_else(|e| if e == ESRCH { Ok(true) } else { Err(e) })
}

/// Stops a domain as if it had crashed (`SCHEDOP_remote_shutdown` with `SHUTDOWN_crash`). The
/// toolstack then destroys the domain, or does what the domain's `on_crash` says. Does not wait
/// until all processors of the domain have stopped, nor for what its device model has begun.
///
/// Errors: `ESRCH` if there is no such domain, or if `domain` is this domain.
///
/// C header: [`include/xen/interface/sched.h`](srctree/include/xen/interface/sched.h)
pub fn crash(domain: u16) -> Result {
    fault::point("stopping the domain")?;
    let mut arg = bindings::sched_remote_shutdown {
        domain_id: domain,
        reason: bindings::SHUTDOWN_crash,
    };
    // CAST: The number of the operation is small.
    // SAFETY: `arg` is the argument of `SCHEDOP_remote_shutdown`, and outlives the call.
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

/// The type of a domain that is not a PVH dom0. Formats as part of a log message.
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

/// Checks that this domain is a PVH dom0.
pub fn require_pvh_dom0() -> Result<(), Elsewhere> {
    match (Kind::current(), is_initial()) {
        (Kind::Pvh, true) => Ok(()),
        _ => Err(Elsewhere(())),
    }
}

/// Fails with `ENODEV`, and logs why, unless this domain is a PVH dom0. The message has the prefix
/// of the module that uses this.
#[macro_export]
macro_rules! require_pvh_dom0 {
    () => {
        $crate::hypercall::domain::require_pvh_dom0().map_err(|elsewhere| {
            kernel::pr_err!("needs a PVH dom0 (Xen option dom0=pvh); this is {elsewhere}\n");
            kernel::error::code::ENODEV
        })
    };
}
