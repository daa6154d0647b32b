// SPDX-License-Identifier: GPL-2.0

//! XenStore: others may come between any two accesses.

use core::{cell::RefCell, ffi::CStr, fmt::Display};
use std::{collections::BTreeMap, rc::Rc};

use checker::loom::sync::Mutex;
use kernel::{
    context,
    error::{Result, ENOENT},
};

thread_local! {
    static STORE: RefCell<Option<(u64, Rc<Mutex<Store>>)>> = const { RefCell::new(None) };
}

/// All nodes.
#[derive(Default)]
pub struct Store(BTreeMap<String, String>);

fn path(dir: &CStr, node: &CStr) -> String {
    format!("{}/{}", dir.to_string_lossy(), node.to_string_lossy())
}

impl Store {
    pub fn set(&mut self, dir: &CStr, node: &CStr, value: impl Display) {
        self.0.insert(path(dir, node), value.to_string());
    }

    pub fn get(&self, dir: &CStr, node: &CStr) -> Option<String> {
        self.0.get(&path(dir, node)).cloned()
    }

    pub(crate) fn set_if_there(&mut self, dir: &CStr, node: &CStr, value: impl Display) {
        if self.0.contains_key(&path(dir, node)) {
            self.set(dir, node, value);
        }
    }

    /// Removes a directory.
    pub fn remove(&mut self, dir: &CStr) {
        let dir = format!("{}/", dir.to_string_lossy());
        self.0.retain(|path, _| !path.starts_with(&dir));
    }
}

/// Reads or changes it, all at once.
pub fn change<R>(f: impl FnOnce(&mut Store) -> R) -> R {
    context::might_sleep();
    let store = STORE.with_borrow_mut(|current| match current {
        Some((order, store)) if *order == checker::order() => store.clone(),
        _ => {
            let store = Rc::new(Mutex::default());
            *current = Some((checker::order(), store.clone()));
            store
        }
    });
    let mut store = store.lock().expect("nobody panics");
    f(&mut store)
}

/// What a node holds.
pub struct Value(String);

impl Value {
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

pub fn read(dir: &CStr, node: &CStr) -> Result<Value> {
    change(|store| store.get(dir, node))
        .map(Value)
        .ok_or(ENOENT)
}

/// Changes that are made all at once.
pub struct Transaction<'a>(RefCell<&'a mut Store>);

impl Transaction<'_> {
    pub fn run<R>(f: impl FnOnce(&Transaction<'_>) -> Result<R>) -> Result<R> {
        change(|store| f(&Transaction(RefCell::new(store))))
    }

    pub fn exists(&self, dir: &CStr, node: &CStr) -> Result<bool> {
        Ok(self.0.borrow().get(dir, node).is_some())
    }

    pub fn write(&self, dir: &CStr, node: &CStr, value: &CStr) -> Result {
        self.0.borrow_mut().set(dir, node, value.to_string_lossy());
        Ok(())
    }
}

/// Hears of changes.
pub trait Observer: 'static {
    const PATH: &'static CStr;

    fn changed(path: &CStr);
}
