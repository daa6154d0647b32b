// SPDX-License-Identifier: GPL-2.0

//! Asks Xen again for the lines that it owes to dom0.
//!
//! A line is owed because a PV guest has it alone, or because dom0 or Xen had no memory. Nobody
//! tells when that has changed: a guest that has lost its function or is dying may still have the
//! line in Xen for a while. So each reason to ask leads to several attempts.

use kernel::{
    new_work,
    prelude::*,
    sync::Arc,
    time::{
        delay::fsleep,
        Delta, //
    },
    workqueue::{
        Work,
        WorkItem, //
    }, //
};

use xen::{
    linux::workqueue::Queue,
    xenbus::watch::Observer, //
};

use crate::lines::Lines;

/// The number of attempts for each reason to ask.
const ATTEMPTS: u32 = 10;
/// The time between two attempts, in milliseconds.
const PAUSE: i64 = 500;

/// The lines that may be owed.
pub(crate) struct Owed {
    attempts: Arc<Attempts>,
    queue: Arc<Queue>,
}

impl Owed {
    /// Asks on `queue`, on which nobody else may be waiting: it sleeps between two attempts.
    /// `ENOMEM` on failure.
    pub(crate) fn new(lines: Arc<Lines>, queue: Arc<Queue>) -> Result<Self> {
        Ok(Self {
            attempts: Arc::pin_init(
                pin_init!(Attempts {
                    lines,
                    work <- new_work!("pcidev::Attempts"),
                }),
                GFP_KERNEL,
            )?,
            queue,
        })
    }

    /// Begins anew to ask for all lines that are owed. Does not sleep.
    pub(crate) fn ask(&self) {
        // Fails only if the work is already queued and has not begun.
        let _ = self.queue.enqueue(self.attempts.clone());
    }
}

/// The work that asks.
#[pin_data]
struct Attempts {
    lines: Arc<Lines>,
    #[pin]
    work: Work<Attempts>,
}

kernel::impl_has_work! {
    impl HasWork<Self> for Attempts { self.work }
}

impl WorkItem for Attempts {
    type Pointer = Arc<Attempts>;

    fn run(this: Arc<Attempts>) {
        for _ in 0..ATTEMPTS {
            if !this.lines.give_back_owed() {
                return;
            }
            fsleep(Delta::from_millis(PAUSE));
        }
    }
}

/// The observer of domains that end.
pub(crate) struct Releases(pub(crate) Arc<Owed>);

impl Observer for Releases {
    const PATH: &'static CStr = c"@releaseDomain";

    fn changed(&self, _path: &CStr) {
        self.0.ask();
    }
}
