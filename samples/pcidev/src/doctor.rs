// SPDX-License-Identifier: GPL-2.0

//! `pcidev doctor`: says what will work of each function, what will not, and why.
//!
//! * [`gather`]: finds out what is the case, with the help of [`config`] and [`xen`]; [`facts`]:
//!   what it found out.
//! * [`system`], and [`function`] about one [`patient`], by the rules in [`owner`], [`interrupts`]
//!   and [`device`]: what follows from that. Nothing of it touches the system.
//! * [`finding`], [`report`]: ways to say it.

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

/// Looks at this system.
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
