// SPDX-License-Identifier: GPL-2.0

//! Stands in for the kernel's crate `kernel`, with locks and atomics whose every order is tried.

pub mod atomic;
#[path = "../rust/kernel.rs"]
#[allow(dead_code, unused_imports)]
mod plain;

pub use plain::{error, fmt, rbtree, str};
pub mod macros {
    pub use ::macros::{kunit_tests, pin_data, pin_init, try_pin_init};
}

/// Nobody reads the log.
#[macro_export]
macro_rules! pr_err {
    ($($text:tt)*) => {{ $crate::context::log(); let _ = ::core::format_args!($($text)*); }};
}

/// As above.
#[macro_export]
macro_rules! dev_err {
    ($dev:expr, $($text:tt)*) => {{ let _ = &$dev; $crate::pr_err!($($text)*); }};
}

/// A lock that may sleep.
#[macro_export]
macro_rules! new_mutex {
    ($value:expr $(,)?) => {
        $crate::sync::Mutex::new($value)
    };
}

/// A lock that may not.
#[macro_export]
macro_rules! new_spinlock {
    ($value:expr $(,)?) => {
        $crate::sync::SpinLock::new($value)
    };
}

/// A work.
#[macro_export]
macro_rules! new_work {
    ($name:expr) => {
        $crate::workqueue::Work::new()
    };
}

/// Where a structure has its work.
#[macro_export]
macro_rules! impl_has_work {
    (impl HasWork<Self> for $type:ty { self.$field:ident }) => {
        impl $crate::workqueue::HasWork for $type {
            fn work(&self) -> &$crate::workqueue::Work<Self> {
                &self.$field
            }
        }
    };
}

pub mod prelude {
    //! What every kernel file imports.

    pub use crate::{
        dev_err, dev_err as dev_warn, dev_err as dev_info,
        error::*,
        fmt,
        macros::{kunit_tests, pin_data, pin_init, try_pin_init},
        plain::prelude::{Flags, KBox, KVec, GFP_KERNEL},
        pr_err, pr_err as pr_warn, pr_err as pr_info,
        sync::PinInit,
    };
    pub use core::{
        ffi::{c_int, CStr},
        pin::Pin,
    };
}

pub mod context {
    //! Where the running thread may not sleep.

    use checker::loom::thread::{self, ThreadId};
    use std::{
        cell::{Cell, RefCell},
        collections::HashMap,
    };

    thread_local! {
        // loom runs all its threads on one of the machine's.
        static ATOMIC: RefCell<(u64, HashMap<ThreadId, u32>)> = RefCell::default();
        static LINES: Cell<u64> = const { Cell::new(0) };
    }

    /// The kernel logs a line.
    pub fn log() {
        LINES.set(LINES.get() + 1);
    }

    /// How many lines were logged.
    pub fn lines() -> u64 {
        LINES.get()
    }

    fn depth<R>(f: impl FnOnce(&mut u32) -> R) -> R {
        ATOMIC.with_borrow_mut(|(order, threads)| {
            if *order != checker::order() {
                *order = checker::order();
                threads.clear();
            }
            f(threads.entry(thread::current().id()).or_default())
        })
    }

    /// Runs `f` where nothing may sleep.
    pub fn atomic<R>(f: impl FnOnce() -> R) -> R {
        enter();
        let result = f();
        leave();
        result
    }

    pub(crate) fn enter() {
        depth(|depth| *depth += 1);
    }

    pub(crate) fn leave() {
        depth(|depth| *depth -= 1);
    }

    /// From now on, every allocation is one that might sleep.
    pub fn watch_allocations() {
        let _ = crate::plain::prelude::ALLOCATES.set(might_sleep);
    }

    /// Sleeps, perhaps.
    pub fn might_sleep() {
        if !std::thread::panicking() {
            assert_eq!(depth(|depth| *depth), 0, "sleeps in atomic context");
        }
    }
}

pub mod sync {
    //! Locks and references.

    use checker::loom;
    use core::ops::{Deref, DerefMut};
    pub use std::sync::Arc;

    use crate::{
        context,
        error::Result,
        prelude::{Flags, KBox},
    };
    use atomic::{Acquire, Atomic, Release};

    /// What `Arc::pin_init` and `KBox::pin_init` are in the kernel.
    pub trait PinInit<T>: Sized {
        fn pin_init(value: Result<T>, flags: Flags) -> Result<Self>;
    }

    impl<T> PinInit<T> for Arc<T> {
        fn pin_init(value: Result<T>, _flags: Flags) -> Result<Self> {
            context::might_sleep();
            value.map(Arc::new)
        }
    }

    impl<T> PinInit<T> for KBox<T> {
        fn pin_init(value: Result<T>, flags: Flags) -> Result<Self> {
            KBox::new(value?, flags)
        }
    }

