// SPDX-License-Identifier: GPL-2.0

//! Work queues: a thread that does what was queued, one after the other.

use core::{cell::RefCell, ffi::CStr, sync::atomic::Ordering};
use std::{collections::VecDeque, sync::Arc};

use checker::loom::{
    sync::{Condvar, Mutex},
    thread::{self, JoinHandle},
};
use kernel::{
    context,
    error::Result,
    workqueue::{HasWork, WorkItem},
};

#[derive(Default)]
struct Works {
    waiting: VecDeque<Box<dyn FnOnce()>>,
    runs: bool,
    closed: bool,
}

struct Shared {
    works: Mutex<Works>,
    changed: Condvar,
}

// SAFETY: loom runs all its threads on one of the machine's.
unsafe impl Send for Shared {}
// SAFETY: As above.
unsafe impl Sync for Shared {}

/// A work queue. Its thread begins with its first work: loom has four threads only.
pub struct Queue {
    shared: Arc<Shared>,
    thread: RefCell<Option<JoinHandle<()>>>,
}

// SAFETY: As above.
unsafe impl Send for Queue {}
// SAFETY: As above.
unsafe impl Sync for Queue {}

impl Queue {
    pub fn new(_name: &'static CStr, _most: u16) -> Result<Self> {
        Ok(Self {
            shared: Arc::new(Shared {
                works: Mutex::default(),
                changed: Condvar::new(),
            }),
            thread: RefCell::new(None),
        })
    }

    pub fn ordered(name: &'static CStr) -> Result<Self> {
        Self::new(name, 1)
    }

    /// Queues a work, unless it is waiting already.
    pub fn enqueue<T>(&self, item: Arc<T>) -> Result<(), Arc<T>>
    where
        T: WorkItem<Pointer = Arc<T>> + HasWork + 'static,
    {
        if checker::without("work") {
            return Ok(());
        }
        let mut works = self.shared.works.lock().expect("nobody panics");
        if item.work().pending.swap(true, Ordering::Relaxed) {
            return Err(item);
        }
        let shared = self.shared.clone();
        works.waiting.push_back(Box::new(move || {
            if checker::without("again") {
                T::run(item.clone());
                let _works = shared.works.lock().expect("nobody panics");
                item.work().pending.store(false, Ordering::Relaxed);
            } else {
                item.work().pending.store(false, Ordering::Relaxed);
                T::run(item);
            }
        }));
        drop(works);
        self.shared.changed.notify_all();
        let shared = self.shared.clone();
        self.thread
            .borrow_mut()
            .get_or_insert_with(|| thread::spawn(move || run(&shared)));
        Ok(())
    }

    /// Waits until there is nothing left to do.
    pub fn drain(&self) {
        let mut works = self.shared.works.lock().expect("nobody panics");
        while works.runs || !works.waiting.is_empty() {
            works = self.shared.changed.wait(works).expect("nobody panics");
        }
    }
}

fn run(shared: &Shared) {
    let mut works = shared.works.lock().expect("nobody panics");
    loop {
        if let Some(work) = works.waiting.pop_front() {
            works.runs = true;
            drop(works);
            work();
            works = shared.works.lock().expect("nobody panics");
            works.runs = false;
            shared.changed.notify_all();
        } else if works.closed {
            return;
        } else {
            works = shared.changed.wait(works).expect("nobody panics");
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        context::might_sleep();
        let Some(thread) = self.thread.borrow_mut().take() else {
            return;
        };
        self.shared.works.lock().expect("nobody panics").closed = true;
        self.shared.changed.notify_all();
        thread.join().expect("nobody panics");
    }
}
