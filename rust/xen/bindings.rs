// SPDX-License-Identifier: GPL-2.0

//! C bindings: all of the kernel crate's, and those that the kernel crate lacks.

#![allow(
    clippy::all,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_imports,
    reason = "generated from C"
)]

pub(crate) use kernel::bindings::*;
use kernel::ffi;
use pin_init::MaybeZeroable;

include!(concat!(env!("XEN_BINDINGS"), "/bindings_generated.rs"));
include!(concat!(env!("XEN_BINDINGS"), "/helpers_generated.rs"));
