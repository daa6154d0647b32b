// SPDX-License-Identifier: GPL-2.0

//! Watches: notifications of changes in XenStore.
//!
//! C header: [`include/xen/xenbus.h`](srctree/include/xen/xenbus.h)

use core::ptr;

use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{
        ordering::Relaxed,
        Atomic, //
    },
    types::Opaque, //
};

use crate::{
    bindings,
    linux::fault, //
};

/// Callback for changes in XenStore.
pub trait Observer: Send + Sync + 'static {
    /// The node to watch. It is relative to this domain's directory unless it begins with a slash.
    /// `@releaseDomain` stands for the end of any domain.
    const PATH: &'static CStr;

    /// `path`, which is [`Self::PATH`] or below it, has changed. XenStore also calls this once for
    /// [`Self::PATH`] when the watch is registered.
    ///
    /// Runs on the kernel's only XenStore thread. May sleep, but all watches of the kernel wait
    /// meanwhile.
    fn changed(&self, path: &CStr);
}

/// A watch with a pointer to its registration.
#[repr(C)]
struct Slot<T: Observer> {
    watch: bindings::xenbus_watch,
    owner: *const Watch<T>,
}

/// A registered watch. It calls its observer from when xenstored runs until this value is dropped.
/// Dropping it waits for running calls and may sleep.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// # use xen::xenbus::watch::{Observer, Watch};
/// struct Log;
///
/// impl Observer for Log {
///     const PATH: &'static CStr = c"backend/pci";
///
///     fn changed(&self, path: &CStr) {
///         pr_info!("{path:?} changed\n");
///     }
/// }
///
/// let _watch = KBox::pin_init(Watch::new(Log), GFP_KERNEL)?;
/// # Ok::<(), Error>(())
/// ```
///
/// # Invariants
///
/// - `ready` is registered with `register_xenstore_notifier()`, which calls it at once or when
///   xenstored runs.
/// - `registered` is null, or points to the only watch in `slots` that is registered.
#[pin_data(PinnedDrop)]
pub struct Watch<T: Observer> {
    observer: T,
    /// The watch, and a spare one. XenStore identifies a watch by its address. If the kernel has no
    /// memory to unregister a watch, xenstored keeps it, and a module that is loaded again at the
    /// same address has to use the other one.
    #[pin]
    slots: Opaque<[Slot<T>; 2]>,
    registered: Atomic<*mut bindings::xenbus_watch>,
    /// Errno of a failed registration, or 0.
    errno: Atomic<c_int>,
    #[pin]
    ready: Opaque<bindings::notifier_block>,
}

// SAFETY: The lists of watches and notifiers have their own locks, and `T` is `Send`.
unsafe impl<T: Observer> Send for Watch<T> {}
// SAFETY: A shared reference has no methods.
unsafe impl<T: Observer> Sync for Watch<T> {}

impl<T: Observer> Watch<T> {
    /// Registers a watch for `observer`. If xenstored does not run yet, the watch is registered
    /// when it does, and an error is logged then. May sleep.
    ///
    /// Errors are those of `register_xenbus_watch()`.
    pub fn new(observer: T) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            observer,
            slots <- Opaque::ffi_init(|slots: *mut [Slot<T>; 2]| {
                let slot = || Slot {
                    watch: bindings::xenbus_watch {
                        node: T::PATH.as_char_ptr(),
                        callback: Some(Self::changed),
                        ..pin_init::zeroed()
                    },
                    owner: this.as_ptr(),
                };
                // SAFETY: `slots` is valid for writes.
                unsafe { slots.write([slot(), slot()]) };
            }),
            registered: Atomic::new(ptr::null_mut()),
            errno: Atomic::new(0),
            ready <- Opaque::try_ffi_init(|block: *mut bindings::notifier_block| {
                // SAFETY: `block` is valid for writes. It is pinned, and unregistered before it is
                // freed. All other fields of `this` are initialized.
                to_result(unsafe {
                    block.write(bindings::notifier_block {
                        notifier_call: Some(Self::ready),
                        ..pin_init::zeroed()
                    });
                    // Calls `Self::ready` now, or when xenstored runs.
                    bindings::register_xenstore_notifier(block);
                    (*this.as_ptr()).errno.load(Relaxed)
                })
                // SAFETY: `block` is registered. A failed initialization frees it, so it must be
                // unregistered.
                .inspect_err(|_| unsafe { bindings::unregister_xenstore_notifier(block) })
            }),
        }? Error)
    }

    /// # Safety
    ///
    /// `block` is the field `ready` of a `Self` whose other fields are initialized.
    unsafe extern "C" fn ready(
        block: *mut bindings::notifier_block,
        _action: c_ulong,
        _data: *mut c_void,
    ) -> c_int {
        let block: *mut Opaque<bindings::notifier_block> = block.cast();
        // SAFETY: By the function's requirement.
        let this = unsafe { &*kernel::container_of!(block, Self, ready) };
        match this.register() {
            // INVARIANT: `register_xenbus_watch()` has registered the watch.
            Ok(watch) => this.registered.store(watch, Relaxed),
            Err(e) => {
                pr_err!("{:?} in XenStore cannot be watched: {e:?}\n", T::PATH);
                this.errno.store(e.to_errno(), Relaxed);
            }
        }
        bindings::NOTIFY_DONE as c_int
    }

    fn register(&self) -> Result<*mut bindings::xenbus_watch> {
        fault::point("watching XenStore")?;
        let first: *mut Slot<T> = self.slots.get().cast();
        let mut result = Err(EEXIST);
        for slot in [first, first.wrapping_add(1)] {
            // The watch is the first field of its slot.
            let watch: *mut bindings::xenbus_watch = slot.cast();
            // SAFETY: The watch is pinned, and unregistered before it is freed.
            result = to_result(unsafe { bindings::register_xenbus_watch(watch) }).map(|()| watch);
            if result != Err(EEXIST) {
                break;
            }
        }
        result
    }

    /// # Safety
    ///
    /// Must only be called by XenStore's thread for a watch that [`Self::ready`] registered.
    unsafe extern "C" fn changed(
        watch: *mut bindings::xenbus_watch,
        path: *const c_char,
        _token: *const c_char,
    ) {
        // SAFETY: By the function's requirement the watch is in a slot of a `Watch<T>`, whose drop
        // waits for this call. `path` is a C string that is valid during the call.
        unsafe {
            let owner = (*watch.cast::<Slot<T>>()).owner;
            (*owner).observer.changed(CStr::from_char_ptr(path));
        }
    }
}

#[pinned_drop]
impl<T: Observer> PinnedDrop for Watch<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants the notifier is registered, and so is the watch unless it
        // is null. Both calls wait for running callbacks. The notifier cannot register a watch
        // after the first call.
        unsafe {
            bindings::unregister_xenstore_notifier(self.ready.get());
            let watch = self.registered.load(Relaxed);
            if !watch.is_null() {
                bindings::unregister_xenbus_watch(watch);
            }
        }
    }
}
