// SPDX-License-Identifier: GPL-2.0

//! The file `rom` of a function in sysfs.
//!
//! The PCI core shows the ROM after a text "1" was written, and QEMU writes a byte of 1.

use core::ptr;

use kernel::prelude::*;

use crate::{
    bindings,
    pci::{
        as_raw,
        device::as_raw_device,
        directory::FunctionDirectory,
        InTree, //
    }, //
};

type Write = unsafe extern "C" fn(
    *mut bindings::file,
    *mut bindings::kobject,
    *const bindings::bin_attribute,
    *mut c_char,
    bindings::loff_t,
    usize,
) -> isize;

/// Lets programs read the ROM of a function from sysfs, until this value is dropped.
pub struct ReadableRom {
    directory: FunctionDirectory,
    core: &'static bindings::bin_attribute,
    write: Write,
    /// Nobody else has made it readable.
    is_ours: bool,
}

// SAFETY: Any thread may use the attribute of the PCI core, which does not change.
unsafe impl Send for ReadableRom {}

impl ReadableRom {
    /// Lets programs read the ROM. `ENOENT` if the function has none.
    pub fn new(dev: &InTree<'_>) -> Result<Self> {
        let directory = FunctionDirectory::of(dev);
        let core = directory
            .file(c"rom", |node| {
                // SAFETY: `node` is valid, and a file with binary contents, whose attribute is
                // valid as long as the file exists.
                let attribute: *const bindings::bin_attribute = unsafe { (*node).priv_.cast() };
                // SAFETY: As above. The attribute of the PCI core, which has no size, unlike that
                // of a `FixedFile`, is static.
                unsafe { (*attribute).size == 0 }.then(|| unsafe { &*attribute })
            })
            .flatten()
            .ok_or(ENOENT)?;
        let rom = Self {
            directory,
            core,
            write: core.write.ok_or(ENOENT)?,
            // SAFETY: `dev` is a valid `struct pci_dev`.
            is_ours: unsafe { (*as_raw(dev)).rom_attr_enabled() } == 0,
        };
        rom.enable(c"1");
        Ok(rom)
    }

    fn enable(&self, text: &'static CStr) {
        // SAFETY: This is the function of the PCI core for the file of this function, which reads
        // the text up to its end, and sets a flag.
        unsafe {
            (self.write)(
                ptr::null_mut(),
                &raw mut (*as_raw_device(self.directory.device())).kobj,
                self.core,
                text.as_char_ptr().cast_mut(),
                0,
                1,
            )
        };
    }
}

impl Drop for ReadableRom {
    fn drop(&mut self) {
        if self.is_ours {
            self.enable(c"0");
        }
    }
}
