// SPDX-License-Identifier: GPL-2.0

//! XenStore: reading and writing it, and hearing of changes.
//!
//! C header: [`include/xen/xenbus.h`](srctree/include/xen/xenbus.h)

use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    },
    slice, //
};

use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::atomic::{
        ordering::Relaxed,
        Atomic, //
    },
    types::Opaque, //
};

use crate::{
    bindings,
    fault, //
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

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the allocation is ours.
        unsafe { bindings::kfree(self.data.as_ptr().cast()) };
    }
}

/// Reads `node` in `dir`, which is relative to this domain's own directory unless it begins with a
/// slash. `ENOENT` if there is none. May sleep, and must not be called before xenstored is there.
pub fn read(dir: &CStr, node: &CStr) -> Result<Value> {
    read_in(NO_TRANSACTION, dir, node)
}

fn read_in(transaction: bindings::xenbus_transaction, dir: &CStr, node: &CStr) -> Result<Value> {
    fault::point("reading XenStore")?;
    let mut len = 0;
    // SAFETY: C strings, and an output that outlives the call.
    let data = from_err_ptr(unsafe {
        bindings::xenbus_read(transaction, dir.as_char_ptr(), node.as_char_ptr(), &mut len)
    })?;
    // INVARIANT: The call returned an allocation of this length.
    Ok(Value {
        data: NonNull::new(data.cast()).ok_or(ENOMEM)?,
        len: len as usize,
    })
}

/// Changes that are made all at once or not at all.
///
/// # Invariants
///
/// The transaction is open.
pub struct Transaction {
    id: u32,
}

impl Transaction {
    /// Runs `f` in a transaction, again if somebody else changed what it saw. May sleep. `EAGAIN`
    /// if that happens too often; else the errors of `f`, after which nothing is changed.
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

