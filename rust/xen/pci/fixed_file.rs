// SPDX-License-Identifier: GPL-2.0

//! Files of a function in sysfs from which programs read something else than the PCI core shows.
//!
//! C header: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

use core::ptr;

use kernel::{
    fmt,
    pci::Device,
    prelude::*,
    str::CString,
    types::Opaque, //
};

use crate::{
    bindings,
    linux::sysfs,
    pci::{
        as_raw,
        directory::FunctionDirectory,
        InTree, //
    }, //
};

/// A file in the function's directory in sysfs with contents of ours, until this value is dropped.
///
/// # Invariants
///
/// The directory of the function has the file of this value, or is being removed.
pub struct FixedFile(Pin<KBox<Inner>>);

#[pin_data]
struct Inner {
    name: &'static CStr,
    contents: KVec<u8>,
    directory: FunctionDirectory,
    /// The attribute of the PCI core's file, if it has one.
    core: Option<&'static bindings::attribute>,
    #[pin]
    attribute: Opaque<bindings::bin_attribute>,
}

// SAFETY: Any thread may remove a file and use the attribute of the PCI core, which does not
// change.
unsafe impl Send for FixedFile {}
// SAFETY: A shared reference has no methods.
unsafe impl Sync for FixedFile {}

impl FixedFile {
    /// Replaces the file `class`. The low byte of `class` is the interface. May sleep.
    ///
    /// Errors: `ENOENT` if there is no such file, or if it was replaced already; `ENOMEM`; those of
    /// `sysfs_create_bin_file()`.
    pub fn class(dev: &InTree<'_>, class: u32) -> Result<Self> {
        Self::text(dev, c"class", fmt!("{class:#08x}\n"))
    }

    /// Replaces the file `resource`: all is as the PCI core shows it, but there is no ROM. May
    /// sleep. Errors: those of [`FixedFile::class`].
    pub fn resource_without_rom(dev: &InTree<'_>) -> Result<Self> {
        Self::text(dev, c"resource", fmt!("{}", WithoutRom(dev)))
    }

    /// Creates the file `rom`, which can also be written, without an effect. May sleep.
    ///
    /// Errors: `EEXIST` if there is such a file; `ENOMEM`; those of `sysfs_create_bin_file()`.
    pub fn rom(dev: &InTree<'_>, contents: &[u8]) -> Result<Self> {
        let directory = FunctionDirectory::of(dev);
        let name = c"rom";
        if directory.file(name, |_| ()).is_some() {
            return Err(EEXIST);
        }
        let mut copy = KVec::new();
        copy.extend_from_slice(contents, GFP_KERNEL)?;
        Self::new(directory, name, copy, None)
    }

    fn text(dev: &InTree<'_>, name: &'static CStr, text: fmt::Arguments<'_>) -> Result<Self> {
        let directory = FunctionDirectory::of(dev);
        let core = core_attribute(&directory, name).ok_or(ENOENT)?;
        let mut contents = KVec::new();
        contents.extend_from_slice(CString::try_from_fmt(text)?.to_bytes(), GFP_KERNEL)?;
        Self::new(directory, name, contents, Some(core))
    }

    fn new(
        directory: FunctionDirectory,
        name: &'static CStr,
        contents: KVec<u8>,
        core: Option<&'static bindings::attribute>,
    ) -> Result<Self> {
        let inner = KBox::pin_init(
            pin_init!(Inner {
                name,
                directory,
                core,
                attribute: Opaque::new(bindings::bin_attribute {
                    attr: sysfs::attribute(name, core.map_or(0o600, |core| core.mode)),
                    size: contents.len(),
                    read: Some(Self::read),
                    write: core.is_none().then_some(Self::write),
                    ..pin_init::zeroed()
                }),
                contents,
            }),
            GFP_KERNEL,
        )?;
        inner.directory.remove(name);
        // SAFETY: The attribute is pinned. Dropping this value removes the file before it frees it.
        if let Err(e) = unsafe { inner.directory.create(inner.attribute.get()) } {
            put_back(&inner.directory, name, inner.core);
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
            .and_then(|offset| inner.contents.get(offset..))
            .unwrap_or_default();
        let length = rest.len().min(count);
        // SAFETY: By the function's requirement there is space for `count` bytes, which are sysfs's
        // own.
        unsafe { ptr::copy_nonoverlapping(rest.as_ptr(), bytes.cast(), length) };
        // CAST: At most `count`, which the kernel limits.
        length as isize
    }

    /// Takes what is written, and does nothing.
    extern "C" fn write(
        _file: *mut bindings::file,
        _kobject: *mut bindings::kobject,
        _attribute: *const bindings::bin_attribute,
        _bytes: *mut c_char,
        _offset: bindings::loff_t,
        count: usize,
    ) -> isize {
        // CAST: The kernel limits the count.
        count as isize
    }
}

impl Drop for FixedFile {
    fn drop(&mut self) {
        self.0.directory.remove(self.0.name);
        put_back(&self.0.directory, self.0.name, self.0.core);
    }
}

/// A text file of the PCI core that is not there, until this value is dropped. Needs no memory, and
/// so cannot fail.
pub struct MissingFile {
    name: &'static CStr,
    directory: FunctionDirectory,
    core: Option<&'static bindings::attribute>,
}

// SAFETY: Any thread may use the attribute of the PCI core, which does not change.
unsafe impl Send for MissingFile {}

impl MissingFile {
    /// Removes the file `class`, if there is one. May sleep.
    pub fn class(dev: &InTree<'_>) -> Self {
        let directory = FunctionDirectory::of(dev);
        let name = c"class";
        let core = core_attribute(&directory, name);
        directory.remove(name);
        Self {
            name,
            directory,
            core,
        }
    }
}

impl Drop for MissingFile {
    fn drop(&mut self) {
        put_back(&self.directory, self.name, self.core);
    }
}

fn put_back(
    directory: &FunctionDirectory,
    name: &CStr,
    core: Option<&'static bindings::attribute>,
) {
    if let Some(core) = core {
        // SAFETY: The attribute of the PCI core is static, and that of a device.
        directory.put_back(name, || unsafe { directory.create_text(core) });
    }
}

/// Returns the attribute of the core's file `name`. `None` if there is no file, or if it was
/// replaced.
fn core_attribute(
    directory: &FunctionDirectory,
    name: &CStr,
) -> Option<&'static bindings::attribute> {
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
            // SAFETY: A text file of the PCI core has a static attribute. The file of a
            // `FixedFile` has the size of its contents.
            is_the_cores.then(|| unsafe { &*attribute })
        })
        .flatten()
}

/// Formats as the file `resource`, with the line of the ROM as if there were none.
struct WithoutRom<'a>(&'a Device);

impl fmt::Display for WithoutRom<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: The function is a valid `struct pci_dev`. Nobody assigns resources to a function
        // that has a driver.
        let resources = unsafe { &(*as_raw(self.0)).resource };
        for (index, resource) in (0..bindings::PCI_BRIDGE_RESOURCES).zip(resources) {
            let (start, end, flags) = match index {
                bindings::PCI_ROM_RESOURCE => (0, 0, 0),
                _ => (resource.start, resource.end, resource.flags),
            };
            writeln!(f, "{start:#018x} {end:#018x} {flags:#018x}")?;
        }
        Ok(())
    }
}
