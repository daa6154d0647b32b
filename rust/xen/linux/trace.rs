// SPDX-License-Identifier: GPL-2.0

//! Trace events, for `trace-cmd` and `perf`.
//!
//! A driver defines its events in C, with a function `rust_helper_trace_NAME()` that raises each of
//! them. Kbuild lists these files; the functions' prototypes are generated from them.
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)

/// The functions that raise events. Each can be called anywhere, with any arguments.
#[doc(hidden)]
#[allow(missing_docs, reason = "generated from C")]
pub mod events {
    use crate::bindings::*;
    use kernel::ffi;

    include!(concat!(env!("XEN_BINDINGS"), "/trace_generated.rs"));
}

/// Raises a trace event: calls the C function with these arguments, whose names do not matter.
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
        // SAFETY: An event can be raised anywhere. The values were made outside of this block.
        unsafe { $crate::linux::trace::events::$event($($argument),*) }
    }};
}
