// SPDX-License-Identifier: GPL-2.0

//! Work queues of a module's own.
//!
//! Work on the kernel's queues may outlive the module that queued it; these end with it.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use core::{
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    prelude::*,
    workqueue, //
};

use crate::{
    bindings,
    linux::fault, //
};

/// A work queue. Dropping it waits for all its work, and for the work that this queued; so no work
/// may drop the queue that it runs on.
///
/// # Invariants
///
/// The pointer is a work queue that nobody else destroys.
pub struct Queue(NonNull<bindings::workqueue_struct>);

// SAFETY: Work queues can be used and destroyed by any task.
unsafe impl Send for Queue {}
// SAFETY: As above.
unsafe impl Sync for Queue {}

impl Queue {
    /// A queue that runs at most `most` works at a time, each of which may sleep for long.
    pub fn new(name: &'static CStr, most: u16) -> Result<Self> {
        Self::create(name, bindings::wq_flags_WQ_UNBOUND, most)
    }

    /// A queue that runs one work after the other, in the order they were queued.
    pub fn ordered(name: &'static CStr) -> Result<Self> {
        Self::create(
            name,
            bindings::wq_flags_WQ_UNBOUND | bindings::wq_flags___WQ_ORDERED,
            1,
        )
    }

    /// Waits until all work is done, and the work that it queued.
    pub fn drain(&self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::drain_workqueue(self.0.as_ptr()) };
    }

    fn create(name: &'static CStr, flags: u32, most: u16) -> Result<Self> {
        fault::point("making a work queue")?;
        // SAFETY: The format takes one string.
        let queue = unsafe {
            bindings::alloc_workqueue_noprof(
                c"%s".as_char_ptr(),
                flags,
                most.into(),
                name.as_char_ptr(),
            )
        };
        // INVARIANT: Made just now.
        NonNull::new(queue).map(Self).ok_or(ENOMEM)
    }
}

impl Deref for Queue {
    type Target = workqueue::Queue;

    fn deref(&self) -> &workqueue::Queue {
        // SAFETY: By the type invariant the queue lives for as long as `self` is borrowed.
        unsafe { workqueue::Queue::from_raw(self.0.as_ptr()) }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) };
    }
}
