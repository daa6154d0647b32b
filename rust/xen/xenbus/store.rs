// SPDX-License-Identifier: GPL-2.0

//! Reading and writing XenStore.
//!
//! C header: [`include/xen/xenbus.h`](srctree/include/xen/xenbus.h)

use core::{
    ptr::NonNull,
    slice, //
};

use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*, //
};

use crate::{
    bindings,
    linux::fault,
    xenbus::pci_backend::{
        self,
        Directory,
        Nodes, //
    }, //
};

/// No transaction, `XBT_NIL`.
const NO_TRANSACTION: bindings::xenbus_transaction = bindings::xenbus_transaction { id: 0 };

/// What a node holds.
///
/// # Invariants
///
/// `data` is an allocation of at least `len` bytes that this value owns.
pub struct Value {
    data: NonNull<u8>,
    len: usize,
}

impl Value {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: By the type invariant.
        unsafe { slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the allocation is ours.
        unsafe { bindings::kfree(self.data.as_ptr().cast()) };
    }
}

/// Reads `node` in `dir`, which is relative to this domain's own directory unless it begins with a
/// slash. `None` if there is no such node. May sleep, and must not be called before xenstored is
/// there.
pub fn read(dir: &CStr, node: &CStr) -> Result<Option<Value>> {
    read_in(NO_TRANSACTION, dir, node)
}

fn read_in(
    transaction: bindings::xenbus_transaction,
    dir: &CStr,
    node: &CStr,
) -> Result<Option<Value>> {
    fault::point("reading XenStore")?;
    let mut len = 0;
    // SAFETY: C strings, and an output that outlives the call.
    let data = from_err_ptr(unsafe {
        bindings::xenbus_read(transaction, dir.as_char_ptr(), node.as_char_ptr(), &mut len)
    });
    match data {
        // INVARIANT: The call returned an allocation of this length.
        Ok(data) => Ok(Some(Value {
            data: NonNull::new(data.cast()).ok_or(ENOMEM)?,
            len: len as usize,
        })),
        Err(e) if e == ENOENT => Ok(None),
        Err(e) => Err(e),
    }
}

/// Reads that see one state of XenStore, and writes that are made all at once or not at all.
///
/// # Invariants
///
/// The transaction is open.
pub struct Transaction {
    id: u32,
}

impl Transaction {
    /// Runs `f` in a transaction, again if somebody else changed a node that it used. May sleep.
    ///
    /// What `f` saw is one state of XenStore only if this succeeds: until then, nodes may be from
    /// different times. `EAGAIN` if others interfere too often; else the errors of `f`.
    pub fn run<R>(mut f: impl FnMut(&Self) -> Result<R>) -> Result<R> {
        const ATTEMPTS: u32 = 100;
        for _ in 0..ATTEMPTS {
            fault::point("beginning a transaction of XenStore")?;
            let mut raw = NO_TRANSACTION;
            // SAFETY: An output that outlives the call.
            to_result(unsafe { bindings::xenbus_transaction_start(&mut raw) })?;
            // INVARIANT: Opened just now.
            let transaction = Self { id: raw.id };
            let result = f(&transaction)?;
            match transaction.commit() {
                Err(e) if e == EAGAIN => (),
                ended => return ended.map(|()| result),
            }
        }
        Err(EAGAIN)
    }

    /// Reads `node` in `dir`, as [`read`] does.
    pub fn read(&self, dir: &CStr, node: &CStr) -> Result<Option<Value>> {
        read_in(self.raw(), dir, node)
    }

    /// Writes `value` to `node` in `dir`, and makes what is missing of the path.
    pub fn write(&self, dir: &CStr, node: &CStr, value: &CStr) -> Result {
        fault::point("writing XenStore")?;
        // SAFETY: By the type invariant; C strings.
        to_result(unsafe {
            bindings::xenbus_write(
                self.raw(),
                dir.as_char_ptr(),
                node.as_char_ptr(),
                value.as_char_ptr(),
            )
        })
    }

    fn raw(&self) -> bindings::xenbus_transaction {
        bindings::xenbus_transaction { id: self.id }
    }

    fn commit(self) -> Result {
        fault::point("ending a transaction of XenStore")?;
        let raw = self.raw();
        core::mem::forget(self);
        // SAFETY: By the type invariant, which this ends.
        to_result(unsafe { bindings::xenbus_transaction_end(raw, false) })
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. Nothing is lost if it fails: nothing is changed.
        unsafe { bindings::xenbus_transaction_end(self.raw(), true) };
    }
}

/// The names of the nodes in a directory.
///
/// # Invariants
///
/// `names` is an allocation of `count` pointers to C strings within it, which this value owns.
pub struct Names {
    names: NonNull<*mut c_char>,
    count: usize,
}

impl Names {
    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &CStr> {
        // SAFETY: By the type invariant.
        unsafe { slice::from_raw_parts(self.names.as_ptr(), self.count) }
            .iter()
            // SAFETY: By the type invariant.
            .map(|name| unsafe { CStr::from_char_ptr(*name) })
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the allocation is ours.
        unsafe { bindings::kfree(self.names.as_ptr().cast()) };
    }
}

/// Lists `dir`, under the same conditions as [`read`].
pub fn list(dir: &CStr) -> Result<Names> {
    fault::point("listing XenStore")?;
    let mut count = 0;
    // SAFETY: C strings, and an output that outlives the call.
    let names = from_err_ptr(unsafe {
        bindings::xenbus_directory(
            NO_TRANSACTION,
            dir.as_char_ptr(),
            c"".as_char_ptr(),
            &mut count,
        )
    })?;
    // INVARIANT: The call returned an array of this length, in one allocation with its strings.
    Ok(Names {
        names: NonNull::new(names).ok_or(ENOMEM)?,
        count: count as usize,
    })
}

/// A directory in a transaction.
struct Snapshot<'a> {
    transaction: &'a Transaction,
    dir: &'a CStr,
}

impl Nodes for Snapshot<'_> {
    type Value = Value;

    fn read(&self, name: &CStr) -> Result<Option<Value>> {
        self.transaction.read(self.dir, name)
    }
}

/// Reads the `backend/pci` directory of `domain`; `None` if there is none. May sleep.
pub fn read_pci_backend(domain: u16) -> Result<Option<Directory>> {
    let dir = pci_backend::node(domain)?;
    Transaction::run(|transaction| {
        Directory::read(&Snapshot {
            transaction,
            dir: &dir,
        })
    })
}
