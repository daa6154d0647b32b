// SPDX-License-Identifier: GPL-2.0

//! `pcidev doctor`: checks whether guests can use each function, and explains each failure.
//!
//! * [`gather`] collects the [`facts`], with the parsers [`config`] and [`xen`].
//! * [`system`] and [`function`] derive findings from the facts, by the rules in [`owner`],
//!   [`interrupts`] and [`device`]. They do not access the system.
//! * [`finding`] and [`report`] present them.

mod config;
mod device;
mod facts;
mod finding;
mod function;
mod gather;
mod interrupts;
mod owner;
mod patient;
mod report;
mod system;
mod xen;

#[cfg(test)]
mod tests;

pub use finding::Code;
pub use report::{
    Report,
    Verdict, //
};

use std::path::Path;

use crate::{
    error::Error,
    names::Names,
    sbdf::Sbdf, //
};

/// Examines this system.
pub fn examine(wanted: &[Sbdf], ignored: &[Code]) -> Result<Report, Error> {
    let system = gather::System {
        root: Path::new("/"),
        run: &gather::run,
    };
    let facts = system.facts(&Names::load());
    let missing = |&&sbdf: &&Sbdf| facts.functions.iter().all(|f| f.sbdf != sbdf);
    if let Some(&sbdf) = wanted.iter().find(missing) {
        return Err(Error::NoFunction(sbdf));
    }
    Ok(Report::new(&facts, wanted, ignored))
}
