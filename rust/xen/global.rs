// SPDX-License-Identifier: GPL-2.0

//! State that callbacks without a context argument can reach.

use core::ptr;

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            ordering::{
                Full,
                Relaxed, //
            },
            Atomic, //
        },
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

use crate::bindings;

/// A place in a `static` where a module publishes its state while it is loaded.
///
/// Call-backs that the kernel hands no context (the look-up behind `/dev/xen/privcmd`, a sysfs
/// attribute) reach the state through [`Global::with`], in any context, atomic ones included.
///
/// # Invariants
///
/// `value` is null or points to a `T` that an [`Arc`] in a [`Published`] keeps alive, and that
/// [`Published`] is not dropped before `readers` was seen as zero after `value` became null.
///
/// # Examples
///
/// ```
/// # use kernel::{prelude::*, sync::Arc};
/// # use xen::global::Global;
/// static STATE: Global<u32> = Global::new();
///
/// let guard = STATE.publish(Arc::new(7, GFP_KERNEL)?)?;
/// assert_eq!(STATE.with(|n| *n), Some(7));
/// drop(guard);
/// assert_eq!(STATE.with(|n| *n), None);
/// # Ok::<(), Error>(())
/// ```
pub struct Global<T: 'static> {
    value: Atomic<*mut T>,
    readers: Atomic<usize>,
}

impl<T: Send + Sync> Global<T> {
    /// An empty place.
    #[allow(
        clippy::new_without_default,
        reason = "only ever made in a `static`, where `Default` cannot be called"
    )]
    pub const fn new() -> Self {
        // INVARIANT: `value` is null.
        Self {
            value: Atomic::new(ptr::null_mut()),
            readers: Atomic::new(0),
        }
    }

    /// Publishes `value` until the returned guard is dropped; `EBUSY` if there is one already.
    pub fn publish(&'static self, value: Arc<T>) -> Result<Published<T>> {
        let raw = Arc::as_ptr(&value).cast_mut();
        // INVARIANT: The guard made below keeps `value` alive.
        self.value
            .cmpxchg(ptr::null_mut(), raw, Full)
            .map_err(|_| EBUSY)?;
        Ok(Published {
            place: self,
            _value: value,
        })
    }

    /// Calls `f` with the published value, if there is one. Never sleeps unless `f` does.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        // Ordered before the load of `value`, as the store in `Published::drop` is before its load
        // of `readers`: either we see null, or the drop sees us.
        self.readers.fetch_add(1usize, Full);
        let value = self.value.load(kernel::sync::atomic::Acquire);
        // SAFETY: By the type invariant a value that is not null lives until `readers`, which we
        // have raised, was seen as zero.
        let result = unsafe { value.as_ref() }.map(f);
        self.readers.fetch_sub(1usize, Full);
        result
    }
}

/// Keeps a value published in a [`Global`].
///
/// Dropping it withdraws the value and waits for those who are using it: drop it where sleeping is
/// allowed, and not from within [`Global::with`].
pub struct Published<T: Send + Sync + 'static> {
    place: &'static Global<T>,
    _value: Arc<T>,
}

impl<T: Send + Sync> Drop for Published<T> {
    fn drop(&mut self) {
        self.place.value.xchg(ptr::null_mut(), Full);
        while self.place.readers.load(Relaxed) != 0 {
            fsleep(Delta::from_millis(1));
        }
        // Whatever the last reader did happened before what follows, the value's drop.
        // SAFETY: It can be called anywhere. The kernel crate names it differently in each version.
        unsafe { bindings::smp_mb() };
    }
}
