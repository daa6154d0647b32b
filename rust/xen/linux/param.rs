// SPDX-License-Identifier: GPL-2.0

//! Boolean and text module parameters, readable in `/sys/module/NAME/parameters/`.
//!
//! The kernel crate has integer parameters only, and does not show them in sysfs.
//!
//! C header: [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)

use core::{
    cell::UnsafeCell,
    ptr, //
};

use kernel::prelude::*;

use crate::{
    bindings,
    linux::fault,
    linux::module, //
};

/// The value of a boolean parameter.
#[repr(transparent)]
pub struct Bool(UnsafeCell<bool>);

// SAFETY: Every read and every write of the byte is a single access.
unsafe impl Sync for Bool {}

impl Bool {
    /// Creates a parameter with the value `default`.
    pub const fn new(default: bool) -> Self {
        Self(UnsafeCell::new(default))
    }

    /// Returns the current value.
    pub fn get(&self) -> bool {
        // SAFETY: The kernel writes 0 or 1 only, each in a single access.
        unsafe { self.0.get().read_volatile() }
    }
}

/// The value of a text parameter. The module loader sets it before the module's init function runs,
/// and it never changes afterwards.
#[repr(transparent)]
pub struct Text(UnsafeCell<*mut c_char>);

// SAFETY: The module loader writes the pointer before any code of the module runs. It is only read
// afterwards.
unsafe impl Sync for Text {}

impl Text {
    /// Creates a parameter without a default.
    #[allow(
        clippy::new_without_default,
        reason = "only ever made in a `static`, where `Default` cannot be called"
    )]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(ptr::null_mut()))
    }

    /// Returns the text; `None` if the parameter was not given.
    pub fn get(&self) -> Option<&'static CStr> {
        // SAFETY: The pointer does not change any more. It is null or points to a C string, which
        // the loader frees after the module's exit function.
        unsafe {
            let text = *self.0.get();
            (!text.is_null()).then(|| CStr::from_char_ptr(text))
        }
    }
}

/// A parameter as the module loader expects it in the section `__param`.
#[doc(hidden)]
#[repr(transparent)]
pub struct Raw(bindings::kernel_param);

// SAFETY: The module loader serializes all accesses.
unsafe impl Sync for Raw {}

impl Raw {
    #[doc(hidden)]
    pub const fn bool(name: &'static CStr, value: &'static Bool, perm: u16) -> Self {
        let ops = &raw const bindings::param_ops_bool;
        Self::new(name, ops, perm, ptr::from_ref(value).cast_mut().cast())
    }

    #[doc(hidden)]
    pub const fn text(name: &'static CStr, value: &'static Text) -> Self {
        let ops = &raw const bindings::param_ops_charp;
        Self::new(name, ops, 0o444, ptr::from_ref(value).cast_mut().cast())
    }

    #[doc(hidden)]
    pub const fn fault() -> Self {
        let ops = &raw const bindings::param_ops_uint;
        let arg = ptr::from_ref(&fault::COUNTDOWN).cast_mut().cast();
        Self::new(c"fault", ops, 0o644, arg)
    }

    const fn new(
        name: &'static CStr,
        ops: *const bindings::kernel_param_ops,
        perm: u16,
        arg: *mut c_void,
    ) -> Self {
        Self(bindings::kernel_param {
            name: kernel::str::as_char_ptr_in_const_context(name),
            mod_: module::this(),
            ops,
            perm,
            level: -1,
            flags: 0,
            __bindgen_anon_1: bindings::kernel_param__bindgen_ty_1 { arg },
        })
    }
}

/// Declares a boolean module parameter. Root can change a `writable` parameter at any time.
///
/// # Examples
///
/// ```
/// xen::bool_param!(
///     /// Whether the feature is enabled.
///     FEATURE: c"feature" = true, "Enable the feature (default: Y)"
/// );
///
/// assert!(FEATURE.get());
/// ```
#[macro_export]
macro_rules! bool_param {
    ($(#[$doc:meta])* $value:ident: $name:literal = $default:literal, $description:literal) => {
        $crate::bool_param!(@ $(#[$doc])* $value: $name = $default, 0o444, $description);
    };
    (
        $(#[$doc:meta])* writable
        $value:ident: $name:literal = $default:literal, $description:literal
    ) => {
        $crate::bool_param!(@ $(#[$doc])* $value: $name = $default, 0o644, $description);
    };
    (
        @ $(#[$doc:meta])*
        $value:ident: $name:literal = $default:literal, $perm:literal, $description:literal
    ) => {
        $(#[$doc])*
        static $value: $crate::linux::param::Bool = $crate::linux::param::Bool::new($default);

        const _: () = {
            #[link_section = "__param"]
            #[used(compiler)]
            static PARAM: $crate::linux::param::Raw =
                $crate::linux::param::Raw::bool($name, &$value, $perm);
        };
        $crate::modinfo!(b"parmtype=", $name.to_bytes(), b":", b"bool");
        $crate::modinfo!(b"parm=", $name.to_bytes(), b":", $description.as_bytes());
    };
}

/// Declares a text module parameter.
///
/// # Examples
///
/// ```
/// xen::text_param!(
///     /// The name of the device.
///     DEVICE: c"device", "Name of the device (default: none)"
/// );
///
/// assert!(DEVICE.get().is_none());
/// ```
#[macro_export]
macro_rules! text_param {
    ($(#[$doc:meta])* $value:ident: $name:literal, $description:literal) => {
        $(#[$doc])*
        static $value: $crate::linux::param::Text = $crate::linux::param::Text::new();

        const _: () = {
            #[link_section = "__param"]
            #[used(compiler)]
            static PARAM: $crate::linux::param::Raw =
                $crate::linux::param::Raw::text($name, &$value);
        };
        $crate::modinfo!(b"parmtype=", $name.to_bytes(), b":", b"charp");
        $crate::modinfo!(b"parm=", $name.to_bytes(), b":", $description.as_bytes());
    };
}

/// Declares the module parameter `fault`. See [`fault`].
#[macro_export]
macro_rules! fault_param {
    () => {
        const _: () = {
            #[link_section = "__param"]
            #[used(compiler)]
            static PARAM: $crate::linux::param::Raw = $crate::linux::param::Raw::fault();
        };
        $crate::modinfo!(b"parmtype=", b"fault", b":", b"uint");
        $crate::modinfo!(
            b"parm=",
            b"fault",
            b":",
            b"Let the n-th call from now fail, for tests"
        );
    };
}
