// SPDX-License-Identifier: GPL-2.0

//! What programs read from the configuration space of a function.
//!
//! A device model reads configuration space from the file `config` of the function in sysfs.
//! [`ConfigFile`] puts a file of its own in the place of the PCI core's. It does what the core's
//! does, but programs read what a [`Filter`] has left.
//!
//! C headers: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h),
//! [`include/linux/kernfs.h`](srctree/include/linux/kernfs.h)

use core::{
    ptr::{
        self,
        NonNull, //
    },
    slice, //
};

use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

use crate::{
    bindings,
    linux::{
        fault,
        sysfs, //
    },
    pci::{
        device::as_raw_device,
        InTree, //
    },
};

const NAME: &CStr = c"config";

/// Changes what is read from a [`ConfigFile`].
pub(crate) trait Filter: Send + Sync + 'static {
    /// Changes `bytes`, which were read at `offset`. It must not wait for whoever drops the
    /// [`ConfigFile`].
    fn change(&self, offset: u64, bytes: &mut [u8]);
}

/// The file `config` of a function in sysfs, with a filter, until this value is dropped.
///
/// A program that has the file open when it is replaced, or put back, has to open it anew: its
/// next access fails with `ENODEV`.
///
/// # Invariants
///
/// The directory of the function has the file of this value, or is being removed.
pub(crate) struct ConfigFile<T: Filter>(Pin<KBox<Inner<T>>>);

#[pin_data]
struct Inner<T> {
    filter: T,
    directory: Directory,
    core: Core,
    #[pin]
    attribute: Opaque<bindings::bin_attribute>,
}

// SAFETY: Any thread may remove a file and use the attribute of the PCI core, which does not
// change. The filter is `Send`.
unsafe impl<T: Filter> Send for ConfigFile<T> {}
// SAFETY: A shared reference has no methods.
unsafe impl<T: Filter> Sync for ConfigFile<T> {}

impl<T: Filter> ConfigFile<T> {
    /// Replaces the file. May sleep.
    ///
    /// Errors: `ENOENT` if there is none, or if it was replaced already; `ENOMEM`; those of
    /// `sysfs_create_bin_file()`.
    pub(crate) fn new(dev: &InTree<'_>, filter: T) -> Result<Self> {
        let directory = Directory::of(dev);
        let core = directory.core_file().ok_or(ENOENT)?;
        let inner = KBox::pin_init(
            pin_init!(Inner {
                filter,
                directory,
                core,
                attribute: Opaque::new(bindings::bin_attribute {
                    attr: sysfs::attribute(NAME, core.attribute.attr.mode),
                    // CAST: At most 4096.
                    size: core.size as usize,
                    read: Some(Self::read),
                    write: Some(Self::write),
                    ..pin_init::zeroed()
                }),
            }),
            GFP_KERNEL,
        )?;
        inner.directory.remove();
        // SAFETY: The attribute is pinned. Dropping this value removes the file before it frees it.
        if let Err(e) = unsafe { inner.directory.create(inner.attribute.get()) } {
            inner.directory.put_back(core);
            return Err(e);
        }
        // INVARIANT: The file was created.
        Ok(Self(inner))
    }

    /// # Safety
    ///
    /// Must only be called by sysfs, for the file of a value of this type, with space for `count`
    /// bytes.
    unsafe extern "C" fn read(
        file: *mut bindings::file,
        kobject: *mut bindings::kobject,
        attribute: *const bindings::bin_attribute,
        bytes: *mut c_char,
        offset: bindings::loff_t,
        count: usize,
    ) -> isize {
        // SAFETY: By the function's requirement.
        let inner = unsafe { Self::inner(attribute) };
        let core = inner.core.attribute;
        // CAST: A small number.
        let none = EIO.to_errno() as isize;
        // SAFETY: The file of the core is in the same directory, and gets the same arguments.
        let length = core.read.map_or(none, |read| unsafe {
            read(file, kobject, core, bytes, offset, count)
        });
        if let (Ok(offset), Ok(length)) = (u64::try_from(offset), usize::try_from(length)) {
            // SAFETY: By the function's requirement there is space for `count` bytes, and `read()`
            // has written `length` of them.
            let bytes = unsafe { slice::from_raw_parts_mut(bytes.cast::<u8>(), length.min(count)) };
            inner.filter.change(offset, bytes);
        }
        length
    }

    /// # Safety
    ///
    /// Must only be called by sysfs, for the file of a value of this type, with `count` bytes.
    unsafe extern "C" fn write(
        file: *mut bindings::file,
        kobject: *mut bindings::kobject,
        attribute: *const bindings::bin_attribute,
        bytes: *mut c_char,
        offset: bindings::loff_t,
        count: usize,
    ) -> isize {
        // SAFETY: By the function's requirement.
        let core = unsafe { Self::inner(attribute) }.core.attribute;
        // CAST: A small number.
        let none = EIO.to_errno() as isize;
        // SAFETY: The file of the core is in the same directory, and gets the same arguments.
        core.write.map_or(none, |write| unsafe {
            write(file, kobject, core, bytes, offset, count)
        })
    }

