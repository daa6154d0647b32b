// SPDX-License-Identifier: GPL-2.0

//! Trace events.
//!
//! A driver defines its events in C, and a function `rust_helper_trace_NAME()` for each, which
//! records the event. Kbuild lists these C files, and bindgen generates the bindings of the
//! functions from them.
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)

/// The functions that record events. They can be called in any context with any arguments.
#[doc(hidden)]
#[allow(missing_docs, reason = "generated from C")]
pub mod events {
    use crate::bindings::*;
    use kernel::ffi;

    include!(concat!(env!("XEN_BINDINGS"), "/trace_generated.rs"));
}

/// Records a trace event: calls the C function with these arguments in this order. Their names only
/// serve the reader.
///
/// # Examples
///
/// ```ignore
/// xen::trace!(trace_pcidev_reset(sbdf = sbdf.to_u32(), err = 0));
/// ```
#[macro_export]
macro_rules! trace {
    ($event:ident($($argument:ident = $value:expr),* $(,)?)) => {{
        $(let $argument = $value;)*
        // SAFETY: Trace events can be recorded in any context. `$value` is evaluated outside of the
        // block.
        unsafe { $crate::linux::trace::events::$event($($argument),*) }
    }};
}
