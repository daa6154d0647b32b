// SPDX-License-Identifier: GPL-2.0

//! This module's reference count, and notifications of other modules.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

use crate::{
    bindings,
    linux::fault, //
};

/// Returns the module that this code is linked into; null if it is built into the kernel.
pub(crate) const fn this() -> *mut bindings::module {
    #[cfg(MODULE)]
    {
        &raw mut bindings::__this_module
    }
    #[cfg(not(MODULE))]
    core::ptr::null_mut()
}

/// The number of values of [`Pinned`].
static PINNED: Atomic<c_int> = Atomic::new(0);

/// Returns whether references other than [`Pinned`] keep this module loaded, such as an open file.
pub(crate) fn is_used() -> bool {
    // Built-in code is never unloaded.
    if cfg!(not(MODULE)) {
        return false;
    }
    // SAFETY: `this()` is the module of this code, which is valid while the code runs.
    let (users, state) = unsafe {
        (
            bindings::module_refcount(this()),
            (&raw const (*this()).state).read_volatile(),
        )
    };
    // The kernel holds a reference while the module's init function runs.
    let is_coming = state == bindings::module_state_MODULE_STATE_COMING;
    users > PINNED.load(Relaxed).saturating_add(is_coming.into())
}

/// A reference to this module: the module cannot be unloaded until the value is dropped.
///
/// # Invariants
///
/// The reference count of the module includes one for this value.
pub struct Pinned(());

impl Pinned {
    /// Takes a reference; `ENODEV` if the module is being unloaded.
    pub fn new() -> Result<Self> {
        fault::point("keeping the module loaded")?;
        // SAFETY: `this()` is the module of this code, which is valid while the code runs.
        if unsafe { bindings::try_module_get(this()) } {
            PINNED.fetch_add(1, Relaxed);
            // INVARIANT: `try_module_get()` has taken the reference.
            Ok(Self(()))
        } else {
            Err(ENODEV)
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        PINNED.fetch_sub(1, Relaxed);
        // SAFETY: By the type invariant one reference belongs to this value.
        unsafe { bindings::module_put(this()) };
    }
}

/// A change of a module's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The module's init function is about to run.
    Coming,
    /// The module's init function succeeded.
    Live,
    /// The module's exit function has run, or its init function failed.
    Going,
}

/// Callback for notifications of modules.
pub trait Observer: Send + Sync + 'static {
    /// The module called `name`, spelt with underscores, has changed its state. May sleep.
    fn changed(&self, name: &CStr, event: Event);
}

/// A registered observer, which is called until this value is dropped. Dropping it waits for
/// running calls.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// # use xen::linux::module::{Event, Observer, Registration};
/// struct Log;
///
/// impl Observer for Log {
///     fn changed(&self, name: &CStr, event: Event) {
///         pr_info!("module {name:?}: {event:?}\n");
///     }
/// }
///
/// let _registration = KBox::pin_init(Registration::new(Log), GFP_KERNEL)?;
/// # Ok::<(), Error>(())
/// ```
///
/// # Invariants
///
/// `block` is registered on the notifier chain of modules.
#[pin_data(PinnedDrop)]
pub struct Registration<T: Observer> {
    observer: T,
    #[pin]
    block: Opaque<bindings::notifier_block>,
}

// SAFETY: The notifier chain has its own lock, and `T` is `Send`.
unsafe impl<T: Observer> Send for Registration<T> {}
// SAFETY: A shared reference has no methods.
unsafe impl<T: Observer> Sync for Registration<T> {}

impl<T: Observer> Registration<T> {
    /// Registers `observer`. Errors are those of `register_module_notifier()`. May sleep.
    pub fn new(observer: T) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            observer,
            block <- Opaque::try_ffi_init(|slot: *mut bindings::notifier_block| {
                fault::point("hearing of modules")?;
                let block = bindings::notifier_block {
                    notifier_call: Some(Self::call),
                    ..pin_init::zeroed()
                };
                // SAFETY: `slot` is valid for writes. It is pinned, and unregistered before it is
                // freed. The field `observer` is initialized.
                to_result(unsafe {
                    slot.write(block);
                    bindings::register_module_notifier(slot)
                })
            }),
        }? Error)
    }

    /// # Safety
    ///
    /// Must only be called by the notifier chain of modules, with a block that [`Self::new`]
    /// registered.
    unsafe extern "C" fn call(
        block: *mut bindings::notifier_block,
        action: c_ulong,
        data: *mut c_void,
    ) -> c_int {
        // CAST: The constants are small.
        let event = match action as u32 {
            bindings::module_state_MODULE_STATE_COMING => Some(Event::Coming),
            bindings::module_state_MODULE_STATE_LIVE => Some(Event::Live),
            bindings::module_state_MODULE_STATE_GOING => Some(Event::Going),
            _ => None,
        };
        if let Some(event) = event {
            // SAFETY: The chain passes a module that is valid during the call. Its name is a C
            // string.
            let name = unsafe {
                let module = data.cast::<bindings::module>();
                CStr::from_char_ptr((&raw const (*module).name).cast())
            };
            let block: *mut Opaque<bindings::notifier_block> = block.cast();
            // SAFETY: By the function's requirement `block` is part of a `Self`, whose drop waits
            // for this call.
            let observer = unsafe { &(*kernel::container_of!(block, Self, block)).observer };
            observer.changed(name, event);
        }
        bindings::NOTIFY_DONE as c_int
    }
}

#[pinned_drop]
impl<T: Observer> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant the block is registered, so this cannot fail. It waits for
        // running calls.
        unsafe { bindings::unregister_module_notifier(self.block.get()) };
    }
}

/// Makes `modprobe` load the module `$module` before this module, if it exists (a soft dependency).
#[macro_export]
macro_rules! load_after {
    ($module:literal) => {
        $crate::modinfo!(b"softdep=", b"pre", b": ", $module);
    };
}
