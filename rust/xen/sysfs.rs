// SPDX-License-Identifier: GPL-2.0

//! Attribute groups, and attributes of PCI functions, whichever driver they have.
//!
//! C header: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

use core::{
    marker::PhantomData,
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
    fault,
    pci::{
        as_raw_device,
        from_raw_device, //
    }, //
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

/// A list of `N` attributes or files, in a `static`.
#[repr(C)]
pub struct List<T: 'static, const N: usize> {
    items: [*const T; N],
    end: *const T,
}

// SAFETY: Nothing changes it after it is made, and what it points to can be shared.
unsafe impl<T: Sync, const N: usize> Sync for List<T, N> {}

impl<T, const N: usize> List<T, N> {
    /// Makes the list.
    pub const fn new(items: [&'static T; N]) -> Self {
        let mut list = Self {
            items: [ptr::null(); N],
            end: ptr::null(),
        };
        let mut i = 0;
        while i < N {
            list.items[i] = ptr::from_ref(items[i]);
            i += 1;
        }
        list
    }
}

/// Attributes or files, in a `static`. `T` tells on what they can be: [`RawAttribute`] on
/// functions, [`RawFile`](crate::driver_files::RawFile) on drivers.
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
/// static FILES: List<RawAttribute, 1> = List::new([&VENDOR]);
/// static DIRECTORY: Group<RawAttribute> = Group::new(c"example", &FILES);
/// ```
#[repr(transparent)]
pub struct Group<T>(
    pub(crate) bindings::attribute_group,
    pub(crate) PhantomData<T>,
);

// SAFETY: Nothing changes it after it is made.
unsafe impl<T> Sync for Group<T> {}

impl Group<RawAttribute> {
    /// Makes a directory of attributes.
    pub const fn new<const N: usize>(
        name: &'static CStr,
        list: &'static List<RawAttribute, N>,
    ) -> Self {
        let group = bindings::attribute_group {
            name: kernel::str::as_char_ptr_in_const_context(name),
            __bindgen_anon_2: bindings::attribute_group__bindgen_ty_2 {
                // A `device_attribute` begins with its `attribute`.
                attrs: ptr::from_ref(list).cast_mut().cast(),
            },
            ..pin_init::zeroed()
        };
        Self(group, PhantomData)
    }

    /// Puts the directory on `dev` until the returned value is dropped; `EEXIST` if it is there.
    /// May sleep.
    pub fn add(&'static self, dev: &Device) -> Result<Added> {
        fault::point("making files in sysfs")?;
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

/// A [`Group`] that a driver, or each of its functions, has for as long as it is there, in a
/// `static`.
#[repr(C)]
pub struct Files<T: 'static> {
    group: *const Group<T>,
    end: *const Group<T>,
}

// SAFETY: Nothing changes it after it is made.
unsafe impl<T> Sync for Files<T> {}

impl<T> Files<T> {
    /// The files of `group`.
    pub const fn new(group: &'static Group<T>) -> Self {
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
    group: &'static Group<RawAttribute>,
    dev: ARef<Device>,
}

impl Drop for Added {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the group is there.
        unsafe { bindings::sysfs_remove_group(self.group.kobject(&self.dev), &self.group.0) };
    }
}