    /// A borrowed [`Arc`].
    pub struct ArcBorrow<'a, T>(pub &'a Arc<T>);

    impl<T> Clone for ArcBorrow<'_, T> {
        fn clone(&self) -> Self {
            *self
        }
    }

    impl<T> Copy for ArcBorrow<'_, T> {}

    impl<T> Deref for ArcBorrow<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0
        }
    }

    impl<T> From<ArcBorrow<'_, T>> for Arc<T> {
        fn from(borrow: ArcBorrow<'_, T>) -> Self {
            borrow.0.clone()
        }
    }

    /// A lock that may sleep.
    pub struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            context::might_sleep();
            self.0.lock().expect("nobody panics")
        }
    }

    /// A lock that is held where nothing may sleep.
    pub struct SpinLock<T>(loom::sync::Mutex<T>);

    impl<T> SpinLock<T> {
        pub fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> SpinGuard<'_, T> {
            let guard = self.0.lock().expect("nobody panics");
            context::enter();
            SpinGuard(guard)
        }
    }

    /// A held [`SpinLock`].
    pub struct SpinGuard<'a, T>(loom::sync::MutexGuard<'a, T>);

    impl<T> Deref for SpinGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }

    impl<T> DerefMut for SpinGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.0
        }
    }

    impl<T> Drop for SpinGuard<'_, T> {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                context::leave();
            }
        }
    }

    /// What is set once, by one thread at a time.
    pub struct SetOnce<T> {
        is_set: Atomic<bool>,
        value: core::cell::UnsafeCell<Option<(T, loom::cell::UnsafeCell<()>)>>,
    }

    // SAFETY: loom runs all its threads on one of the machine's.
    unsafe impl<T> Send for SetOnce<T> {}
    // SAFETY: As above.
    unsafe impl<T> Sync for SetOnce<T> {}

    impl<T> SetOnce<T> {
        #[allow(clippy::new_without_default)]
        pub fn new() -> Self {
            Self {
                is_set: Atomic::new(false),
                value: core::cell::UnsafeCell::new(None),
            }
        }

        pub fn populate(&self, value: T) -> bool {
            if self.as_ref().is_some() {
                return false;
            }
            let watched = loom::cell::UnsafeCell::new(());
            watched.with_mut(|_| ());
            // SAFETY: There is no value that others could be using.
            unsafe { *self.value.get() = Some((value, watched)) };
            self.is_set.store(true, Release);
            true
        }

        pub fn as_ref(&self) -> Option<&T> {
            if !self.is_set.load(Acquire) {
                return None;
            }
            // SAFETY: Set, and it does not change any more.
            let (value, watched) = unsafe { (*self.value.get()).as_ref()? };
            // loom sees whether it was set before.
            watched.with(|_| ());
            Some(value)
        }
    }

    pub mod aref {
        //! References that are counted in what they refer to.

        /// Something with a count.
        pub trait AlwaysRefCounted: Sized {
            fn reference(&self) -> ARef<Self>;
        }

        /// A reference.
        pub struct ARef<T>(std::sync::Arc<T>);

        impl<T> ARef<T> {
            pub fn new(value: std::sync::Arc<T>) -> Self {
                Self(value)
            }
        }

        impl<T> Clone for ARef<T> {
            fn clone(&self) -> Self {
                Self(self.0.clone())
            }
        }

        impl<T> core::ops::Deref for ARef<T> {
            type Target = T;

            fn deref(&self) -> &T {
                &self.0
            }
        }

        impl<T: AlwaysRefCounted> From<&T> for ARef<T> {
            fn from(value: &T) -> Self {
                value.reference()
            }
        }
    }

    pub mod barrier {
        //! Barriers.

        /// A full one.
        pub fn smp_mb() {
            super::atomic::fence();
        }
    }

    pub use crate::atomic;
}

pub mod workqueue {
    //! Works. Their queues are in the stand-in for crate `xen`.

    use core::{marker::PhantomData, sync::atomic::AtomicBool};

    /// Something to do.
    pub struct Work<T> {
        /// Queued, and not begun.
        pub pending: AtomicBool,
        _owner: PhantomData<fn(T)>,
    }

    impl<T> Work<T> {
        #[allow(clippy::new_without_default)]
        pub fn new() -> Self {
            Self {
                pending: AtomicBool::new(false),
                _owner: PhantomData,
            }
        }
    }

    /// Has a work.
    pub trait HasWork: Sized {
        fn work(&self) -> &Work<Self>;
    }

    /// What a work does.
    pub trait WorkItem {
        type Pointer;
        fn run(this: Self::Pointer);
    }
}

pub mod time {
    //! Time does not pass: whoever sleeps lets others go on.

    use core::marker::PhantomData;

    /// A time, in milliseconds.
    #[derive(Clone, Copy, PartialEq, PartialOrd)]
    pub struct Delta(i64);

    impl Delta {
        pub const fn from_millis(milliseconds: i64) -> Self {
            Self(milliseconds)
        }

        pub const fn from_secs(seconds: i64) -> Self {
            Self(seconds * 1000)
        }
    }

    /// A clock.
    pub struct Monotonic;

    /// A moment.
    pub struct Instant<Clock = Monotonic>(PhantomData<Clock>);

    impl<Clock> Clone for Instant<Clock> {
        fn clone(&self) -> Self {
            *self
        }
    }

    impl<Clock> Copy for Instant<Clock> {}

    impl Instant {
        pub fn now() -> Self {
            Self(PhantomData)
        }

        pub fn elapsed(&self) -> Delta {
            Delta(if checker::without("time") {
                i64::MAX
            } else {
                0
            })
        }
    }

    pub mod delay {
        //! Sleeping.

        /// Lets others go on.
        pub fn fsleep(_time: super::Delta) {
            crate::context::might_sleep();
            checker::loom::thread::yield_now();
        }
    }
}

pub mod pci;
