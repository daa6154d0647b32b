// SPDX-License-Identifier: GPL-2.0

//! Stands in for the kernel's crate `kernel`: what our pure logic uses of it.

pub use macros;

pub mod error {
    //! Errors by their numbers, as user space knows them.

    /// An errno.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Error(i32);

    impl Error {
        /// The negative number.
        pub fn to_errno(self) -> i32 {
            -self.0
        }

        /// The error with this negative number.
        pub fn from_errno(errno: i32) -> Self {
            Self(-errno)
        }
    }

    pub const ENOENT: Error = Error(2);
    pub const ESRCH: Error = Error(3);
    pub const EIO: Error = Error(5);
    pub const ENXIO: Error = Error(6);
    pub const E2BIG: Error = Error(7);
    pub const EAGAIN: Error = Error(11);
    pub const ENOMEM: Error = Error(12);
    pub const EACCES: Error = Error(13);
    pub const EFAULT: Error = Error(14);
    pub const EBUSY: Error = Error(16);
    pub const ENODEV: Error = Error(19);
    pub const EINVAL: Error = Error(22);
    pub const ENOTTY: Error = Error(25);
    pub const ENOSPC: Error = Error(28);
    pub const EOVERFLOW: Error = Error(75);
    pub const ETIMEDOUT: Error = Error(110);

    impl From<core::num::TryFromIntError> for Error {
        fn from(_: core::num::TryFromIntError) -> Self {
            EINVAL
        }
    }

    pub type Result<T = (), E = Error> = core::result::Result<T, E>;
}

pub use core::fmt;

/// As in the kernel.
#[macro_export]
macro_rules! fmt {
    ($($text:tt)*) => { ::core::format_args!($($text)*) };
}

pub mod str {
    //! Strings.

    use core::{ffi::CStr, fmt, ops::Deref};

    use crate::error::Result;

    /// A C string of one's own.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct CString(std::ffi::CString);

    impl CString {
        pub fn try_from_fmt(text: fmt::Arguments<'_>) -> Result<Self> {
            Ok(Self(
                std::ffi::CString::new(text.to_string()).expect("no zero in it"),
            ))
        }
    }

    impl TryFrom<&CStr> for CString {
        type Error = crate::error::Error;

        fn try_from(text: &CStr) -> Result<Self> {
            Ok(Self(text.into()))
        }
    }

    impl Deref for CString {
        type Target = CStr;

        fn deref(&self) -> &CStr {
            &self.0
        }
    }
}

pub mod sync {
    //! What is shared.

    /// What is set once.
    #[derive(Default)]
    pub struct SetOnce<T>(std::sync::OnceLock<T>);

    impl<T> SetOnce<T> {
        pub const fn new() -> Self {
            Self(std::sync::OnceLock::new())
        }

        pub fn populate(&self, value: T) -> bool {
            self.0.set(value).is_ok()
        }

        pub fn as_ref(&self) -> Option<&T> {
            self.0.get()
        }
    }

    pub mod atomic {
        //! Atomics.

        use core::sync::atomic::{AtomicI32, Ordering};
        use std::marker::PhantomData;

        /// No order.
        pub struct Relaxed;

        /// A number.
        pub struct Atomic<T>(AtomicI32, PhantomData<T>);

        impl Atomic<i32> {
            pub const fn new(value: i32) -> Self {
                Self(AtomicI32::new(value), PhantomData)
            }

            pub fn load(&self, _order: Relaxed) -> i32 {
                self.0.load(Ordering::Relaxed)
            }

            pub fn store(&self, value: i32, _order: Relaxed) {
                self.0.store(value, Ordering::Relaxed);
            }
        }
    }
}

pub mod prelude {
    //! What every kernel file imports.

    pub use super::error::*;
    pub use crate::fmt;
    pub use core::ffi::CStr;
    pub use macros::kunit_tests;

    /// Called before each allocation that may sleep: whether it may can only be told by others.
    pub static ALLOCATES: std::sync::OnceLock<fn()> = std::sync::OnceLock::new();

    /// How to allocate: always so that it may sleep.
    #[derive(Clone, Copy)]
    pub struct Flags;
    pub const GFP_KERNEL: Flags = Flags;

    impl Flags {
        pub(crate) fn allocate(self) {
            if let Some(allocates) = ALLOCATES.get() {
                allocates();
            }
        }
    }

    /// A box that says how to allocate.
    pub struct KBox<T>(Box<T>);

