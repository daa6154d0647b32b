// SPDX-License-Identifier: GPL-2.0

//! Handlers for Linux irqs, by irq number.
//!
//! The kernel crate requests only the irqs of a device that the calling driver is bound to.
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
    linux::{
        fault,
        irq_return, //
    }, //
};

/// Callbacks for a handler of a Linux irq.
pub trait Handler: Sync + 'static {
    /// Handles the interrupt. Called in interrupt context, so this must not sleep.
    fn handle(&self) -> IrqReturn;
}

/// A handler that never claims an interrupt, for requests that only unmask the line.
pub struct NotMine;

impl Handler for NotMine {
    fn handle(&self) -> IrqReturn {
        IrqReturn::None
    }
}

/// Keeps the line of `irq` unmasked until the returned value is dropped. `None` if an exclusive
/// handler keeps it unmasked. May sleep.
///
/// Errors: those of [`Registration::new`], without `EBUSY`.
pub fn unmask(irq: u32, name: &'static CStr) -> Result<Option<Pin<KBox<Registration<NotMine>>>>> {
    match KBox::pin_init(Registration::new(irq, name, NotMine), GFP_KERNEL) {
        Err(e) if e == EBUSY => Ok(None),
        result => result.map(Some),
    }
}

/// A handler of a shared irq. The line stays unmasked at least until this value is dropped.
///
/// Dropping the value waits for running handlers and may sleep.
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
    /// Requests `irq`, which other handlers may share. May sleep.
    ///
    /// Errors are those of `request_irq()`. It returns `EBUSY` if another handler holds the line
    /// exclusively; the kernel then prints no stack trace (`IRQF_PROBE_SHARED`).
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::prelude::*;
    /// # use xen::gsi::irq;
    /// // Unmasks the line of irq 23, then masks it again unless it has other handlers.
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
                // INVARIANT: `request_threaded_irq()` has registered the handler.
                // SAFETY: `this` is pinned and outlives the request, which `PinnedDrop` frees. All
                // fields that the handler uses are initialized.
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
    /// Must only be called as the handler that [`Self::new`] has requested, with its cookie.
    unsafe extern "C" fn call(_irq: c_int, cookie: *mut c_void) -> bindings::irqreturn_t {
        // SAFETY: By the type invariant the cookie points to a registration. It is valid until
        // `free_irq()` returns, which waits for running handlers.
        let this = unsafe { &*cookie.cast::<Self>() };
        irq_return::to_raw(this.handler.handle())
    }
}

#[pinned_drop]
impl<H: Handler> PinnedDrop for Registration<H> {
    fn drop(self: Pin<&mut Self>) {
        let irq = self.irq;
        // SAFETY: By the type invariant the handler is registered with this cookie. The value is
        // not moved.
        unsafe { bindings::free_irq(irq, core::ptr::from_mut(self.get_unchecked_mut()).cast()) };
    }
}
