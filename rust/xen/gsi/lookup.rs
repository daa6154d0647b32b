// SPDX-License-Identifier: GPL-2.0

//! The GSI look-up behind `IOCTL_PRIVCMD_PCIDEV_GET_GSI` of `/dev/xen/privcmd`.
//!
//! C headers: [`include/xen/acpi.h`](srctree/include/xen/acpi.h),
//! [`include/uapi/xen/privcmd.h`](srctree/include/uapi/xen/privcmd.h)

use core::{
    marker::PhantomPinned,
    ptr, //
};

use kernel::{
    prelude::*,
    sync::atomic::{
        ordering::{
            Full,
            Relaxed, //
        },
        Atomic, //
    }, //
};

use crate::{
    bindings,
    pci::Sbdf, //
};

/// Callback that returns the GSI of a PCI function.
pub trait GsiLookup: Send + Sync + 'static {
    /// Returns the GSI of the function at `sbdf`. The ioctl fails with the error's errno.
    ///
    /// Called with a spinlock held, so this must not sleep.
    fn gsi(&self, sbdf: Sbdf) -> Result<u32>;
}

/// The look-up of this module's [`Registration`], or null. C passes no context to the callback. The
/// pointer is set before the callback is registered, and cleared after the callback is
/// unregistered, which waits for running calls.
static LOOKUP: Atomic<*mut c_void> = Atomic::new(ptr::null_mut());

/// A registration of a look-up.
///
/// The kernel has one slot for a look-up. `xen-pciback` overwrites the slot when it loads and
/// clears it when it unloads: see [`Registration::renew`]. The previous look-up cannot be restored.
/// Dropping this value clears the slot and waits for running calls.
///
/// # Invariants
///
/// [`LOOKUP`] points to the field `lookup` of this value.
#[pin_data(PinnedDrop)]
pub struct Registration<T: GsiLookup> {
    lookup: T,
    #[pin]
    _pin: PhantomPinned,
}

impl<T: GsiLookup> Registration<T> {
    /// Registers `lookup` in place of any other module's. Fails with `EBUSY` if this module has
    /// already registered a look-up.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::prelude::*;
    /// # use xen::{gsi::lookup::{GsiLookup, Registration}, pci::Sbdf};
    /// struct Nothing;
    ///
    /// impl GsiLookup for Nothing {
    ///     fn gsi(&self, _: Sbdf) -> Result<u32> {
    ///         Err(ENODEV)
    ///     }
    /// }
    ///
    /// let _answers = KBox::pin_init(Registration::new(Nothing), GFP_KERNEL)?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(lookup: T) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            lookup,
            _pin: PhantomPinned,
            _: {
                // INVARIANT: The value is pinned, and `PinnedDrop` clears the pointer.
                LOOKUP
                    .cmpxchg(ptr::null_mut(), ptr::from_ref(lookup).cast_mut().cast(), Full)
                    .map_err(|_| EBUSY)?;
                Self::register();
            },
        }? Error)
    }

    /// Registers the look-up again after another module has overwritten or cleared the slot.
    pub fn renew(&self) {
        Self::register();
    }

    fn register() {
        // SAFETY: `PinnedDrop` clears the slot before the module that holds `call` can be unloaded.
        unsafe { bindings::xen_acpi_register_get_gsi_func(Some(Self::call)) };
    }

    /// # Safety
    ///
    /// Must only be called through the kernel's slot while a `Registration<T>` exists.
    unsafe extern "C" fn call(sbdf: u32) -> c_int {
        // SAFETY: By the function's requirement a registration exists, and by its type invariant
        // `LOOKUP` points to its `T`.
        let lookup = unsafe { &*LOOKUP.load(Relaxed).cast::<T>() };
        match lookup.gsi(Sbdf::from_u32(sbdf)) {
            // The C interface has no GSI above `c_int::MAX`.
            Ok(gsi) => c_int::try_from(gsi).unwrap_or(ENXIO.to_errno()),
            Err(e) => e.to_errno(),
        }
    }
}

#[pinned_drop]
impl<T: GsiLookup> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Clearing the slot is always allowed. It waits for running calls.
        unsafe { bindings::xen_acpi_register_get_gsi_func(None) };
        LOOKUP.store(ptr::null_mut(), Relaxed);
    }
}
