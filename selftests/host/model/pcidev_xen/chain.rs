// SPDX-License-Identifier: GPL-2.0

//! Observers, which come and go.

use std::sync::Arc;

use checker::loom::sync::{Mutex, RwLock};

type Slot<T> = Arc<RwLock<Option<Arc<T>>>>;

/// All that are registered.
pub struct Chain<T: ?Sized>(Mutex<Vec<Slot<T>>>);

impl<T: ?Sized> Default for Chain<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: ?Sized> Chain<T> {
    pub fn add(&self, observer: Arc<T>) -> Member<T> {
        let slot = Arc::new(RwLock::new(Some(observer)));
        self.0.lock().expect("nobody panics").push(slot.clone());
        Member(slot)
    }

    pub fn call(&self, f: impl Fn(&T)) {
        let slots = self.0.lock().expect("nobody panics").clone();
        for slot in slots {
            if let Some(observer) = &*slot.read().expect("nobody panics") {
                f(observer);
            }
        }
    }
}

/// One of them, until this is dropped, which waits for running calls.
pub struct Member<T: ?Sized>(Slot<T>);

impl<T: ?Sized> Drop for Member<T> {
    fn drop(&mut self) {
        *self.0.write().expect("nobody panics") = None;
    }
}
