// SPDX-License-Identifier: GPL-2.0

//! What programs read from a text file of a function in sysfs.
//!
//! C header: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

use core::ptr;

use kernel::{
    prelude::*,
    str::CString,
    types::Opaque, //
};

use crate::{
    bindings,
    linux::sysfs,
    pci::{
        directory::Directory,
        InTree, //
    }, //
};

/// A file of the PCI core in the function's directory in sysfs, with another text until this value
/// is dropped.
///
/// # Invariants
///
/// The directory of the function has the file of this value, or is being removed.
pub struct TextFile(Pin<KBox<Inner>>);

#[pin_data]
struct Inner {
    name: &'static CStr,
    text: CString,
    directory: Directory,
    /// The attribute of the core's file.
    core: &'static bindings::attribute,
    #[pin]
    attribute: Opaque<bindings::bin_attribute>,
}

// SAFETY: Any thread may remove a file and use the attribute of the PCI core, which does not
// change.
unsafe impl Send for TextFile {}
// SAFETY: A shared reference has no methods.
unsafe impl Sync for TextFile {}

impl TextFile {
    /// Replaces the file `class`: the text is `class`, whose low byte is the interface. May sleep.
    ///
    /// Errors: as [`TextFile::new`].
    pub fn class(dev: &InTree<'_>, class: u32) -> Result<Self> {
        Self::new(
            dev,
            c"class",
            CString::try_from_fmt(fmt!("{class:#08x}\n"))?,
        )
    }

    /// Errors: `ENOENT` if there is no such file, or if it was replaced already; `ENOMEM`; those of
    /// `sysfs_create_bin_file()`.
    fn new(dev: &InTree<'_>, name: &'static CStr, text: CString) -> Result<Self> {
        let directory = Directory::of(dev);
        let core = core_attribute(&directory, name).ok_or(ENOENT)?;
        let inner = KBox::pin_init(
            pin_init!(Inner {
                name,
                directory,
                core,
                attribute: Opaque::new(bindings::bin_attribute {
                    attr: sysfs::attribute(name, core.mode),
                    size: text.to_bytes().len(),
                    read: Some(Self::read),
                    ..pin_init::zeroed()
                }),
                text,
            }),
            GFP_KERNEL,
        )?;
        inner.directory.remove(name);
        // SAFETY: The attribute is pinned. Dropping this value removes the file before it frees it.
        if let Err(e) = unsafe { inner.directory.create(inner.attribute.get()) } {
            inner.put_back();
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
        _file: *mut bindings::file,
        _kobject: *mut bindings::kobject,
        attribute: *const bindings::bin_attribute,
        bytes: *mut c_char,
        offset: bindings::loff_t,
        count: usize,
    ) -> isize {
        let attribute: *const Opaque<bindings::bin_attribute> = attribute.cast();
        // SAFETY: By the function's requirement the attribute is part of an `Inner`, which is freed
        // after the file was removed, and so after this call.
        let inner = unsafe { &*kernel::container_of!(attribute, Inner, attribute) };
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| inner.text.to_bytes().get(offset..))
            .unwrap_or_default();
        let length = rest.len().min(count);
        // SAFETY: By the function's requirement there is space for `count` bytes, which are sysfs's
        // own.
        unsafe { ptr::copy_nonoverlapping(rest.as_ptr(), bytes.cast(), length) };
        // CAST: At most `count`, which the kernel limits.
        length as isize
    }
}

impl Drop for TextFile {
    fn drop(&mut self) {
        self.0.directory.remove(self.0.name);
        self.0.put_back();
    }
}

impl Inner {
    fn put_back(&self) {
        let directory = &self.directory;
        // SAFETY: The attribute of the PCI core is static, and that of a device.
        directory.put_back(self.name, || unsafe { directory.create_text(self.core) });
    }
}

/// Returns the attribute of the core's file `name`. `None` if there is no file, or if it was
/// replaced.
fn core_attribute(directory: &Directory, name: &CStr) -> Option<&'static bindings::attribute> {
    directory
        .file(name, |node| {
            // SAFETY: `node` is valid, and a file.
            let (attribute, size) = unsafe {
                let attribute: *const bindings::attribute = (*node).priv_.cast();
                (attribute, (*node).__bindgen_anon_1.attr.size)
            };
            // Sysfs gives each text file the size of a page.
            // CAST: 4096.
            let is_the_cores = size == bindings::PAGE_SIZE as bindings::loff_t;
            // SAFETY: A text file of the PCI core has a static attribute. The file of a `TextFile`
            // has the size of its text.
            is_the_cores.then(|| unsafe { &*attribute })
        })
        .flatten()
}
