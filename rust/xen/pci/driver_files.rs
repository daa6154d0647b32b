// SPDX-License-Identifier: GPL-2.0

//! The files of a PCI driver in `/sys/bus/pci/drivers/NAME/`.
//!
//! They exist before the first function is probed, and until the last function was removed. Their
//! contents may exceed a page.
//!
//! C header: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

use core::{
    marker::PhantomData,
    ptr,
    slice, //
};

use kernel::{
    fmt,
    prelude::*, //
};

use crate::{
    bindings,
    linux::sysfs, //
};

/// A text of any length. Writing to it fails if there is no memory.
pub struct Text(KVVec<u8>);

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0
            .extend_from_slice(text.as_bytes(), GFP_KERNEL)
            .map_err(|_| fmt::Error)
    }
}

/// A file of the driver `T`. Each `write()` is one request.
///
/// A file that is not readable need not implement [`Self::show`], and a file that is not writable
/// need not implement [`Self::store`].
pub trait File<T>: 'static {
    /// The name of the file.
    const NAME: &'static CStr;
    /// The permissions, such as `0o200` for a file that only root can write.
    const MODE: u16;

    /// Writes the contents of the file to `_out`. If this fails, the reader's `read()` fails with
    /// the same errno. May sleep.
    fn show(_driver: &T, _out: &mut Text) -> Result {
        Err(EIO)
    }

    /// Carries out a request of at most a page. If this fails, the `write()` fails with the same
    /// errno. May sleep.
    fn store(_driver: &T, _request: &[u8]) -> Result {
        Err(EIO)
    }
}

/// An entry of [`Driver::FILES`](super::driver::Driver::FILES).
pub struct DriverFile<T>(bindings::bin_attribute, PhantomData<fn(T)>);

impl<T: 'static> DriverFile<T> {
    /// Creates the entry of the file `F`.
    pub const fn new<F: File<T>>() -> Self {
        let attribute = bindings::bin_attribute {
            attr: sysfs::attribute(F::NAME, F::MODE),
            read: Some(read::<T, F>),
            write: Some(write::<T, F>),
            ..pin_init::zeroed()
        };
        Self(attribute, PhantomData)
    }
}

/// The attributes of a registered driver's files.
///
/// # Invariants
///
/// `groups` points to a null-terminated list that contains `_group`, whose `bin_attrs` is `_list`,
/// a null-terminated list of pointers to `_attributes`.
pub(super) struct DriverFiles {
    _attributes: KVec<bindings::bin_attribute>,
    _list: KVec<*const bindings::bin_attribute>,
    _group: KBox<bindings::attribute_group>,
    groups: KBox<[*const bindings::attribute_group; 2]>,
}

impl DriverFiles {
    /// Creates the attributes of `files`, whose callbacks are passed `driver`. `ENOMEM` on failure.
    pub(super) fn new<T>(files: &[DriverFile<T>], driver: *const T) -> Result<Self> {
        let mut attributes = KVec::with_capacity(files.len(), GFP_KERNEL)?;
        for file in files {
            let attribute = bindings::bin_attribute {
                private: driver.cast_mut().cast(),
                ..file.0
            };
            attributes.push(attribute, GFP_KERNEL)?;
        }
        let mut list = KVec::new();
        for attribute in &attributes {
            list.push(ptr::from_ref(attribute), GFP_KERNEL)?;
        }
        list.push(ptr::null(), GFP_KERNEL)?;
        let group = bindings::attribute_group {
            bin_attrs: list.as_ptr(),
            ..pin_init::zeroed()
        };
        let group = KBox::new(group, GFP_KERNEL)?;
        // INVARIANT: The allocations are not moved or changed any more.
        Ok(Self {
            groups: KBox::new([&raw const *group, ptr::null()], GFP_KERNEL)?,
            _group: group,
            _list: list,
            _attributes: attributes,
        })
    }

    /// Returns the list of groups. The driver core does not write to it.
    pub(super) fn groups(&self) -> *mut *const bindings::attribute_group {
        self.groups.as_ptr().cast_mut()
    }
}

/// # Safety
///
/// Must only be called by sysfs for a file of a registered driver `T`, with a buffer of `count`
/// bytes.
unsafe extern "C" fn read<T, F: File<T>>(
    _file: *mut bindings::file,
    _kobj: *mut bindings::kobject,
    attribute: *const bindings::bin_attribute,
    buffer: *mut c_char,
    offset: bindings::loff_t,
    count: usize,
) -> isize {
    // SAFETY: By the function's requirement `buffer` is valid for writes, and `private` points to
    // the driver, which outlives its files.
    let (driver, out) = unsafe {
        (
            &*(*attribute).private.cast::<T>(),
            slice::from_raw_parts_mut(buffer.cast::<u8>(), count),
        )
    };
    let mut text = Text(KVVec::new());
    if let Err(e) = F::show(driver, &mut text) {
        // CAST: An errno is a small number.
        return e.to_errno() as isize;
    }
    let rest = usize::try_from(offset)
        .ok()
        .and_then(|offset| text.0.get(offset..))
        .unwrap_or_default();
    let length = rest.len().min(out.len());
    for (to, from) in out.iter_mut().zip(rest) {
        *to = *from;
    }
    // CAST: `length` is at most the size of the buffer.
    length as isize
}

/// # Safety
///
/// Must only be called by sysfs for a file of a registered driver `T`, with a buffer of `count`
/// bytes.
unsafe extern "C" fn write<T, F: File<T>>(
    _file: *mut bindings::file,
    _kobj: *mut bindings::kobject,
    attribute: *const bindings::bin_attribute,
    buffer: *mut c_char,
    _offset: bindings::loff_t,
    count: usize,
) -> isize {
    // SAFETY: By the function's requirement `buffer` is valid for reads, and `private` points to
    // the driver, which outlives its files.
    let (driver, request) = unsafe {
        (
            &*(*attribute).private.cast::<T>(),
            slice::from_raw_parts(buffer.cast::<u8>(), count),
        )
    };
    match F::store(driver, request) {
        // CAST: `count` is at most a page.
        Ok(()) => count as isize,
        // CAST: An errno is a small number.
        Err(e) => e.to_errno() as isize,
    }
}
