// SPDX-License-Identifier: GPL-2.0

//! Character devices that keep their module loaded while they are open.
//!
//! [`kernel::miscdevice`] does not set `file_operations.owner`, so a module can be unloaded while
//! its device is open. This abstraction sets the owner, and the mode of the device node.
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

/// Callbacks of a character device without per-file state.
pub trait MiscDevice: Send + Sync + 'static {
    /// The name of the node below `/dev`. It may contain a directory.
    const NAME: &'static CStr;

    /// The permissions of the node.
    const MODE: u16;

    /// Handles an ioctl. The value or errno is the result of the system call. May sleep.
    ///
    /// 32-bit callers are served by this method, too (`compat_ptr_ioctl()`): the layout of the
    /// argument in user memory must not depend on the word size.
    fn ioctl(&self, cmd: u32, arg: usize) -> Result<isize>;
}

/// A registered device, which exists until this value is dropped.
///
/// User space can open the device before the module's init function returns. If init then fails,
/// the kernel frees the module even while the device is open. Dropping this value therefore waits
/// until the device is closed, and may sleep for as long.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// # use xen::linux::miscdevice::{MiscDevice, Registration};
/// struct Example;
///
/// impl MiscDevice for Example {
///     const NAME: &'static CStr = c"example";
///     const MODE: u16 = 0o600;
///
///     fn ioctl(&self, cmd: u32, _arg: usize) -> Result<isize> {
///         match cmd {
///             0 => Ok(42),
///             _ => Err(ENOTTY),
///         }
///     }
/// }
///
/// let _registration = KBox::pin_init(Registration::new(Example), GFP_KERNEL)?;
/// # Ok::<(), Error>(())
/// ```
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

// SAFETY: Any thread may deregister a device, and `T` is `Send`.
unsafe impl<T: MiscDevice> Send for Registration<T> {}
// SAFETY: A shared reference has no methods.
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

    /// Registers `device`. Errors are those of `misc_register()`. May sleep.
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
                // SAFETY: `slot` is valid for writes. It is pinned, and deregistered before it is
                // freed. The operations and the name are static, and the field `device` is
                // initialized.
                to_result(unsafe {
                    slot.write(misc);
                    bindings::misc_register(slot)
                })
            }),
        }? Error)
    }

    /// # Safety
    ///
    /// Must only be called by the misc core, for an open file of a registered device.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: The misc core stores the `struct miscdevice` in `private_data`. By the function's
        // requirement it is part of a `Self`, whose drop waits until the file is closed.
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
