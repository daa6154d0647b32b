// SPDX-License-Identifier: GPL-2.0

//! State that call-backs reach, while it is withdrawn: whoever has reached it uses it to the end.

#[path = "../../../rust/xen/global.rs"]
mod global;

mod bindings {
    //! What is bound of C.

    /// A full barrier.
    pub(crate) unsafe fn smp_mb() {
        kernel::sync::barrier::smp_mb();
    }
}

use std::process::ExitCode;

use checker::loom::{cell::Cell, thread};
use kernel::sync::Arc;

use global::Global;

/// What is published. The memory stays, so that what goes wrong can be seen.
struct Data {
    freed: Cell<bool>,
}

// SAFETY: loom runs all its threads on one of the machine's, and watches the cell.
unsafe impl Send for Data {}
// SAFETY: As above.
unsafe impl Sync for Data {}

static PLACE: Global<Data> = Global::new();

fn main() -> ExitCode {
    checker::main(&[
        ("withdrawn-while-used", withdrawn_while_used),
        ("two-readers", two_readers),
    ])
}

fn read() {
    PLACE.with(|data| assert!(!data.freed.get(), "used after it was freed"));
}

fn withdrawn_while_used() {
    with_readers(1);
}

fn two_readers() {
    with_readers(2);
}

fn with_readers(count: usize) {
    let data = Arc::new(Data {
        freed: Cell::new(false),
    });
    let guard = PLACE.publish(data.clone()).expect("nothing is published");
    let readers: Vec<_> = (0..count).map(|_| thread::spawn(read)).collect();
    drop(guard);
    data.freed.set(true);
    for reader in readers {
        reader.join().expect("nobody panics");
    }
    assert!(PLACE.with(|_| ()).is_none());
}
