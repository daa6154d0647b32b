// SPDX-License-Identifier: GPL-2.0

//! Files in sysfs, and directories of files that have a context.
//!
//! C headers: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h),
//! [`include/linux/kobject.h`](srctree/include/linux/kobject.h)

use core::slice;

use kernel::{
    error::to_result,
    prelude::*,
    str::Formatter,
    sync::Completion,
    types::Opaque, //
};

use crate::{
    bindings,
    linux::fault, //
};

/// What sysfs shows as a file: its name and its permissions.
#[allow(clippy::needless_update, reason = "there are more fields with lockdep")]
pub(crate) const fn attribute(name: &'static CStr, mode: u16) -> bindings::attribute {
    bindings::attribute {
        name: kernel::str::as_char_ptr_in_const_context(name),
        mode,
        // Lockdep accepts no key in allocated memory, where attributes may be.
        #[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
        key: KEY.0.get(),
        ..pin_init::zeroed()
    }
}

/// The lock class of all files.
#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
static KEY: Key = Key(core::cell::UnsafeCell::new(pin_init::zeroed()));

#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
struct Key(core::cell::UnsafeCell<bindings::lock_class_key>);

// SAFETY: Only lockdep uses it, under its own lock.
#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
unsafe impl Sync for Key {}

/// A read-only file of a [`Directory`] with the context `T`.
pub struct File<T> {
    attribute: bindings::attribute,
    show: fn(&T, &mut Formatter<'_>) -> Result,
}

impl<T> File<T> {
    /// The file `name`. `show` writes its contents, a page at most, and may sleep; an error is the
    /// errno of the reader's `read()`.
    pub const fn new(name: &'static CStr, show: fn(&T, &mut Formatter<'_>) -> Result) -> Self {
        Self {
            attribute: attribute(name, 0o444),
            show,
        }
    }
}

/// The context of the files in a [`Directory`].
///
/// # Examples
///
/// ```
/// # use kernel::{prelude::*, str::Formatter};
/// # use xen::linux::sysfs::{File, Files};
/// struct Slot(u32);
///
/// impl Slot {
///     fn number(&self, out: &mut Formatter<'_>) -> Result {
///         Ok(out.write_fmt(fmt!("{}\n", self.0))?)
///     }
/// }
///
/// impl Files for Slot {
///     const DIRECTORY: &'static CStr = c"example";
///     const FILES: &'static [File<Self>] = &[File::new(c"number", Self::number)];
/// }
/// ```
pub trait Files: Send + Sync + Sized + 'static {
    /// The directory's name.
    const DIRECTORY: &'static CStr;
    /// The files in it.
    const FILES: &'static [File<Self>];
}

/// A directory in sysfs, for as long as this value lives. See
/// [`InTree::add_directory`](crate::pci::InTree::add_directory).
///
/// It is a kobject of its own, since removing an attribute group of a device after the device
/// dereferences a null pointer. Either may go first. Dropping it waits for readers and may sleep.
///
/// # Invariants
///
/// The kobject is initialized, and one reference to it belongs to this value.
pub struct Directory<T: Files>(Pin<KBox<Inner<T>>>);

// SAFETY: A directory may be removed by another thread than made it, and the context can be sent.
unsafe impl<T: Files> Send for Directory<T> {}
// SAFETY: Nothing can be done with a shared reference.
unsafe impl<T: Files> Sync for Directory<T> {}

#[pin_data]
struct Inner<T> {
    files: T,
    #[pin]
    kobject: Opaque<bindings::kobject>,
    #[pin]
    released: Completion,
}

impl<T: Files> Directory<T> {
    const TYPE: bindings::kobj_type = bindings::kobj_type {
        release: Some(Self::release),
        sysfs_ops: &Self::OPERATIONS,
        ..pin_init::zeroed()
    };
    const OPERATIONS: bindings::sysfs_ops = bindings::sysfs_ops {
        show: Some(Self::show),
        ..pin_init::zeroed()
    };

    /// Makes the directory; `EEXIST` if there is one of this name. May sleep.
    ///
    /// # Safety
    ///
    /// `parent` is in sysfs, and is not removed from it before this returns.
    pub(crate) unsafe fn new(parent: *mut bindings::kobject, files: T) -> Result<Self> {
        fault::point("making a directory in sysfs")?;
        let inner = KBox::pin_init(
            pin_init!(Inner {
                files,
                kobject <- Opaque::ffi_init(|slot: *mut bindings::kobject| {
                    // SAFETY: `slot` is ours to write, and pinned. The type is static.
                    unsafe {
                        slot.write(pin_init::zeroed());
                        bindings::kobject_init(slot, &Self::TYPE);
                    }
                }),
                released <- Completion::new(),
            }),
            GFP_KERNEL,
        )?;
        // INVARIANT: `kobject_init()` has made the first reference.
        let this = Self(inner);
        let kobject = this.0.kobject.get();
        // SAFETY: An initialized kobject, and by the function's requirement its parent. The format
        // takes one string.
        to_result(unsafe {
            let name = T::DIRECTORY.as_char_ptr();
            bindings::kobject_add(kobject, parent, c"%s".as_char_ptr(), name)
        })?;
        for file in T::FILES {
            fault::point("making a file in sysfs")?;
            // SAFETY: The directory was made above, and the attribute is static.
            to_result(unsafe {
                bindings::sysfs_create_file_ns(kobject, &file.attribute, core::ptr::null())
            })?;
        }
        Ok(this)
    }

    /// # Safety
    ///
    /// Called by sysfs for a file of a directory of this type, with a page to write to.
    unsafe extern "C" fn show(
        kobject: *mut bindings::kobject,
        attribute: *mut bindings::attribute,
        page: *mut c_char,
    ) -> isize {
        let kobject: *mut Opaque<bindings::kobject> = kobject.cast();
        // SAFETY: By the function's requirement; the value waits for this call before it goes, and
        // the attribute is that of a static file.
        let (files, file, page) = unsafe {
            (
                &(*kernel::container_of!(kobject, Inner<T>, kobject)).files,
                &*kernel::container_of!(attribute, File<T>, attribute),
                slice::from_raw_parts_mut(page.cast::<u8>(), kernel::page::PAGE_SIZE),
            )
        };
        let mut out = Formatter::new(page);
        match (file.show)(files, &mut out) {
            // CAST: At most a page.
            Ok(()) => out.bytes_written() as isize,
            // CAST: A small number.
            Err(e) => e.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// Called with the end of the last reference to the kobject of a directory of this type.
    unsafe extern "C" fn release(kobject: *mut bindings::kobject) {
        let kobject: *mut Opaque<bindings::kobject> = kobject.cast();
        // SAFETY: By the function's requirement; the value waits for this before it is freed.
        unsafe { &(*kernel::container_of!(kobject, Inner<T>, kobject)).released }.complete_all();
    }
}

impl<T: Files> Drop for Directory<T> {
    fn drop(&mut self) {
        // Removes the directory, unless it has gone with the device, and waits for readers.
        // SAFETY: By the type invariant one reference is ours.
        unsafe { bindings::kobject_put(self.0.kobject.get()) };
        self.0.released.wait_for_completion();
    }
}
