// SPDX-License-Identifier: GPL-2.0

//! Modules: this one's reference count, and the coming and going of others.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use core::marker::PhantomData;

use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

use crate::{
    bindings,
    fault, //
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
            // INVARIANT: Counted just now.
            Ok(Self(()))
        } else {
            Err(ENODEV)
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
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
pub trait Observer: 'static {
    /// Something happened to the module called `name` (with underscores).
    fn changed(name: &CStr, event: Event);
}

/// Makes `T` hear of modules for as long as this value lives.
///
/// # Invariants
///
/// `block` is registered on the module chain.
#[pin_data(PinnedDrop)]
pub struct Registration<T: Observer> {
    #[pin]
    block: Opaque<bindings::notifier_block>,
    _observer: PhantomData<T>,
}

// SAFETY: The chain that `block` is in has its own lock.
unsafe impl<T: Observer> Send for Registration<T> {}
// SAFETY: Nothing can be done with a shared reference.
unsafe impl<T: Observer> Sync for Registration<T> {}

impl<T: Observer> Registration<T> {
    /// Registers `T`. May sleep.
    pub fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            block <- Opaque::try_ffi_init(|slot: *mut bindings::notifier_block| {
                fault::point("hearing of modules")?;
                let block = bindings::notifier_block {
                    notifier_call: Some(Self::call),
                    ..pin_init::zeroed()
                };
                // SAFETY: `slot` is ours to write; pinned, and unregistered before it is freed.
                to_result(unsafe {
                    slot.write(block);
                    bindings::register_module_notifier(slot)
                })
            }),
            _observer: PhantomData,
        }? Error)
    }

    /// # Safety
    ///
    /// Called by the notifier chain of modules.
    unsafe extern "C" fn call(
        _block: *mut bindings::notifier_block,
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
            T::changed(name, event);
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
