// SPDX-License-Identifier: GPL-2.0

//! Reading and writing XenStore, and transactions.
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
    prelude::*,
    str::CString,
    time::{
        delay::fsleep,
        Delta, //
    }, //
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

/// `XBT_NIL`: no transaction.
const NO_TRANSACTION: bindings::xenbus_transaction = bindings::xenbus_transaction { id: 0 };

/// The value of a node.
///
/// # Invariants
///
/// `data` points to an allocation of at least `len` bytes, which this value owns.
pub struct Value {
    data: NonNull<u8>,
    len: usize,
}

impl Value {
    /// Returns the value as bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: By the type invariant `data` is valid for `len` bytes.
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
        // SAFETY: By the type invariant this value owns the allocation.
        unsafe { bindings::kfree(self.data.as_ptr().cast()) };
    }
}

/// Reads `node` in `dir`; `None` if the node does not exist. `dir` is relative to this domain's
/// directory unless it begins with a slash.
///
/// May sleep. Must not be called before xenstored runs.
///
/// Errors: `ENOMEM`, and the errors of xenstored.
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
    // SAFETY: `dir` and `node` are C strings, and `len` outlives the call.
    let data = from_err_ptr(unsafe {
        bindings::xenbus_read(transaction, dir.as_char_ptr(), node.as_char_ptr(), &mut len)
    });
    match data {
        // INVARIANT: `xenbus_read()` has returned an allocation of this length.
        Ok(data) => Ok(Some(Value {
            data: NonNull::new(data.cast()).ok_or(ENOMEM)?,
            len: len as usize,
        })),
        Err(e) if e == ENOENT => Ok(None),
        Err(e) => Err(e),
    }
}

/// A transaction of XenStore: all reads see one state, and all writes take effect at once or not at
/// all.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// # use xen::xenbus::store::Transaction;
/// fn is_online(dir: &CStr) -> Result<bool> {
///     Transaction::run(|transaction| {
///         let online = transaction.read(dir, c"online")?;
///         Ok(online.is_some_and(|value| value.bytes() == b"1"))
///     })
/// }
/// ```
///
/// # Invariants
///
/// The transaction is open.
pub struct Transaction {
    id: u32,
}

impl Transaction {
    /// Runs `f` in a transaction, and runs it again if another client changed a node that `f` used.
    /// May sleep.
    ///
    /// The nodes that `f` reads are consistent only if this succeeds, so `f` must tolerate nodes of
    /// different times.
    ///
    /// Errors: `EAGAIN` if every attempt, 100 in all, met a concurrent change; else those of `f`
    /// and of xenstored.
    pub fn run<R>(mut f: impl FnMut(&Self) -> Result<R>) -> Result<R> {
        const ATTEMPTS: u32 = 100;
        for _ in 0..ATTEMPTS {
            fault::point("beginning a transaction of XenStore")?;
            let mut raw = NO_TRANSACTION;
            // SAFETY: `raw` outlives the call.
            to_result(unsafe { bindings::xenbus_transaction_start(&mut raw) })?;
            // INVARIANT: `xenbus_transaction_start()` has opened the transaction.
            let transaction = Self { id: raw.id };
            let result = f(&transaction)?;
            match transaction.commit() {
                Err(e) if e == EAGAIN => (),
                ended => return ended.map(|()| result),
            }
        }
        Err(EAGAIN)
    }

    /// Reads `node` in `dir` as [`read`] does.
    pub fn read(&self, dir: &CStr, node: &CStr) -> Result<Option<Value>> {
        read_in(self.raw(), dir, node)
    }

    /// Writes `value` to `node` in `dir`. xenstored creates missing nodes and their parents. May
    /// sleep.
    pub fn write(&self, dir: &CStr, node: &CStr, value: &CStr) -> Result {
        fault::point("writing XenStore")?;
        // SAFETY: By the type invariant the transaction is open. The arguments are C strings.
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
        // SAFETY: By the type invariant the transaction is open. The value was forgotten, so this
        // is the only end.
        to_result(unsafe { bindings::xenbus_transaction_end(raw, false) })
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the transaction is open. Aborting it changes nothing in
        // XenStore, so a failure can be ignored.
        unsafe { bindings::xenbus_transaction_end(self.raw(), true) };
    }
}

/// The names of the nodes in a directory.
///
/// # Invariants
///
/// `names` is an allocation that holds `count` pointers and the C strings that they point to. This
/// value owns it.
pub struct Names {
    names: NonNull<*mut c_char>,
    count: usize,
}

impl Names {
    /// Iterates over the names.
    pub fn iter(&self) -> impl Iterator<Item = &CStr> {
        // SAFETY: By the type invariant `names` is valid for `count` pointers.
        unsafe { slice::from_raw_parts(self.names.as_ptr(), self.count) }
            .iter()
            // SAFETY: By the type invariant the pointer points to a C string.
            .map(|name| unsafe { CStr::from_char_ptr(*name) })
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the allocation.
        unsafe { bindings::kfree(self.names.as_ptr().cast()) };
    }
}

/// Lists the nodes in `dir`. `ENOENT` if `dir` does not exist. The path, context and other errors
/// are as for [`read`].
pub fn list(dir: &CStr) -> Result<Names> {
    fault::point("listing XenStore")?;
    let mut count = 0;
    // SAFETY: `dir` is a C string, and `count` outlives the call.
    let names = from_err_ptr(unsafe {
        bindings::xenbus_directory(
            NO_TRANSACTION,
            dir.as_char_ptr(),
            c"".as_char_ptr(),
            &mut count,
        )
    })?;
    // INVARIANT: `xenbus_directory()` has returned an array of this length in one allocation with
    // the strings.
    Ok(Names {
        names: NonNull::new(names).ok_or(ENOMEM)?,
        count: count as usize,
    })
}

/// A directory, as a transaction sees it.
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

/// Waits until a toolstack has probably written all nodes that it changes together: 10 ms.
///
/// Work that reads a directory after its first change calls this, as it would else read while the
/// toolstack writes and the kernel's XenStore thread tells of the other nodes. Everybody would wait
/// for xenstored then, and the directory would be read twice.
pub fn settle() {
    const TIME: Delta = Delta::from_millis(10);
    fsleep(TIME);
}

/// Returns the guest of which `domain` is the stub domain, whose device model runs there; `None` if
/// it is none. May sleep. Fails as [`read`] does.
pub fn read_target(domain: u16) -> Result<Option<u16>> {
    let home = CString::try_from_fmt(fmt!("/local/domain/{domain}"))?;
    let target = read(&home, c"target")?;
    Ok(target.and_then(|target| pci_backend::decimal(target.bytes())))
}

/// Reads the `backend/pci` directory of `domain` in one transaction; `None` if it does not exist.
/// May sleep.
///
/// Errors are those of [`Transaction::run`] and [`Directory::read`].
pub fn read_pci_backend(domain: u16) -> Result<Option<Directory>> {
    let dir = pci_backend::node(domain)?;
    Transaction::run(|transaction| {
        Directory::read(&Snapshot {
            transaction,
            dir: &dir,
        })
    })
}
