// SPDX-License-Identifier: GPL-2.0

//! Boolean module parameters that can be read in `/sys/module/NAME/parameters/`.
//!
//! The kernel crate's parameters are integers that sysfs does not show.
//!
//! C header: [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)

use core::{
    cell::UnsafeCell,
    ptr, //
};

use crate::{
    bindings,
    module, //
};

/// The value of a boolean parameter, set before the module's init function runs and never after.
#[repr(transparent)]
pub struct Bool(UnsafeCell<bool>);

// SAFETY: Written by the module loader before any code of the module runs, and only read after.
unsafe impl Sync for Bool {}

impl Bool {
    /// A parameter that is `default` unless given.
    pub const fn new(default: bool) -> Self {
        Self(UnsafeCell::new(default))
    }

    /// The value.
    pub fn get(&self) -> bool {
        // SAFETY: Nobody writes any more.
        unsafe { *self.0.get() }
    }
}

/// A parameter as the module loader wants it.
#[doc(hidden)]
#[repr(transparent)]
pub struct Raw(bindings::kernel_param);

// SAFETY: The module loader serializes all access.
unsafe impl Sync for Raw {}

impl Raw {
    #[doc(hidden)]
    pub const fn new(name: &'static core::ffi::CStr, value: &'static Bool) -> Self {
        Self(bindings::kernel_param {
            name: kernel::str::as_char_ptr_in_const_context(name),
            mod_: module::this(),
            ops: &raw const bindings::param_ops_bool,
            perm: 0o444,
            level: -1,
            flags: 0,
            __bindgen_anon_1: bindings::kernel_param__bindgen_ty_1 {
                arg: ptr::from_ref(value).cast_mut().cast(),
            },
        })
    }
}

/// The length of a `.modinfo` string made of these parts.
#[doc(hidden)]
pub const fn modinfo_len(parts: [&[u8]; 4]) -> usize {
    parts[0].len() + parts[1].len() + parts[2].len() + parts[3].len() + 1
}

/// A `.modinfo` string made of these parts, with its terminator.
#[doc(hidden)]
pub const fn modinfo<const N: usize>(parts: [&[u8]; 4]) -> [u8; N] {
    let mut out = [0; N];
    let (mut part, mut from, mut to) = (0, 0, 0);
    while part < parts.len() {
        while from < parts[part].len() {
            out[to] = parts[part][from];
            from += 1;
            to += 1;
        }
        part += 1;
        from = 0;
    }
    out
}

/// Declares a boolean module parameter.
///
/// # Examples
///
/// ```
/// xen::bool_param!(
///     /// Whether to do it.
///     DO_IT: c"do_it" = true, "Do it (default: Y)"
/// );
///
/// assert!(DO_IT.get());
/// ```
#[macro_export]
macro_rules! bool_param {
    ($(#[$doc:meta])* $value:ident: $name:literal = $default:literal, $description:literal) => {
        $(#[$doc])*
        static $value: $crate::param::Bool = $crate::param::Bool::new($default);

        const _: () = {
            #[link_section = "__param"]
            #[used(compiler)]
            static PARAM: $crate::param::Raw = $crate::param::Raw::new($name, &$value);

            const TYPE: [&[u8]; 4] = [b"parmtype=", $name.to_bytes(), b":", b"bool"];
            #[link_section = ".modinfo"]
            #[used(compiler)]
            static PARMTYPE: [u8; $crate::param::modinfo_len(TYPE)] = $crate::param::modinfo(TYPE);

            const TEXT: [&[u8]; 4] =
                [b"parm=", $name.to_bytes(), b":", $description.as_bytes()];
            #[link_section = ".modinfo"]
            #[used(compiler)]
            static PARM: [u8; $crate::param::modinfo_len(TEXT)] = $crate::param::modinfo(TEXT);
        };
    };
}
