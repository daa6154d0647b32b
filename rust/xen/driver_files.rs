// SPDX-License-Identifier: GPL-2.0

//! A PCI driver's own files, in `/sys/bus/pci/drivers/NAME/`.
//!
//! They are there when the first function is probed, and gone when the last is removed. What they
//! show is not cut off at a page.
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
    sysfs::{
        Group,
        List, //
    },
};

/// A text of any length.
pub struct Text(KVVec<u8>);

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0
            .extend_from_slice(text.as_bytes(), GFP_KERNEL)
            .map_err(|_| fmt::Error)
    }
}

/// A file. What a program writes at once is one request.
pub trait File: 'static {
    /// The file's name.
    const NAME: &'static CStr;
    /// Who may do what, such as `0o200` for one that only root can write.
    const MODE: u16;

    /// Writes what a reader gets; an error is the errno of its `read()`. May sleep.
    fn show(_out: &mut Text) -> Result {
        Err(EIO)
    }

    /// Does what was asked for, in a page at most; an error is the errno of the `write()`. May
    /// sleep.
    fn store(_request: &[u8]) -> Result {
        Err(EIO)
    }
}

/// A [`File`] as sysfs wants it, in a `static`.
#[repr(transparent)]
pub struct RawFile(bindings::bin_attribute);

// SAFETY: Nothing changes it after it is made, except what lockdep keeps in it under its own lock.
unsafe impl Sync for RawFile {}

impl RawFile {
    /// Makes the file `F`.
    #[allow(
        clippy::needless_update,
        reason = "`attribute` has more fields with lockdep"
    )]
    pub const fn new<F: File>() -> Self {
        Self(bindings::bin_attribute {
            attr: bindings::attribute {
                name: kernel::str::as_char_ptr_in_const_context(F::NAME),
                mode: F::MODE,
                ..pin_init::zeroed()
            },
            read: Some(read::<F>),
            write: Some(write::<F>),
            ..pin_init::zeroed()
        })
    }
}

/// # Safety
///
/// Called by sysfs with a buffer of `count` bytes.
unsafe extern "C" fn read<F: File>(
    _file: *mut bindings::file,
    _kobj: *mut bindings::kobject,
    _attr: *const bindings::bin_attribute,
    buf: *mut c_char,
    offset: bindings::loff_t,
    count: usize,
) -> isize {
    // SAFETY: By the function's requirement.
    let out = unsafe { slice::from_raw_parts_mut(buf.cast::<u8>(), count) };
    let mut text = Text(KVVec::new());
    if let Err(e) = F::show(&mut text) {
        // CAST: A small number.
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
    // CAST: At most the buffer.
    length as isize
}

/// # Safety
///
/// Called by sysfs with a buffer of `count` bytes.
unsafe extern "C" fn write<F: File>(
    _file: *mut bindings::file,
    _kobj: *mut bindings::kobject,
    _attr: *const bindings::bin_attribute,
    buf: *mut c_char,
    _offset: bindings::loff_t,
    count: usize,
) -> isize {
    // SAFETY: By the function's requirement.
    let request = unsafe { slice::from_raw_parts(buf.cast::<u8>(), count) };
    match F::store(request) {
        // CAST: At most a page.
        Ok(()) => count as isize,
        // CAST: A small number.
        Err(e) => e.to_errno() as isize,
    }
}

impl Group<RawFile> {
    /// Makes a group of files.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::{fmt::Write, prelude::*};
    /// # use xen::{driver_files::{File, RawFile, Text}, sysfs::{Files, Group, List}};
    /// struct Answer;
    ///
    /// impl File for Answer {
    ///     const NAME: &'static CStr = c"answer";
    ///     const MODE: u16 = 0o444;
    ///
    ///     fn show(out: &mut Text) -> Result {
    ///         Ok(out.write_fmt(fmt!("42\n"))?)
    ///     }
    /// }
    ///
    /// static ANSWER: RawFile = RawFile::new::<Answer>();
    /// static LIST: List<RawFile, 1> = List::new([&ANSWER]);
    /// static GROUP: Group<RawFile> = Group::of_files(&LIST);
    /// static FILES: Files<RawFile> = Files::new(&GROUP);
    /// ```
    pub const fn of_files<const N: usize>(list: &'static List<RawFile, N>) -> Self {
        let group = bindings::attribute_group {
            // A `RawFile` is a transparent wrapper.
            bin_attrs: ptr::from_ref(list).cast(),
            ..pin_init::zeroed()
        };
        Self(group, PhantomData)
    }
}
