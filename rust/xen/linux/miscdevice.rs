// SPDX-License-Identifier: GPL-2.0

//! Character devices that keep their module loaded while they are open.
//!
//! [`kernel::miscdevice`] leaves `file_operations.owner` empty, so a module can be unloaded under
//! an open file. This one sets it, and the mode of the device node.
//!
//! C header: [`include/linux/miscdevice.h`](srctree/include/linux/miscdevice.h)

use kernel::{
    error::to_result,
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    },
    types::Opaque, //
};

use crate::{
    bindings,
    linux::{
        fault,
        module, //
    }, //
};

/// A character device without state per file.
pub trait MiscDevice: Send + Sync + 'static {
    /// The node's name below `/dev`; may contain a directory.
    const NAME: &'static CStr;

    /// The node's permissions.
    const MODE: u16;

    /// An ioctl; the result is the call's. May sleep. 32-bit callers come here too: the layout of
    /// what `arg` points to must not depend on the word size.
    fn ioctl(&self, cmd: u32, arg: usize) -> Result<isize>;
}

/// Makes the device exist for as long as this value lives.
///
/// User space can open the device before the module's init function returns. Should that fail, the
/// module is freed whether or not the device is open: so dropping this waits until it is closed.
///
/// # Invariants
///
/// `misc` is registered.
#[pin_data(PinnedDrop)]
pub struct Registration<T: MiscDevice> {
    device: T,
    #[pin]
    misc: Opaque<bindings::miscdevice>,
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

    /// Registers `device`; errors are those of `misc_register()`. May sleep.
    pub fn new(device: T) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            device,
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
                // freed. The operations and the name are static, the device is initialized.
                to_result(unsafe {
                    slot.write(misc);
                    bindings::misc_register(slot)
                })
            }),
        }? Error)
    }

    /// # Safety
    ///
    /// Called for an open file of a registration, which waits for the file before it goes.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: By the function's requirement. The misc core puts its device there.
        let device = unsafe {
            let misc: *mut Opaque<bindings::miscdevice> = (*file).private_data.cast();
            &(*kernel::container_of!(misc, Self, misc)).device
        };
        match device.ioctl(cmd, arg) {
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
        while module::is_used() {
            fsleep(Delta::from_millis(10));
        }
    }
}