    /// # Safety
    ///
    /// `attribute` is that of the file of a value of this type, and is used in a call that the
    /// removal of the file waits for.
    unsafe fn inner<'a>(attribute: *const bindings::bin_attribute) -> &'a Inner<T> {
        let attribute: *const Opaque<bindings::bin_attribute> = attribute.cast();
        // SAFETY: By the function's requirement the attribute is part of an `Inner<T>`, which is
        // freed after the file was removed.
        unsafe { &*kernel::container_of!(attribute, Inner<T>, attribute) }
    }
}

impl<T: Filter> Drop for ConfigFile<T> {
    fn drop(&mut self) {
        self.0.directory.remove();
        self.0.directory.put_back(self.0.core);
    }
}

/// The file of the PCI core.
#[derive(Clone, Copy)]
struct Core {
    attribute: &'static bindings::bin_attribute,
    /// Its size in bytes, which is not that of the attribute.
    size: bindings::loff_t,
}

/// The directory of a function in sysfs.
///
/// # Invariants
///
/// A reference to the node, which is that of the directory of a PCI function, belongs to this
/// value.
struct Directory(NonNull<bindings::kernfs_node>);

impl Directory {
    const TYPE: bindings::kobj_type = pin_init::zeroed();

    fn of(dev: &InTree<'_>) -> Self {
        // SAFETY: By the type invariant of `InTree`, the function has a directory until this
        // function returns.
        // INVARIANT: `kernfs_get()` makes the reference.
        unsafe {
            let node = (*as_raw_device(dev)).kobj.sd;
            bindings::kernfs_get(node);
            Self(NonNull::new_unchecked(node))
        }
    }

    /// Returns a kobject that has this directory, and nothing else: that of the function loses it
    /// when the function is removed.
    fn kobject(&self) -> bindings::kobject {
        bindings::kobject {
            sd: self.0.as_ptr(),
            ktype: &Self::TYPE,
            ..pin_init::zeroed()
        }
    }

    /// # Safety
    ///
    /// The attribute is valid until its file is removed.
    unsafe fn create(&self, attribute: *const bindings::bin_attribute) -> Result {
        fault::point("making a file in sysfs")?;
        let mut kobject = self.kobject();
        // SAFETY: By the type invariant the directory is valid. If it was removed, this fails. By
        // the function's requirement for the attribute.
        to_result(unsafe { bindings::sysfs_create_bin_file(&raw mut kobject, attribute) })
    }

    /// Removes the file, if there is one, and waits for its readers and writers.
    fn remove(&self) {
        let mut kobject = self.kobject();
        let named = bindings::bin_attribute {
            attr: sysfs::attribute(NAME, 0),
            ..pin_init::zeroed()
        };
        // SAFETY: By the type invariant the directory is valid. Of the attribute the name is used.
        unsafe { bindings::sysfs_remove_bin_file(&raw mut kobject, &raw const named) };
    }

    /// Calls `f` with the node of the file, if there is one.
    fn file<R>(&self, f: impl FnOnce(*mut bindings::kernfs_node) -> R) -> Option<R> {
        // SAFETY: By the type invariant the directory is valid.
        let node = unsafe {
            bindings::kernfs_find_and_get_ns(self.0.as_ptr(), NAME.as_char_ptr(), ptr::null())
        };
        if node.is_null() {
            return None;
        }
        let result = f(node);
        // SAFETY: The reference to the node belongs to this function.
        unsafe { bindings::kernfs_put(node) };
        Some(result)
    }

    fn core_file(&self) -> Option<Core> {
        self.file(|node| {
            // SAFETY: `node` is valid, and a file with binary contents.
            let (attribute, size) = unsafe {
                let attribute: *const bindings::bin_attribute = (*node).priv_.cast();
                (attribute, (*node).__bindgen_anon_1.attr.size)
            };
            // SAFETY: The attribute is valid as long as the file exists.
            let is_the_cores = unsafe { (*attribute).size == 0 };
            is_the_cores.then(|| Core {
                // SAFETY: The attribute of the PCI core, which has no size, unlike that of a
                // `ConfigFile`, is static.
                attribute: unsafe { &*attribute },
                size,
            })
        })
        .flatten()
    }

    /// Creates the core's file, unless the directory was removed. Tries it again if there is no
    /// memory: a function without the file is of little use.
    fn put_back(&self, core: Core) {
        // SAFETY: The attribute is static.
        let create = || unsafe { self.create(core.attribute) };
        match create().or_else(|_| create()).or_else(|_| create()) {
            Err(e) if e != ENOENT => {
                pr_warn!("a function has lost its file config in sysfs: {e:?}\n");
            }
            _ => (),
        }
        // Whoever has looked at the file before this is set sees no size. It can be read, still.
        // SAFETY: `node` is valid, and a file.
        self.file(|node| unsafe { (*node).__bindgen_anon_1.attr.size = core.size });
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the reference belongs to this value.
        unsafe { bindings::kernfs_put(self.0.as_ptr()) };
    }
}
