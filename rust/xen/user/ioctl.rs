// SPDX-License-Identifier: GPL-2.0

//! Ioctls on `/dev/xen/pcidev`, for programs.
//!
//! `ioctl()` is unsafe since it cannot know how the driver uses the argument. All ioctls of this
//! device take a structure of 32-bit words whose first word is its size, so that a safe function
//! can issue them.

use std::{
    fs::File,
    io,
    os::fd::AsRawFd, //
};

use nix::libc;

/// The path of the device node.
pub const PATH: &str = "/dev/xen/pcidev";

/// The open device.
///
/// # Invariants
///
/// The file is [`PATH`]. Its ioctls write at most as many bytes as the first word of the argument
/// says, and do not change that word.
pub struct Device(File);

impl Device {
    /// Opens the device.
    pub fn open() -> io::Result<Self> {
        // INVARIANT: Only the kernel module creates a node of this name.
        File::open(PATH).map(Self)
    }

    /// Issues the ioctl `request` with the structure `argument`, and sets its first word to its
    /// size.
    pub fn call(&self, request: u32, argument: &mut [u32]) -> io::Result<()> {
        let size = u32::try_from(size_of_val(argument)).map_err(|_| io::ErrorKind::InvalidInput)?;
        *argument.first_mut().ok_or(io::ErrorKind::InvalidInput)? = size;
        // SAFETY: By the type invariant the ioctl writes at most `size` bytes, all of them in
        // `argument`.
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
