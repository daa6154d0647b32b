// SPDX-License-Identifier: GPL-2.0

//! The look-up behind `IOCTL_PRIVCMD_PCIDEV_GET_GSI` of `/dev/xen/privcmd`.
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

/// Answers the kernel's question for the GSI of a PCI function.
pub trait GsiLookup: Send + Sync + 'static {
    /// The GSI of the function at `sbdf`; an error reaches user space as the ioctl's errno.
    ///
    /// Called with a spinlock held: must not sleep.
    fn gsi(&self, sbdf: Sbdf) -> Result<u32>;
}

/// The look-up of this module's registration, or null: C passes no context. It is set before the
/// function is registered and cleared after it is unregistered, which waits for running calls.
static LOOKUP: Atomic<*mut c_void> = Atomic::new(ptr::null_mut());

/// Makes a `T` answer for as long as this value lives.
///
/// The kernel has one place for a look-up, which `xen-pciback` overwrites when it loads and clears
/// when it unloads: see [`Registration::renew`]. The previous look-up cannot be restored.
///
/// # Invariants
///
/// [`LOOKUP`] points to `lookup`.
#[pin_data(PinnedDrop)]
pub struct Registration<T: GsiLookup> {
    lookup: T,
    #[pin]
    _pin: PhantomPinned,
}

impl<T: GsiLookup> Registration<T> {
    /// Registers `lookup`, in place of any other; `EBUSY` if this module has one registered.
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
                // INVARIANT: The value is pinned, and clears this before it goes.
                LOOKUP
                    .cmpxchg(ptr::null_mut(), ptr::from_ref(lookup).cast_mut().cast(), Full)
                    .map_err(|_| EBUSY)?;
                Self::register();
            },
        }? Error)
    }

    /// Takes the place back.
    pub fn renew(&self) {
        Self::register();
    }

    fn register() {
        // SAFETY: The function stays until `PinnedDrop` has cleared the place.
        unsafe { bindings::xen_acpi_register_get_gsi_func(Some(Self::call)) };
    }

    /// # Safety
    ///
    /// Called while a `Registration<T>` is registered.
    unsafe extern "C" fn call(sbdf: u32) -> c_int {
        // SAFETY: By the function's requirement and the type invariant.
        let lookup = unsafe { &*LOOKUP.load(Relaxed).cast::<T>() };
        match lookup.gsi(Sbdf::from_u32(sbdf)) {
            // A GSI that does not fit the C interface does not exist.
            Ok(gsi) => c_int::try_from(gsi).unwrap_or(ENXIO.to_errno()),
            Err(e) => e.to_errno(),
        }
    }
}

#[pinned_drop]
impl<T: GsiLookup> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Clearing the place waits for those who are calling through it.
        unsafe { bindings::xen_acpi_register_get_gsi_func(None) };
        LOOKUP.store(ptr::null_mut(), Relaxed);
    }
}
