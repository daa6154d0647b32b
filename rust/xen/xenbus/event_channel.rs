// SPDX-License-Identifier: GPL-2.0

//! An event channel between a frontend and its backend.
//!
//! C header: [`include/xen/events.h`](srctree/include/xen/events.h)

use core::ffi::c_void;

use kernel::{
    irq::IrqReturn,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Full, //
        },
        Arc, //
    }, //
};

use crate::{
    bindings,
    linux::{
        fault,
        irq_return, //
    },
    xenbus::Device, //
};

/// What an event of the guest causes.
pub trait Handler: Send + Sync + 'static {
    /// Called in interrupt context. No further event comes until [`EventChannel::done`].
    fn event(&self);
}

/// The context of the interrupt handler.
struct Context<H> {
    handler: H,
    /// Whether an event waits for [`EventChannel::done`].
    is_pending: Atomic<bool>,
}

/// A bound event channel. Dropping it unbinds it, waits for a running handler, and may sleep.
///
/// # Invariants
///
/// `irq` is bound with `context` as the argument of its handler.
pub struct EventChannel<H: Handler> {
    irq: c_uint,
    context: Arc<Context<H>>,
    _dev: ARef<Device>,
}

impl<H: Handler> EventChannel<H> {
    /// Binds the channel that the guest of `dev` offers as `port`. May sleep.
    ///
    /// Errors: `ENOMEM`; else those of `bind_interdomain_evtchn_to_irqhandler_lateeoi()`.
    pub fn bind(dev: &Device, port: u32, name: &'static CStr, handler: H) -> Result<Self> {
        fault::point("binding an event channel")?;
        let context = Arc::new(
            Context {
                handler,
                is_pending: Atomic::new(false),
            },
            GFP_KERNEL,
        )?;
        // SAFETY: `dev` is valid. The name is static. The context lives until the irq is unbound in
        // `drop`.
        let irq = unsafe {
            bindings::bind_interdomain_evtchn_to_irqhandler_lateeoi(
                dev.as_raw(),
                port,
                Some(Self::handle),
                0,
                name.as_char_ptr(),
                Arc::as_ptr(&context).cast_mut().cast(),
            )
        };
        // INVARIANT: The irq was just bound.
        Ok(Self {
            irq: c_uint::try_from(irq).map_err(|_| Error::from_errno(irq))?,
            context,
            _dev: dev.into(),
        })
    }

    /// Lets the guest send the next event. `is_spurious` says that the last one asked for nothing:
    /// the next ones are delayed then. May be called at any time.
    pub fn done(&self, is_spurious: bool) {
        if !self.context.is_pending.xchg(false, Full) {
            return;
        }
        let flags = if is_spurious {
            bindings::XEN_EOI_FLAG_SPURIOUS
        } else {
            0
        };
        // SAFETY: By the type invariant the irq is bound, with a late end of interrupt.
        unsafe { bindings::xen_irq_lateeoi(self.irq, flags) };
    }

    /// Sends an event to the guest.
    pub fn notify(&self) {
        // CAST: Irqs are small.
        // SAFETY: By the type invariant the irq is bound to an event channel.
        unsafe { bindings::notify_remote_via_irq(self.irq as c_int) };
    }

    /// # Safety
    ///
    /// `context` is that of a channel that is bound.
    unsafe extern "C" fn handle(_irq: c_int, context: *mut c_void) -> bindings::irqreturn_t {
        // SAFETY: By the function's requirement. The channel is unbound before it is freed.
        let context = unsafe { &*context.cast::<Context<H>>() };
        context.is_pending.xchg(true, Full);
        context.handler.event();
        irq_return::to_raw(IrqReturn::Handled)
    }
}

impl<H: Handler> Drop for EventChannel<H> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the irq is bound with this argument.
        unsafe {
            bindings::unbind_from_irqhandler(self.irq, Arc::as_ptr(&self.context).cast_mut().cast())
        };
    }
}