    impl<T> KBox<T> {
        pub fn new(value: T, flags: Flags) -> Result<Self> {
            flags.allocate();
            Ok(Self(Box::new(value)))
        }
    }

    impl<T> core::ops::Deref for KBox<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }

    /// A vector that says how to allocate.
    #[derive(Clone, Debug)]
    pub struct KVec<T>(Vec<T>);

    impl<T> Default for KVec<T> {
        fn default() -> Self {
            Self::new()
        }
    }

    impl<T> KVec<T> {
        pub fn new() -> Self {
            Self(Vec::new())
        }

        pub fn with_capacity(count: usize, flags: Flags) -> Result<Self> {
            flags.allocate();
            Ok(Self(Vec::with_capacity(count)))
        }

        pub fn push(&mut self, value: T, flags: Flags) -> Result {
            flags.allocate();
            self.0.push(value);
            Ok(())
        }

        pub fn reserve(&mut self, more: usize, flags: Flags) -> Result {
            flags.allocate();
            self.0.reserve_exact(more);
            Ok(())
        }

        pub fn push_within_capacity(&mut self, value: T) -> Result<(), T> {
            if self.0.len() == self.0.capacity() {
                return Err(value);
            }
            self.0.push(value);
            Ok(())
        }

        pub fn insert_within_capacity(&mut self, index: usize, value: T) -> Result {
            if self.0.len() == self.0.capacity() || index > self.0.len() {
                return Err(EINVAL);
            }
            self.0.insert(index, value);
            Ok(())
        }

        pub fn remove(&mut self, index: usize) -> Result<T> {
            if index < self.0.len() {
                Ok(self.0.remove(index))
            } else {
                Err(EINVAL)
            }
        }

        pub fn clear(&mut self) {
            self.0.clear();
        }

        pub fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
            self.0.retain_mut(|value| keep(value));
        }
    }

    impl<'a, T> IntoIterator for &'a KVec<T> {
        type Item = &'a T;
        type IntoIter = core::slice::Iter<'a, T>;

        fn into_iter(self) -> Self::IntoIter {
            self.0.iter()
        }
    }

    impl<T> core::ops::Deref for KVec<T> {
        type Target = [T];

        fn deref(&self) -> &[T] {
            &self.0
        }
    }

    impl<T> core::ops::DerefMut for KVec<T> {
        fn deref_mut(&mut self) -> &mut [T] {
            &mut self.0
        }
    }

    impl<T> IntoIterator for KVec<T> {
        type Item = T;
        type IntoIter = std::vec::IntoIter<T>;

        fn into_iter(self) -> Self::IntoIter {
            self.0.into_iter()
        }
    }
}

pub mod rbtree {
    //! An ordered map whose nodes are made before they are inserted.

    use super::prelude::{Flags, Result};
    use std::collections::BTreeMap;

    pub struct RBTreeNode<K, V>(K, V);

    impl<K, V> RBTreeNode<K, V> {
        pub fn new(key: K, value: V, flags: Flags) -> Result<Self> {
            flags.allocate();
            Ok(Self(key, value))
        }
    }

    #[derive(Default)]
    pub struct RBTree<K, V>(BTreeMap<K, V>);

    impl<K: Ord, V> RBTree<K, V> {
        pub fn new() -> Self {
            Self(BTreeMap::new())
        }

        pub fn insert(&mut self, node: RBTreeNode<K, V>) -> Option<RBTreeNode<K, V>> {
            let RBTreeNode(key, value) = node;
            let old = self.0.remove_entry(&key);
            self.0.insert(key, value);
            old.map(|(key, value)| RBTreeNode(key, value))
        }

        pub fn try_create_and_insert(
            &mut self,
            key: K,
            value: V,
            flags: Flags,
        ) -> Result<Option<V>> {
            flags.allocate();
            Ok(self.0.insert(key, value))
        }

        pub fn remove(&mut self, key: &K) -> Option<V> {
            self.0.remove(key)
        }

        pub fn remove_node(&mut self, key: &K) -> Option<RBTreeNode<K, V>> {
            self.0
                .remove_entry(key)
                .map(|(key, value)| RBTreeNode(key, value))
        }

        pub fn get(&self, key: &K) -> Option<&V> {
            self.0.get(key)
        }

        pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
            self.0.get_mut(key)
        }

        pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
            self.0.iter()
        }

        pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
            self.0.iter_mut()
        }
    }
}
