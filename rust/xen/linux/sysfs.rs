// SPDX-License-Identifier: GPL-2.0

//! Files in sysfs, and directories of files that share a context.
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

/// Returns a `struct attribute` with this name and these permissions.
#[allow(clippy::needless_update, reason = "there are more fields with lockdep")]
pub(crate) const fn attribute(name: &'static CStr, mode: u16) -> bindings::attribute {
    bindings::attribute {
        name: kernel::str::as_char_ptr_in_const_context(name),
        mode,
        // Lockdep rejects lock class keys in allocated memory, and attributes may be allocated.
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

// SAFETY: Only lockdep accesses the key, under its own lock.
#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
unsafe impl Sync for Key {}

/// A file in a [`Directory`] whose context is a `T`.
pub struct File<T> {
    attribute: bindings::attribute,
    show: fn(&T, &mut Formatter<'_>) -> Result,
    store: fn(&T, &[u8]) -> Result,
}

impl<T> File<T> {
    /// Creates a read-only file. `show` writes its contents, at most a page, and may sleep. If it
    /// fails, the reader's `read()` fails with the same errno.
    pub const fn new(name: &'static CStr, show: fn(&T, &mut Formatter<'_>) -> Result) -> Self {
        Self {
            attribute: attribute(name, 0o444),
            show,
            store: |_, _| Err(EIO),
        }
    }

    /// Creates a read-only file as [`File::new`] does, for root.
    pub const fn private(name: &'static CStr, show: fn(&T, &mut Formatter<'_>) -> Result) -> Self {
        Self {
            attribute: attribute(name, 0o400),
            show,
            store: |_, _| Err(EIO),
        }
    }

    /// Creates a file that root can write. `store` carries out a request of at most a page, and may
    /// sleep. If it fails, the `write()` fails with the same errno. It must not wait for whoever
    /// drops the directory.
    pub const fn writable(
        name: &'static CStr,
        show: fn(&T, &mut Formatter<'_>) -> Result,
        store: fn(&T, &[u8]) -> Result,
    ) -> Self {
        Self {
            attribute: attribute(name, 0o644),
            show,
            store,
        }
    }
}

/// The context of all files in a [`Directory`].
///
/// # Examples
///
/// ```
/// # use core::fmt::Write;
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
    /// The name of the directory.
    const DIRECTORY: &'static CStr;
    /// The files in it.
    const FILES: &'static [File<Self>];
}

/// A directory in sysfs, which exists until this value is dropped. See
/// [`InTree::add_directory`](crate::pci::InTree::add_directory).
///
/// The directory is a kobject, not an attribute group: removing an attribute group after its device
/// was removed dereferences a null pointer. The device may be removed before or after this value is
/// dropped. Dropping the value waits for readers and writers, and may sleep.
///
/// # Invariants
///
/// The kobject is initialized, and one reference to it belongs to this value.
pub struct Directory<T: Files>(Pin<KBox<Inner<T>>>);

// SAFETY: Any thread may remove a directory, and `T` is `Send`.
unsafe impl<T: Files> Send for Directory<T> {}
// SAFETY: A shared reference has no methods.
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
        store: Some(Self::store),
    };

    /// Creates the directory. May sleep.
    ///
    /// Errors: `EEXIST` if `parent` already has a file or directory of this name; else those of
    /// `kobject_add()` and `sysfs_create_file()`.
    ///
    /// # Safety
    ///
    /// `parent` is in sysfs, and stays there until this function returns.
    pub(crate) unsafe fn new(parent: *mut bindings::kobject, files: T) -> Result<Self> {
        fault::point("making a directory in sysfs")?;
        let inner = KBox::pin_init(
            pin_init!(Inner {
                files,
                kobject <- Opaque::ffi_init(|slot: *mut bindings::kobject| {
                    // SAFETY: `slot` is valid for writes, and pinned. The type is static.
                    unsafe {
                        slot.write(pin_init::zeroed());
                        bindings::kobject_init(slot, &Self::TYPE);
                    }
                }),
                released <- Completion::new(),
            }),
            GFP_KERNEL,
        )?;
        // INVARIANT: `kobject_init()` has created the first reference.
        let this = Self(inner);
        let kobject = this.0.kobject.get();
        // SAFETY: `kobject` is initialized, and by the function's requirement `parent` is in sysfs.
        // The format takes one string.
        to_result(unsafe {
            let name = T::DIRECTORY.as_char_ptr();
            bindings::kobject_add(kobject, parent, c"%s".as_char_ptr(), name)
        })?;
        for file in T::FILES {
            fault::point("making a file in sysfs")?;
            // SAFETY: `kobject_add()` has created the directory. The attribute is static.
            to_result(unsafe {
                bindings::sysfs_create_file_ns(kobject, &file.attribute, core::ptr::null())
            })?;
        }
        Ok(this)
    }

    /// # Safety
    ///
    /// Must only be called by sysfs, for a file of a directory of this type, with a page to write
    /// to.
    unsafe extern "C" fn show(
        kobject: *mut bindings::kobject,
        attribute: *mut bindings::attribute,
        page: *mut c_char,
    ) -> isize {
        let kobject: *mut Opaque<bindings::kobject> = kobject.cast();
        // SAFETY: By the function's requirement `kobject` is part of an `Inner<T>`, whose drop
        // waits for this call, `attribute` is part of a static `File<T>`, and `page` is valid for
        // writes.
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
    /// Must only be called by sysfs, for a file of a directory of this type, with a text of `count`
    /// bytes.
    unsafe extern "C" fn store(
        kobject: *mut bindings::kobject,
        attribute: *mut bindings::attribute,
        text: *const c_char,
        count: usize,
    ) -> isize {
        let kobject: *mut Opaque<bindings::kobject> = kobject.cast();
        // SAFETY: By the function's requirement `kobject` is part of an `Inner<T>`, whose drop
        // waits for this call, `attribute` is part of a static `File<T>`, and `text` is valid for
        // reads.
        let (files, file, request) = unsafe {
            (
                &(*kernel::container_of!(kobject, Inner<T>, kobject)).files,
                &*kernel::container_of!(attribute, File<T>, attribute),
                slice::from_raw_parts(text.cast::<u8>(), count),
            )
        };
        match (file.store)(files, request) {
            // CAST: At most a page.
            Ok(()) => count as isize,
            // CAST: A small number.
            Err(e) => e.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// Must only be called when the last reference to the kobject of a directory of this type is
    /// dropped.
    unsafe extern "C" fn release(kobject: *mut bindings::kobject) {
        let kobject: *mut Opaque<bindings::kobject> = kobject.cast();
        // SAFETY: By the function's requirement `kobject` is part of an `Inner<T>`, which is freed
        // only after `released` completes.
        unsafe { &(*kernel::container_of!(kobject, Inner<T>, kobject)).released }.complete_all();
    }
}

impl<T: Files> Drop for Directory<T> {
    fn drop(&mut self) {
        // Removes the directory unless it was removed with its device, and waits for readers and
        // writers.
        // SAFETY: By the type invariant one reference belongs to this value.
        unsafe { bindings::kobject_put(self.0.kobject.get()) };
        self.0.released.wait_for_completion();
    }
}
