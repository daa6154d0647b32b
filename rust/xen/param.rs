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

/// A `.modinfo` string with its terminator.
#[doc(hidden)]
pub const fn modinfo<const N: usize>(text: &str) -> [u8; N] {
    let bytes = text.as_bytes();
    let mut out = [0; N];
    let mut i = 0;
    while i < bytes.len() {
        out[i] = bytes[i];
        i += 1;
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
///     DO_IT: "do_it" = true, "Do it (default: Y)"
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
            const NAME: &::core::ffi::CStr =
                match ::core::ffi::CStr::from_bytes_with_nul(concat!($name, "\0").as_bytes()) {
                    Ok(name) => name,
                    Err(_) => panic!("a parameter's name holds no NUL"),
                };

            #[link_section = "__param"]
            #[used(compiler)]
            static PARAM: $crate::param::Raw = $crate::param::Raw::new(NAME, &$value);

            const TYPE: &str = concat!("parmtype=", $name, ":bool");
            #[link_section = ".modinfo"]
            #[used(compiler)]
            static PARMTYPE: [u8; TYPE.len() + 1] = $crate::param::modinfo(TYPE);

            const TEXT: &str = concat!("parm=", $name, ":", $description);
            #[link_section = ".modinfo"]
            #[used(compiler)]
            static PARM: [u8; TEXT.len() + 1] = $crate::param::modinfo(TEXT);
        };
    };
}
