// SPDX-License-Identifier: GPL-2.0

//! Calls on `/dev/xen/pcidev` from a program.
//!
//! `ioctl()` is unsafe, as it cannot know what the other side does with its argument. Here it is
//! known: every call of this device takes a structure of 32-bit words that begins with its size.

use std::{
    fs::File,
    io,
    os::fd::AsRawFd, //
};

use nix::libc;

/// Where the device is.
pub const PATH: &str = "/dev/xen/pcidev";

/// The device, opened.
///
/// # Invariants
///
/// The file is [`PATH`], whose ioctls write no further than the size in the argument's first word,
/// which they do not change.
pub struct Device(File);

impl Device {
    /// Opens the device.
    pub fn open() -> io::Result<Self> {
        // INVARIANT: Nothing but the kernel module makes a node of this name.
        File::open(PATH).map(Self)
    }

    /// Makes the call `request` on the structure in `argument`, whose first word is set here.
    pub fn call(&self, request: u32, argument: &mut [u32]) -> io::Result<()> {
        let size = u32::try_from(size_of_val(argument)).map_err(|_| io::ErrorKind::InvalidInput)?;
        *argument.first_mut().ok_or(io::ErrorKind::InvalidInput)? = size;
        // SAFETY: By the type invariant the call writes at most `size` bytes, which are ours.
        let ret = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::c_ulong::from(request),
                argument.as_mut_ptr(),
            )
        };
        if ret < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}
