// SPDX-License-Identifier: GPL-2.0

//! The directory of a function in sysfs, in which files of the PCI core are replaced.
//!
//! C headers: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h),
//! [`include/linux/kernfs.h`](srctree/include/linux/kernfs.h)

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    error::to_result,
    pci::Device,
    prelude::*,
    sync::aref::ARef, //
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

/// The directory of a function in sysfs.
///
/// # Invariants
///
/// A reference to the node, which is that of the directory of `dev`, belongs to this value.
pub(super) struct FunctionDirectory {
    node: NonNull<bindings::kernfs_node>,
    /// Sysfs asks the kobject of the function how its text files are read.
    dev: ARef<Device>,
}

// SAFETY: Any thread may add and remove files.
unsafe impl Send for FunctionDirectory {}

impl FunctionDirectory {
    const TYPE: bindings::kobj_type = pin_init::zeroed();

    pub(super) fn of(dev: &InTree<'_>) -> Self {
        // SAFETY: By the type invariant of `InTree`, the function has a directory until this
        // function returns.
        // INVARIANT: `kernfs_get()` makes the reference.
        unsafe {
            let node = (*as_raw_device(dev)).kobj.sd;
            bindings::kernfs_get(node);
            Self {
                node: NonNull::new_unchecked(node),
                dev: (&**dev).into(),
            }
        }
    }

    /// Returns the function.
    pub(super) fn device(&self) -> &Device {
        &self.dev
    }

    /// Returns a kobject that has this directory, and nothing else: that of the function loses it
    /// when the function is removed.
    fn kobject(&self) -> bindings::kobject {
        bindings::kobject {
            sd: self.node.as_ptr(),
            ktype: &Self::TYPE,
            ..pin_init::zeroed()
        }
    }

    /// Creates a file. `ENOENT` if the directory was removed.
    ///
    /// # Safety
    ///
    /// The attribute is valid until its file is removed.
    pub(super) unsafe fn create(&self, attribute: *const bindings::bin_attribute) -> Result {
        fault::point("making a file in sysfs")?;
        let mut kobject = self.kobject();
        // SAFETY: By the type invariant the directory is valid. If it was removed, this fails. By
        // the function's requirement for the attribute.
        to_result(unsafe { bindings::sysfs_create_bin_file(&raw mut kobject, attribute) })
    }

    /// Creates a text file. `ENOENT` if the directory was removed.
    ///
    /// # Safety
    ///
    /// The attribute is that of a device, and valid until its file is removed.
    pub(super) unsafe fn create_text(&self, attribute: *const bindings::attribute) -> Result {
        fault::point("making a file in sysfs")?;
        let mut kobject = self.kobject();
        // SAFETY: By the type invariant the directory is valid, and so is the kobject of `dev`, to
        // which it points. If it was removed, this fails. By the function's requirement for the
        // attribute.
        to_result(unsafe {
            bindings::sysfs_create_file_ns(&raw mut kobject, attribute, ptr::null())
        })
    }

    /// Removes the file `name`, if there is one, and waits for its readers and writers.
    pub(super) fn remove(&self, name: &'static CStr) {
        let mut kobject = self.kobject();
        let named = bindings::bin_attribute {
            attr: sysfs::attribute(name, 0),
            ..pin_init::zeroed()
        };
        // SAFETY: By the type invariant the directory is valid. Of the attribute the name is used.
        unsafe { bindings::sysfs_remove_bin_file(&raw mut kobject, &raw const named) };
    }

    /// Calls `f` with the node of the file `name`, if there is one. The node is valid meanwhile.
    pub(super) fn file<R>(
        &self,
        name: &CStr,
        f: impl FnOnce(*mut bindings::kernfs_node) -> R,
    ) -> Option<R> {
        // SAFETY: By the type invariant the directory is valid.
        let node = unsafe {
            bindings::kernfs_find_and_get_ns(self.node.as_ptr(), name.as_char_ptr(), ptr::null())
        };
        if node.is_null() {
            return None;
        }
        let result = f(node);
        // SAFETY: The reference to the node belongs to this function.
        unsafe { bindings::kernfs_put(node) };
        Some(result)
    }

    /// Creates a file of the core again by `create`. Tries it again if there is no memory: a
    /// function without the file is of little use.
    pub(super) fn put_back(&self, name: &CStr, create: impl Fn() -> Result) {
        match create().or_else(|_| create()).or_else(|_| create()) {
            Err(e) if e != ENOENT => {
                dev_warn!(
                    self.dev,
                    "lost its file {} in sysfs: {:?}\n",
                    name.to_str().unwrap_or_default(),
                    e
                );
            }
            _ => (),
        }
    }
}

impl Drop for FunctionDirectory {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the reference belongs to this value.
        unsafe { bindings::kernfs_put(self.node.as_ptr()) };
    }
}
