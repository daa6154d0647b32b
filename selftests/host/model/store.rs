// SPDX-License-Identifier: GPL-2.0

//! XenStore: others may come between any two accesses.

use core::{ffi::CStr, fmt::Display};
use std::collections::BTreeMap;

use checker::{loom::sync::Mutex, InOrder};
use kernel::{context, error::Result, fmt, str::CString};

use crate::pci_backend::{self, Directory, Nodes};

thread_local! {
    static STORE: InOrder<Mutex<Store>> = const { InOrder::new() };
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

    /// Removes a node.
    pub fn remove_node(&mut self, dir: &CStr, node: &CStr) {
        self.0.remove(&path(dir, node));
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
    let store = STORE.with(InOrder::get);
    let mut store = store.lock().expect("nobody panics");
    f(&mut store)
}

/// A directory at one time.
struct Snapshot<'a> {
    store: &'a Store,
    dir: &'a CStr,
}

impl Nodes for Snapshot<'_> {
    type Value = String;

    fn read(&self, name: &CStr) -> Result<Option<String>> {
        Ok(self.store.get(self.dir, name))
    }
}

/// A directory that others may change between two reads.
struct Torn<'a>(&'a CStr);

impl Nodes for Torn<'_> {
    type Value = String;

    fn read(&self, name: &CStr) -> Result<Option<String>> {
        Ok(change(|store| store.get(self.0, name)))
    }
}

/// Time does not pass here: the checker tries all orders anyway.
pub fn settle() {
    context::might_sleep();
}

/// The value of a node.
pub struct Value(String);

impl Value {
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// As in the crate.
pub fn read(dir: &CStr, node: &CStr) -> Result<Option<Value>> {
    Ok(change(|store| store.get(dir, node).map(Value)))
}

/// As in the crate.
pub fn read_target(domain: u16) -> Result<Option<u16>> {
    let home = CString::try_from_fmt(fmt!("/local/domain/{domain}"))?;
    let target = read(&home, c"target")?;
    Ok(target.and_then(|target| pci_backend::decimal(target.bytes())))
}

/// As in the crate.
pub fn read_pci_backend(domain: u16) -> Result<Option<Directory>> {
    let dir = pci_backend::node(domain)?;
    if checker::without("transaction") {
        return Directory::read(&Torn(&dir));
    }
    change(|store| Directory::read(&Snapshot { store, dir: &dir }))
}
