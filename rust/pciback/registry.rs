// SPDX-License-Identifier: GPL-2.0

//! Functions by their address, and the queue on which they are reset.

use kernel::{
    new_mutex,
    prelude::*,
    rbtree::RBTree,
    sync::{
        Arc,
        Mutex, //
    }, //
};

use xen::{
    linux::workqueue::Queue,
    pci::Sbdf, //
};

/// The number of functions that are reset at a time. Resets mostly wait.
pub(crate) const AT_A_TIME: u16 = 64;

/// The functions `T` that the driver has seized, or that a guest has.
///
/// Lock order: the lock of a bus or the device lock of a function, `all`, `Function::inner`.
#[pin_data]
pub(crate) struct Registry<T> {
    #[pin]
    all: Mutex<RBTree<Sbdf, Arc<T>>>,
    /// The queue of resets of returned functions.
    pub(crate) returns: Queue,
}

impl<T> Registry<T> {
    pub(crate) fn new() -> Result<Arc<Self>> {
        let returns = Queue::new(c"xen-pciback-returns", AT_A_TIME)?;
        Arc::pin_init(
            pin_init!(Self {
                all <- new_mutex!(RBTree::new()),
                returns,
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the function at `sbdf`. `ENODEV` if there is none.
    pub(crate) fn get(&self, sbdf: Sbdf) -> Result<Arc<T>> {
        self.all.lock().get(&sbdf).cloned().ok_or(ENODEV)
    }

    /// Returns whether `function` still is the one at `sbdf`.
    pub(crate) fn has(&self, sbdf: Sbdf, function: &T) -> bool {
        let all = self.all.lock();
        all.get(&sbdf)
            .is_some_and(|other| core::ptr::eq(&**other, function))
    }

    /// Returns all functions that `wanted` picks, in the order of their addresses.
    pub(crate) fn list(&self, wanted: impl Fn(&T) -> bool) -> Result<KVec<Arc<T>>> {
        let mut list = KVec::new();
        for (_, function) in self.all.lock().iter() {
            if wanted(function) {
                list.push(function.clone(), GFP_KERNEL)?;
            }
        }
        Ok(list)
    }

    /// Adds a function. `ENOMEM` on failure.
    pub(crate) fn add(&self, sbdf: Sbdf, function: Arc<T>) -> Result {
        let mut all = self.all.lock();
        all.try_create_and_insert(sbdf, function, GFP_KERNEL)
            .map(drop)
    }

    /// Removes `function`, unless another one is at `sbdf` by now.
    pub(crate) fn remove(&self, sbdf: Sbdf, function: &T) {
        let gone = {
            let mut all = self.all.lock();
            match all.get(&sbdf) {
                Some(other) if core::ptr::eq(&**other, function) => all.remove(&sbdf),
                _ => None,
            }
        };
        // It may be the last reference.
        drop(gone);
    }
}
