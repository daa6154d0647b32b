// SPDX-License-Identifier: GPL-2.0

//! What programs read from the configuration space of a function.
//!
//! A device model reads configuration space from the file `config` of the function in sysfs.
//! [`ConfigFile`] puts a file of its own in the place of the PCI core's. It does what the core's
//! does, but programs do not see what is hidden from them ([`Hiding`]).
//!
//! C headers: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h),
//! [`include/linux/kernfs.h`](srctree/include/linux/kernfs.h)

use core::slice;

use kernel::{
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

use crate::{
    bindings,
    linux::sysfs,
    pci::{
        directory::FunctionDirectory,
        Hiding,
        InTree, //
    }, //
};

const NAME: &CStr = c"config";

/// Is told what programs read of configuration space.
pub trait ConfigObserver: Send + Sync {
    /// Called for each read, before it returns. May sleep. Must not wait for whoever replaces the
    /// file or puts it back.
    fn read(&self, offset: u64, length: usize);
}

/// The file `config` of a function in sysfs, in which registers are hidden, until this value is
/// dropped.
///
/// A program that has the file open when it is replaced, or put back, has to open it anew: its
/// next access fails with `ENODEV`.
///
/// # Invariants
///
/// The directory of the function has the file of this value, or is being removed.
pub struct ConfigFile(Pin<KBox<Inner>>);

#[pin_data]
struct Inner {
    hidden: KVec<Hiding>,
    observer: Option<Arc<dyn ConfigObserver>>,
    directory: FunctionDirectory,
    core: Core,
    #[pin]
    attribute: Opaque<bindings::bin_attribute>,
}

// SAFETY: Any thread may remove a file and use the attribute of the PCI core, which does not
// change.
unsafe impl Send for ConfigFile {}
// SAFETY: A shared reference has no methods.
unsafe impl Sync for ConfigFile {}

impl ConfigFile {
    /// Replaces the file by one that hides `hidden`, and tells `observer` what is read. May sleep.
    ///
    /// Errors: `ENOENT` if there is none, or if it was replaced already; `ENOMEM`; those of
    /// `sysfs_create_bin_file()`.
    pub fn new(
        dev: &InTree<'_>,
        hidden: KVec<Hiding>,
        observer: Option<Arc<dyn ConfigObserver>>,
    ) -> Result<Self> {
        let directory = FunctionDirectory::of(dev);
        let core = Core::of(&directory).ok_or(ENOENT)?;
        let inner = KBox::pin_init(
            pin_init!(Inner {
                hidden,
                observer,
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
        inner.directory.remove(NAME);
        // SAFETY: The attribute is pinned. Dropping this value removes the file before it frees it.
        if let Err(e) = unsafe { inner.directory.create(inner.attribute.get()) } {
            core.put_back(&inner.directory);
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
            for hiding in &inner.hidden {
                hiding.change(offset, bytes);
            }
            if let Some(observer) = &inner.observer {
                observer.read(offset, length);
            }
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
    unsafe fn inner<'a>(attribute: *const bindings::bin_attribute) -> &'a Inner {
        let attribute: *const Opaque<bindings::bin_attribute> = attribute.cast();
        // SAFETY: By the function's requirement the attribute is part of an `Inner`, which is
        // freed after the file was removed.
        unsafe { &*kernel::container_of!(attribute, Inner, attribute) }
    }
}

impl Drop for ConfigFile {
    fn drop(&mut self) {
        self.0.directory.remove(NAME);
        self.0.core.put_back(&self.0.directory);
    }
}

/// The file of the PCI core.
#[derive(Clone, Copy)]
struct Core {
    attribute: &'static bindings::bin_attribute,
    /// Its size in bytes, which is not that of the attribute.
    size: bindings::loff_t,
}

impl Core {
    /// Finds it. `None` if there is no file, or if it was replaced.
    fn of(directory: &FunctionDirectory) -> Option<Self> {
        directory
            .file(NAME, |node| {
                // SAFETY: `node` is valid, and a file with binary contents.
                let (attribute, size) = unsafe {
                    let attribute: *const bindings::bin_attribute = (*node).priv_.cast();
                    (attribute, (*node).__bindgen_anon_1.attr.size)
                };
                // SAFETY: The attribute is valid as long as the file exists.
                let is_the_cores = unsafe { (*attribute).size == 0 };
                is_the_cores.then(|| Self {
                    // SAFETY: The attribute of the PCI core, which has no size, unlike that of a
                    // `ConfigFile`, is static.
                    attribute: unsafe { &*attribute },
                    size,
                })
            })
            .flatten()
    }

    /// Creates the core's file, unless the directory was removed.
    fn put_back(self, directory: &FunctionDirectory) {
        // SAFETY: The attribute is static.
        directory.put_back(NAME, || unsafe { directory.create(self.attribute) });
        // Whoever has looked at the file before this is set sees no size. It can be read, still.
        // SAFETY: `node` is valid, and a file.
        directory.file(NAME, |node| unsafe {
            (*node).__bindgen_anon_1.attr.size = self.size;
        });
    }
}
