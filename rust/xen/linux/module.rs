// SPDX-License-Identifier: GPL-2.0

//! Modules: this one's reference count, and the coming and going of others.
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

/// The module that this code is linked into.
pub(crate) const fn this() -> *mut bindings::module {
    #[cfg(MODULE)]
    {
        &raw mut bindings::__this_module
    }
    #[cfg(not(MODULE))]
    core::ptr::null_mut()
}

/// How many values of [`Pinned`] there are.
static PINNED: Atomic<c_int> = Atomic::new(0);

/// Whether others than [`Pinned`] keep this module loaded, such as an open file.
pub(crate) fn is_used() -> bool {
    // What is not a module is never freed.
    if cfg!(not(MODULE)) {
        return false;
    }
    // SAFETY: The module that this code is part of is valid.
    let (users, state) = unsafe {
        (
            bindings::module_refcount(this()),
            (&raw const (*this()).state).read_volatile(),
        )
    };
    // The kernel counts a module's init function, too.
    let is_coming = state == bindings::module_state_MODULE_STATE_COMING;
    users > PINNED.load(Relaxed).saturating_add(is_coming.into())
}

/// Keeps this module from being unloaded for as long as the value lives: `rmmod` says `EBUSY`.
///
/// # Invariants
///
/// The module's reference count includes one for this value.
pub struct Pinned(());

impl Pinned {
    /// Pins the module; `ENODEV` if it is on its way out.
    pub fn new() -> Result<Self> {
        fault::point("keeping the module loaded")?;
        // SAFETY: The module that this code is part of is valid.
        if unsafe { bindings::try_module_get(this()) } {
            PINNED.fetch_add(1, Relaxed);
            // INVARIANT: Counted just now.
            Ok(Self(()))
        } else {
            Err(ENODEV)
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        PINNED.fetch_sub(1, Relaxed);
        // SAFETY: By the type invariant one count is ours.
        unsafe { bindings::module_put(this()) };
    }
}

/// What happens to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its init function is about to run.
    Coming,
    /// Its init function has succeeded.
    Live,
    /// Its exit function has run, or its init function has failed.
    Going,
}

/// Hears of modules. May sleep.
pub trait Observer: Send + Sync + 'static {
    /// Something happened to the module called `name` (with underscores).
    fn changed(&self, name: &CStr, event: Event);
}

/// Calls an observer for as long as this value lives.
///
/// # Invariants
///
/// `block` is registered on the module chain.
#[pin_data(PinnedDrop)]
pub struct Registration<T: Observer> {
    observer: T,
    #[pin]
    block: Opaque<bindings::notifier_block>,
}

// SAFETY: The chain that `block` is in has its own lock, and the observer can be sent.
unsafe impl<T: Observer> Send for Registration<T> {}
// SAFETY: Nothing can be done with a shared reference.
unsafe impl<T: Observer> Sync for Registration<T> {}

impl<T: Observer> Registration<T> {
    /// Registers `observer`. May sleep.
    pub fn new(observer: T) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            observer,
            block <- Opaque::try_ffi_init(|slot: *mut bindings::notifier_block| {
                fault::point("hearing of modules")?;
                let block = bindings::notifier_block {
                    notifier_call: Some(Self::call),
                    ..pin_init::zeroed()
                };
                // SAFETY: `slot` is ours to write; pinned, and unregistered before it is freed. The
                // observer is initialized.
                to_result(unsafe {
                    slot.write(block);
                    bindings::register_module_notifier(slot)
                })
            }),
        }? Error)
    }

    /// # Safety
    ///
    /// Called by the notifier chain of modules.
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
            // SAFETY: The chain passes a module that is alive during the call, and its name is a C
            // string.
            let name = unsafe {
                let module = data.cast::<bindings::module>();
                CStr::from_char_ptr((&raw const (*module).name).cast())
            };
            let block: *mut Opaque<bindings::notifier_block> = block.cast();
            // SAFETY: By the function's requirement the block is that of a registration, which
            // waits for this call before it goes.
            let observer = unsafe { &(*kernel::container_of!(block, Self, block)).observer };
            observer.changed(name, event);
        }
        bindings::NOTIFY_DONE as c_int
    }
}

#[pinned_drop]
impl<T: Observer> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant the block is registered. This waits for running calls. It
        // only fails for a block that is not registered.
        unsafe { bindings::unregister_module_notifier(self.block.get()) };
    }
}

/// Makes `modprobe` load another module before this one, if there is such a module.
#[macro_export]
macro_rules! load_after {
    ($module:literal) => {
        $crate::modinfo!(b"softdep=", b"pre", b": ", $module);
    };
}
