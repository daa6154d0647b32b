// SPDX-License-Identifier: GPL-2.0

//! Handlers of Linux irqs by number.
//!
//! The kernel crate only knows the irqs of a device that its driver is bound to.
//!
//! C header: [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)

use core::marker::PhantomPinned;

use kernel::{
    error::to_result,
    irq::IrqReturn,
    prelude::*, //
};

use crate::{
    bindings,
    linux::fault, //
};

/// Handles an irq.
pub trait Handler: Sync + 'static {
    /// Called in interrupt context.
    fn handle(&self) -> IrqReturn;
}

/// The handler of lines that are requested for the sake of being unmasked: never its interrupt.
pub struct NotMine;

impl Handler for NotMine {
    fn handle(&self) -> IrqReturn {
        IrqReturn::None
    }
}

/// A handler on a shared line, which stays unmasked for at least as long as this value lives.
///
/// # Invariants
///
/// `Self::call` is a handler of `irq`, with the address of this value as its cookie.
#[pin_data(PinnedDrop)]
pub struct Registration<H: Handler> {
    irq: u32,
    handler: H,
    #[pin]
    _pin: PhantomPinned,
}

impl<H: Handler> Registration<H> {
    /// Requests `irq`, which may be shared. May sleep.
    ///
    /// Errors are those of `request_irq()`; `EBUSY` for a line whose other user does not share it,
    /// which is not worth the kernel's stack trace and gets none.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::prelude::*;
    /// # use xen::irq;
    /// // Unmasks line 23 and masks it again, if nobody else uses it.
    /// let line = KBox::pin_init(
    ///     irq::Registration::new(23, c"example", irq::NotMine),
    ///     GFP_KERNEL,
    /// )?;
    /// drop(line);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(irq: u32, name: &'static CStr, handler: H) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            irq,
            handler,
            _pin: PhantomPinned,
            _: {
                fault::point("requesting the irq")?;
                // INVARIANT: Registered just now.
                // SAFETY: `this` is pinned and stays until `PinnedDrop` has freed the irq; all that
                // the handler touches is initialized.
                to_result(unsafe {
                    bindings::request_threaded_irq(
                        *irq,
                        Some(Self::call),
                        None,
                        (bindings::IRQF_SHARED | bindings::IRQF_PROBE_SHARED) as c_ulong,
                        name.as_char_ptr(),
                        this.as_ptr().cast(),
                    )
                })?;
            },
        }? Error)
    }

    /// # Safety
    ///
    /// Called as the handler that [`Self::new`] requested, with its cookie.
    unsafe extern "C" fn call(_irq: c_int, cookie: *mut c_void) -> bindings::irqreturn_t {
        // SAFETY: By the type invariant the cookie is a registration, alive until the irq is freed,
        // which waits for running handlers.
        let this = unsafe { &*cookie.cast::<Self>() };
        let answer = this.handler.handle();
        // SAFETY: It has the values and the layout of C's enumeration, which is a number in some
        // versions of the bindings and a type in others.
        unsafe { core::mem::transmute::<IrqReturn, bindings::irqreturn_t>(answer) }
    }
}

#[pinned_drop]
impl<H: Handler> PinnedDrop for Registration<H> {
    fn drop(self: Pin<&mut Self>) {
        let irq = self.irq;
        // SAFETY: By the type invariant this cookie is registered. The value is not moved.
        unsafe { bindings::free_irq(irq, core::ptr::from_mut(self.get_unchecked_mut()).cast()) };
    }
}
