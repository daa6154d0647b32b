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
    }

    pub const ENOENT: Error = Error(2);
    pub const ENXIO: Error = Error(6);
    pub const ENODEV: Error = Error(19);

    pub type Result<T = (), E = Error> = core::result::Result<T, E>;
}

pub mod prelude {
    //! What every kernel file imports.

    pub use super::error::*;
    pub use macros::kunit_tests;

    /// How to allocate; here it does not matter.
    #[derive(Clone, Copy)]
    pub struct Flags;
    pub const GFP_KERNEL: Flags = Flags;
}

pub mod rbtree {
    //! An ordered map whose nodes are made before they are inserted.

    use super::prelude::{Flags, Result};
    use std::collections::BTreeMap;

    pub struct RBTreeNode<K, V>(K, V);

    impl<K, V> RBTreeNode<K, V> {
        pub fn new(key: K, value: V, _flags: Flags) -> Result<Self> {
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