    /// Whether there is a `node` in `dir`.
    pub fn exists(&self, dir: &CStr, node: &CStr) -> Result<bool> {
        match read_in(self.raw(), dir, node) {
            Ok(_) => Ok(true),
            Err(e) if e == ENOENT => Ok(false),
            Err(e) => Err(e),
        }
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
pub struct Directory {
    names: NonNull<*mut c_char>,
    count: usize,
}

impl Directory {
    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &CStr> {
        // SAFETY: By the type invariant.
        unsafe { slice::from_raw_parts(self.names.as_ptr(), self.count) }
            .iter()
            // SAFETY: By the type invariant.
            .map(|name| unsafe { CStr::from_char_ptr(*name) })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the allocation is ours.
        unsafe { bindings::kfree(self.names.as_ptr().cast()) };
    }
}

/// Lists `dir`, under the same conditions as [`read`].
pub fn list(dir: &CStr) -> Result<Directory> {
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
    Ok(Directory {
        names: NonNull::new(names).ok_or(ENOMEM)?,
        count: count as usize,
    })
}

/// Hears of changes below a node.
pub trait Observer: 'static {
    /// The node, relative to this domain's own directory unless it begins with a slash.
    const PATH: &'static CStr;

    /// `path`, which is [`Self::PATH`] or below it, has changed. Called for [`Self::PATH`] once at
    /// the beginning. May sleep, but holds up all other watches of the kernel.
    fn changed(path: &CStr);
}

/// Makes `T` hear of changes, from when xenstored is there, for as long as this value lives.
///
/// # Invariants
///
/// - `ready` is registered with `register_xenstore_notifier()`, which calls it or keeps it.
/// - `watching` is null, or the one of `watches` that is registered.
#[pin_data(PinnedDrop)]
#[repr(C)]
pub struct Watch<T: Observer> {
    #[pin]
    ready: Opaque<bindings::notifier_block>,
    /// XenStore knows a watch by its address. If the kernel has no memory to take it back, it stays
    /// there, and when the module is loaded again to the same place another one is needed.
    #[pin]
    watches: Opaque<[bindings::xenbus_watch; 2]>,
    watching: Atomic<*mut bindings::xenbus_watch>,
    /// Why not, once it should be.
    errno: Atomic<c_int>,
    _observer: PhantomData<T>,
}

// SAFETY: XenStore's lists have their own locks.
unsafe impl<T: Observer> Send for Watch<T> {}
// SAFETY: Nothing can be done with a shared reference.
unsafe impl<T: Observer> Sync for Watch<T> {}

impl<T: Observer> Watch<T> {
    /// Registers `T`. May sleep, but does not wait for xenstored.
    pub fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            watching: Atomic::new(ptr::null_mut()),
            errno: Atomic::new(0),
            _observer: PhantomData,
            watches <- Opaque::ffi_init(|slot: *mut [bindings::xenbus_watch; 2]| {
                let watch = || bindings::xenbus_watch {
                    node: T::PATH.as_char_ptr(),
                    callback: Some(Self::changed),
                    ..pin_init::zeroed()
                };
                // SAFETY: `slot` is ours to write.
                unsafe { slot.write([watch(), watch()]) };
            }),
            ready <- Opaque::try_ffi_init(|slot: *mut bindings::notifier_block| {
                // SAFETY: `slot` is ours to write; it is pinned, and unregistered before it is
                // freed. It is the first field of `this`, the rest of which is initialized.
                to_result(unsafe {
                    slot.write(bindings::notifier_block {
                        notifier_call: Some(Self::ready),
                        ..pin_init::zeroed()
                    });
                    debug_assert_eq!(slot.cast(), this.as_ptr());
                    // Calls `Self::ready`, or keeps it for later.
                    bindings::register_xenstore_notifier(slot);
                    (*this.as_ptr()).errno.load(Relaxed)
                })
            }),
        }? Error)
    }

    /// # Safety
    ///
    /// `block` is the first field of a `Self` whose other fields are initialized.
    unsafe extern "C" fn ready(
        block: *mut bindings::notifier_block,
        _action: c_ulong,
        _data: *mut c_void,
    ) -> c_int {
        // SAFETY: By the function's requirement; `Self` begins with the block.
        let this = unsafe { &*block.cast::<Self>() };
        match this.watch() {
            // INVARIANT: Set when it is registered.
            Ok(watch) => this.watching.store(watch, Relaxed),
            Err(e) => {
                pr_err!("{:?} in XenStore cannot be watched: {e:?}\n", T::PATH);
                this.errno.store(e.to_errno(), Relaxed);
            }
        }
        bindings::NOTIFY_DONE as c_int
    }

    fn watch(&self) -> Result<*mut bindings::xenbus_watch> {
        fault::point("watching XenStore")?;
        let first: *mut bindings::xenbus_watch = self.watches.get().cast();
        let mut result = Err(EEXIST);
        for watch in [first, first.wrapping_add(1)] {
            // SAFETY: The watch is pinned, and unregistered before it is freed.
            result = to_result(unsafe { bindings::register_xenbus_watch(watch) }).map(|()| watch);
            if result != Err(EEXIST) {
                break;
            }
        }
        result
    }

    /// # Safety
    ///
    /// Called by XenStore's thread, for a watch that [`Self::ready`] registered.
    unsafe extern "C" fn changed(
        _watch: *mut bindings::xenbus_watch,
        path: *const c_char,
        _token: *const c_char,
    ) {
        // SAFETY: XenStore passes a C string that stays during the call.
        T::changed(unsafe { CStr::from_char_ptr(path) });
    }
}

#[pinned_drop]
impl<T: Observer> PinnedDrop for Watch<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants; both wait for running calls, and after the first the
        // second is not registered any more.
        unsafe {
            bindings::unregister_xenstore_notifier(self.ready.get());
            let watch = self.watching.load(Relaxed);
            if !watch.is_null() {
                bindings::unregister_xenbus_watch(watch);
            }
        }
    }
}
