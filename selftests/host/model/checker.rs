// SPDX-License-Identifier: GPL-2.0

//! Runs a few threads in every order there is: a scenario is a function that loom calls once for
//! each order.
//!
//! A program of scenarios is told which one to run, and optionally what to leave out (a lock, an
//! order) to see that the checker finds what that costs.

pub use loom;

use std::{
    cell::RefCell,
    env,
    process::ExitCode,
    rc::Rc,
    sync::atomic::{AtomicU64, Ordering},
    sync::OnceLock,
};

use loom::thread::{self, JoinHandle};

/// A scenario, by its name.
pub type Scenario = (&'static str, fn());

static ORDERS: AtomicU64 = AtomicU64::new(0);
static LEFT_OUT: OnceLock<String> = OnceLock::new();

/// Whether `what` is left out in this run.
pub fn without(what: &str) -> bool {
    LEFT_OUT.get().is_some_and(|left_out| left_out == what)
}

/// The order that is being run: a number that no other has.
pub fn order() -> u64 {
    ORDERS.load(Ordering::Relaxed)
}

/// A value that each order begins anew with.
pub struct InOrder<T>(RefCell<Option<(u64, Rc<T>)>>);

impl<T: Default> InOrder<T> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(RefCell::new(None))
    }

    pub fn get(&self) -> Rc<T> {
        let mut current = self.0.borrow_mut();
        match &*current {
            Some((of, value)) if *of == order() => value.clone(),
            _ => {
                let value = Rc::<T>::default();
                *current = Some((order(), value.clone()));
                value
            }
        }
    }
}

/// Begins a thread.
pub fn spawn(f: impl FnOnce() + 'static) -> JoinHandle<()> {
    thread::spawn(f)
}

/// Waits for its end.
pub fn join(thread: JoinHandle<()>) {
    thread.join().expect("nobody panics");
}

/// PROGRAM SCENARIO [LEFT-OUT]; `BOUND` is how often a thread is interrupted at most, where it
/// could have gone on; without it there is no limit. Ends with a panic at the first order that
/// goes wrong.
pub fn main(scenarios: &[&[Scenario]]) -> ExitCode {
    let scenarios = scenarios.concat();
    let mut arguments = env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let _ = LEFT_OUT.set(arguments.next().unwrap_or_default());
    let Some((_, run)) = scenarios.iter().copied().find(|(other, _)| *other == name) else {
        for (name, _) in scenarios {
            println!("{name}");
        }
        return ExitCode::from(2);
    };
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 100_000;
    builder.preemption_bound = env::var("BOUND").ok().and_then(|bound| bound.parse().ok());
    builder.check(move || {
        ORDERS.fetch_add(1, Ordering::Relaxed);
        run()
    });
    println!("{}", order());
    ExitCode::SUCCESS
}
