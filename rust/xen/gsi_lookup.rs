// SPDX-License-Identifier: GPL-2.0

//! The look-up behind `IOCTL_PRIVCMD_PCIDEV_GET_GSI` of `/dev/xen/privcmd`.
//!
//! C headers: [`include/xen/acpi.h`](srctree/include/xen/acpi.h),
//! [`include/uapi/xen/privcmd.h`](srctree/include/uapi/xen/privcmd.h)

use core::marker::PhantomData;

use kernel::prelude::*;

use crate::{
    bindings,
    Sbdf, //
};

/// Answers the kernel's question for the GSI of a PCI function.
pub trait GsiLookup: 'static {
    /// The GSI of the function at `sbdf`; an error reaches user space as the ioctl's errno.
    ///
    /// Called with a spinning lock held: must not sleep.
    fn gsi(sbdf: Sbdf) -> Result<u32>;
}

/// Makes `T` answer.
///
/// The kernel has one place for a look-up, which `xen-pciback` overwrites when it loads and clears
/// when it unloads: see [`Registration::renew`].
///
/// # Invariants
///
/// Nothing but this value keeps the kernel from calling into this module after it is gone.
pub struct Registration<T: GsiLookup>(PhantomData<T>);

impl<T: GsiLookup> Registration<T> {
    /// Registers the look-up, in place of any other.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::prelude::*;
    /// # use xen::{gsi_lookup::{GsiLookup, Registration}, Sbdf};
    /// struct Nothing;
    ///
    /// impl GsiLookup for Nothing {
    ///     fn gsi(_: Sbdf) -> Result<u32> {
    ///         Err(ENODEV)
    ///     }
    /// }
    ///
    /// let _answers = Registration::<Nothing>::new();
    /// ```
    #[allow(
        clippy::new_without_default,
        reason = "registering is more than a default value"
    )]
    pub fn new() -> Self {
        let this = Self(PhantomData);
        this.renew();
        this
    }

    /// Takes the place back.
    pub fn renew(&self) {
        // SAFETY: The function stays until `Drop` has cleared the place.
        unsafe { bindings::xen_acpi_register_get_gsi_func(Some(Self::call)) };
    }

    /// # Safety
    ///
    /// May be called by anybody; the kernel wants the type.
    unsafe extern "C" fn call(sbdf: u32) -> c_int {
        match T::gsi(Sbdf::from_u32(sbdf)) {
            // A GSI that does not fit the C interface does not exist.
            Ok(gsi) => c_int::try_from(gsi).unwrap_or(ENXIO.to_errno()),
            Err(e) => e.to_errno(),
        }
    }
}

impl<T: GsiLookup> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: Clearing the place waits for those who are calling through it.
        unsafe { bindings::xen_acpi_register_get_gsi_func(None) };
    }
}
