// SPDX-License-Identifier: GPL-2.0

//! Character devices that keep their module loaded while they are open.
//!
//! [`kernel::miscdevice`] leaves `file_operations.owner` empty, so a module can be unloaded under
//! an open file. This one sets it, and the mode of the device node.
//!
//! C header: [`include/linux/miscdevice.h`](srctree/include/linux/miscdevice.h)

use core::marker::PhantomData;

use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

use crate::{
    bindings,
    fault,
    module, //
};

/// A character device without state per file.
pub trait MiscDevice: 'static {
    /// The node's name below `/dev`; may contain a directory.
    const NAME: &'static CStr;

    /// The node's permissions.
    const MODE: u16;

    /// An ioctl; the result is the call's. May sleep. 32-bit callers come here too: the layout of
    /// what `arg` points to must not depend on the word size.
    fn ioctl(cmd: u32, arg: usize) -> Result<isize>;
}

/// Makes the device exist for as long as this value lives.
///
/// Register it last: user space can call [`MiscDevice::ioctl`] before this returns, and a module
/// whose init function fails afterwards is freed whether or not the device is open.
///
/// # Invariants
///
/// `misc` is registered.
#[pin_data(PinnedDrop)]
pub struct Registration<T: MiscDevice> {
    #[pin]
    misc: Opaque<bindings::miscdevice>,
    _device: PhantomData<T>,
}

// SAFETY: A device may be deregistered by another thread than registered it.
unsafe impl<T: MiscDevice> Send for Registration<T> {}
// SAFETY: Nothing can be done with a shared reference.
unsafe impl<T: MiscDevice> Sync for Registration<T> {}

impl<T: MiscDevice> Registration<T> {
    const FOPS: bindings::file_operations = bindings::file_operations {
        owner: module::this(),
        unlocked_ioctl: Some(Self::ioctl),
        #[cfg(CONFIG_COMPAT)]
        compat_ioctl: bindings::compat_ptr_ioctl,
        llseek: Some(bindings::noop_llseek),
        ..pin_init::zeroed()
    };

    /// Registers the device; errors are those of `misc_register()`. May sleep.
    pub fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            misc <- Opaque::try_ffi_init(|slot: *mut bindings::miscdevice| {
                fault::point("making the device node")?;
                let misc = bindings::miscdevice {
                    minor: bindings::MISC_DYNAMIC_MINOR as c_int,
                    name: T::NAME.as_char_ptr(),
                    mode: T::MODE,
                    fops: &Self::FOPS,
                    ..pin_init::zeroed()
                };
                // SAFETY: `slot` is ours to write; it is pinned and deregistered before it is
                // freed. The operations and the name are static.
                to_result(unsafe {
                    slot.write(misc);
                    bindings::misc_register(slot)
                })
            }),
            _device: PhantomData,
        }? Error)
    }

    /// # Safety
    ///
    /// May be called by anybody; the kernel wants the type.
    unsafe extern "C" fn ioctl(_file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        match T::ioctl(cmd, arg) {
            Ok(value) => value as c_long,
            Err(e) => e.to_errno() as c_long,
        }
    }
}

#[pinned_drop]
impl<T: MiscDevice> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant the device is registered.
        unsafe { bindings::misc_deregister(self.misc.get()) };
    }
}
