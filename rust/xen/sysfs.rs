// SPDX-License-Identifier: GPL-2.0

//! Attribute groups on PCI functions, whichever driver they have.
//!
//! C header: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

use core::{
    ptr,
    slice, //
};

use kernel::{
    error::to_result,
    pci::Device,
    prelude::*,
    str::Formatter,
    sync::aref::ARef, //
};

use crate::{
    bindings,
    pci::{
        as_raw_device,
        from_raw_device, //
    },
};

/// A read-only attribute of a PCI function.
pub trait Attribute: 'static {
    /// The file's name.
    const NAME: &'static CStr;

    /// Writes the value, a page at most; an error is the errno of the reader's `read()`. May sleep.
    fn show(dev: &Device, out: &mut Formatter<'_>) -> Result;
}

/// An [`Attribute`] as sysfs wants it, in a `static`.
#[repr(transparent)]
pub struct RawAttribute(bindings::device_attribute);

// SAFETY: Nothing changes it after it is made, except what lockdep keeps in it under its own lock.
unsafe impl Sync for RawAttribute {}

impl RawAttribute {
    /// Makes the attribute `A`.
    #[allow(
        clippy::needless_update,
        reason = "`attribute` has more fields with lockdep"
    )]
    pub const fn new<A: Attribute>() -> Self {
        Self(bindings::device_attribute {
            attr: bindings::attribute {
                name: kernel::str::as_char_ptr_in_const_context(A::NAME),
                mode: 0o444,
                ..pin_init::zeroed()
            },
            __bindgen_anon_1: bindings::device_attribute__bindgen_ty_1 {
                show: Some(show::<A>),
            },
            ..pin_init::zeroed()
        })
    }
}

/// # Safety
///
/// Called by sysfs for a file of a [`Group`] on a device.
unsafe extern "C" fn show<A: Attribute>(
    dev: *mut bindings::device,
    _attr: *mut bindings::device_attribute,
    buf: *mut c_char,
) -> isize {
    // SAFETY: sysfs passes a device that stays until the call returns, and a page to write to.
    let (dev, page) = unsafe {
        (
            from_raw_device(dev),
            slice::from_raw_parts_mut(buf.cast::<u8>(), kernel::page::PAGE_SIZE),
        )
    };
    let mut out = Formatter::new(page);
    match dev.ok_or(ENODEV).and_then(|dev| A::show(dev, &mut out)) {
        // CAST: At most a page.
        Ok(()) => out.bytes_written() as isize,
        Err(e) => e.to_errno() as isize,
    }
}

/// A list of `N` attributes, in a `static`.
#[repr(C)]
pub struct List<const N: usize> {
    attrs: [*const RawAttribute; N],
    end: *const RawAttribute,
}

// SAFETY: Nothing changes it after it is made.
unsafe impl<const N: usize> Sync for List<N> {}

impl<const N: usize> List<N> {
    /// Makes the list.
    pub const fn new(attrs: [&'static RawAttribute; N]) -> Self {
        let mut list = Self {
            attrs: [ptr::null(); N],
            end: ptr::null(),
        };
        let mut i = 0;
        while i < N {
            list.attrs[i] = ptr::from_ref(attrs[i]);
            i += 1;
        }
        list
    }
}

/// A named directory of attributes, in a `static`.
///
/// # Examples
///
/// ```
/// # use kernel::{pci, prelude::*, str::Formatter};
/// # use xen::sysfs::{Attribute, Group, List, RawAttribute};
/// struct Vendor;
///
/// impl Attribute for Vendor {
///     const NAME: &'static CStr = c"vendor";
///
///     fn show(dev: &pci::Device, out: &mut Formatter<'_>) -> Result {
///         Ok(out.write_fmt(fmt!("{}\n", dev.vendor_id()))?)
///     }
/// }
///
/// static VENDOR: RawAttribute = RawAttribute::new::<Vendor>();
/// static FILES: List<1> = List::new([&VENDOR]);
/// static DIRECTORY: Group = Group::new(c"example", &FILES);
/// ```
#[repr(transparent)]
pub struct Group(bindings::attribute_group);

// SAFETY: Nothing changes it after it is made.
unsafe impl Sync for Group {}

impl Group {
    /// Makes the directory.
    pub const fn new<const N: usize>(name: &'static CStr, list: &'static List<N>) -> Self {
        Self(bindings::attribute_group {
            name: kernel::str::as_char_ptr_in_const_context(name),
            __bindgen_anon_2: bindings::attribute_group__bindgen_ty_2 {
                // A `device_attribute` begins with its `attribute`.
                attrs: ptr::from_ref(list).cast_mut().cast(),
            },
            ..pin_init::zeroed()
        })
    }

    /// Puts the directory on `dev` until the returned value is dropped; `EEXIST` if it is there.
    /// May sleep.
    pub fn add(&'static self, dev: &Device) -> Result<Added> {
        // SAFETY: `dev` is a registered device, and the group is static.
        to_result(unsafe { bindings::sysfs_create_group(self.kobject(dev), &self.0) })?;
        // INVARIANT: Created just now.
        Ok(Added {
            group: self,
            dev: dev.into(),
        })
    }

    fn kobject(&self, dev: &Device) -> *mut bindings::kobject {
        // SAFETY: The place of a field of a valid device.
        unsafe { &raw mut (*as_raw_device(dev)).kobj }
    }
}

/// A [`Group`] that a driver's functions have from after its probe to before its remove, in a
/// `static`.
#[repr(C)]
pub struct Files {
    group: *const Group,
    end: *const Group,
}

// SAFETY: Nothing changes it after it is made.
unsafe impl Sync for Files {}

impl Files {
    /// The files of `group`.
    pub const fn new(group: &'static Group) -> Self {
        Self {
            group: ptr::from_ref(group),
            end: ptr::null(),
        }
    }

    pub(crate) fn groups(&'static self) -> *mut *const bindings::attribute_group {
        // A `Group` is a transparent wrapper, and the driver core only reads.
        ptr::from_ref(self).cast_mut().cast()
    }
}

/// A [`Group`] that is on a device. Dropping it waits for readers and may sleep.
///
/// # Invariants
///
/// The group is on the device.
pub struct Added {
    group: &'static Group,
    dev: ARef<Device>,
}

impl Drop for Added {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the group is there.
        unsafe { bindings::sysfs_remove_group(self.group.kobject(&self.dev), &self.group.0) };
    }
}
