// SPDX-License-Identifier: GPL-2.0

//! Work queues that a module owns.
//!
//! Work on the kernel's own queues may run after the module that queued it was unloaded. These
//! queues finish their work before they are destroyed.
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

/// A work queue. Dropping it waits until all queued work is done, including work that this work
/// queues, and may sleep. A work item must therefore not drop the queue that it runs on.
///
/// [`enqueue()`](workqueue::Queue::enqueue) and the other methods of [`workqueue::Queue`] are
/// available by `Deref`.
///
/// # Examples
///
/// ```
/// # use kernel::{new_work, prelude::*, sync::Arc, workqueue::{Work, WorkItem}};
/// # use xen::linux::workqueue::Queue;
/// #[pin_data]
/// struct Greeting {
///     #[pin]
///     work: Work<Greeting>,
/// }
///
/// kernel::impl_has_work! {
///     impl HasWork<Self> for Greeting { self.work }
/// }
///
/// impl WorkItem for Greeting {
///     type Pointer = Arc<Greeting>;
///
///     fn run(_this: Arc<Greeting>) {
///         pr_info!("hello\n");
///     }
/// }
///
/// let queue = Queue::ordered(c"example")?;
/// let greeting = Arc::pin_init(
///     pin_init!(Greeting { work <- new_work!("Greeting::work") }),
///     GFP_KERNEL,
/// )?;
/// // Fails only if the work is already queued.
/// let _ = queue.enqueue(greeting);
/// queue.drain();
/// # Ok::<(), Error>(())
/// ```
///
/// # Invariants
///
/// The pointer is a valid work queue that only this value destroys.
pub struct Queue(NonNull<bindings::workqueue_struct>);

// SAFETY: Any task may queue work on a work queue and destroy it.
unsafe impl Send for Queue {}
// SAFETY: Several tasks may use a work queue at the same time.
unsafe impl Sync for Queue {}

impl Queue {
    /// Creates an unbound queue that runs at most `most` work items at a time. Each may sleep.
    /// `ENOMEM` on failure. May sleep.
    pub fn new(name: &'static CStr, most: u16) -> Result<Self> {
        Self::create(name, bindings::wq_flags_WQ_UNBOUND, most)
    }

    /// Creates a queue that runs one work item at a time, in the order in which they were queued.
    /// `ENOMEM` on failure. May sleep.
    pub fn ordered(name: &'static CStr) -> Result<Self> {
        Self::create(
            name,
            bindings::wq_flags_WQ_UNBOUND | bindings::wq_flags___WQ_ORDERED,
            1,
        )
    }

    /// Waits until all work is done, including work that this work queues. May sleep.
    pub fn drain(&self) {
        // SAFETY: By the type invariant the queue is valid.
        unsafe { bindings::drain_workqueue(self.0.as_ptr()) };
    }

    fn create(name: &'static CStr, flags: u32, most: u16) -> Result<Self> {
        fault::point("making a work queue")?;
        // SAFETY: The format takes one string, and `name` is a C string.
        let queue = unsafe {
            bindings::alloc_workqueue_noprof(
                c"%s".as_char_ptr(),
                flags,
                most.into(),
                name.as_char_ptr(),
            )
        };
        // INVARIANT: `alloc_workqueue()` has created the queue for this value.
        NonNull::new(queue).map(Self).ok_or(ENOMEM)
    }
}

impl Deref for Queue {
    type Target = workqueue::Queue;

    fn deref(&self) -> &workqueue::Queue {
        // SAFETY: By the type invariant the queue is valid for as long as `self` is borrowed.
        unsafe { workqueue::Queue::from_raw(self.0.as_ptr()) }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the queue is valid, and nothing else destroys it.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) };
    }
}
