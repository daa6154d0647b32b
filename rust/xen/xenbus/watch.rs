// SPDX-License-Identifier: GPL-2.0

//! Hearing of changes in XenStore.
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

/// Hears of changes below a node.
pub trait Observer: Send + Sync + 'static {
    /// The node, relative to this domain's own directory unless it begins with a slash.
    const PATH: &'static CStr;

    /// `path`, which is [`Self::PATH`] or below it, has changed. Called for [`Self::PATH`] once at
    /// the beginning. Runs on the kernel's only XenStore thread and may sleep, but all other
    /// watches of the kernel wait meanwhile.
    fn changed(&self, path: &CStr);
}

/// A watch, and the registration that it belongs to.
#[repr(C)]
struct Slot<T: Observer> {
    watch: bindings::xenbus_watch,
    owner: *const Watch<T>,
}

/// Calls an observer from when xenstored is there, for as long as this value lives.
///
/// # Invariants
///
/// - `ready` is registered with `register_xenstore_notifier()`, which calls it or keeps it.
/// - `registered` is null, or the one watch of `slots` that is registered.
#[pin_data(PinnedDrop)]
pub struct Watch<T: Observer> {
    observer: T,
    /// XenStore identifies a watch by its address. If the kernel has no memory to unregister it, it
    /// stays, and a module that is loaded again at the same place needs another address.
    #[pin]
    slots: Opaque<[Slot<T>; 2]>,
    registered: Atomic<*mut bindings::xenbus_watch>,
    /// Errno of a failed registration, or 0.
    errno: Atomic<c_int>,
    #[pin]
    ready: Opaque<bindings::notifier_block>,
}

// SAFETY: XenStore's lists have their own locks, and the observer can be sent.
unsafe impl<T: Observer> Send for Watch<T> {}
// SAFETY: Nothing can be done with a shared reference.
unsafe impl<T: Observer> Sync for Watch<T> {}

impl<T: Observer> Watch<T> {
    /// Registers `observer`. May sleep, but does not wait for xenstored.
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
                // SAFETY: `slots` is ours to write.
                unsafe { slots.write([slot(), slot()]) };
            }),
            registered: Atomic::new(ptr::null_mut()),
            errno: Atomic::new(0),
            ready <- Opaque::try_ffi_init(|block: *mut bindings::notifier_block| {
                // SAFETY: `block` is ours to write; it is pinned, and unregistered before it is
                // freed. The other fields of `this` are initialized.
                to_result(unsafe {
                    block.write(bindings::notifier_block {
                        notifier_call: Some(Self::ready),
                        ..pin_init::zeroed()
                    });
                    // Calls `Self::ready`, or keeps it for later.
                    bindings::register_xenstore_notifier(block);
                    (*this.as_ptr()).errno.load(Relaxed)
                })
                // SAFETY: As above. The notifier must not outlive a failed initialization.
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
            // INVARIANT: Registered just now.
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
            // A slot begins with its watch.
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
    /// Called by XenStore's thread, for a watch that [`Self::ready`] registered.
    unsafe extern "C" fn changed(
        watch: *mut bindings::xenbus_watch,
        path: *const c_char,
        _token: *const c_char,
    ) {
        // SAFETY: By the function's requirement the watch is in a slot of a registration, which
        // waits for this call before it goes. XenStore passes a C string that stays meanwhile.
        unsafe {
            let owner = (*watch.cast::<Slot<T>>()).owner;
            (*owner).observer.changed(CStr::from_char_ptr(path));
        }
    }
}

#[pinned_drop]
impl<T: Observer> PinnedDrop for Watch<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants. Both wait for running calls, and after the first the
        // second is not registered any more.
        unsafe {
            bindings::unregister_xenstore_notifier(self.ready.get());
            let watch = self.registered.load(Relaxed);
            if !watch.is_null() {
                bindings::unregister_xenbus_watch(watch);
            }
        }
    }
}
