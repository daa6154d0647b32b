// SPDX-License-Identifier: GPL-2.0

//! `pcidev doctor`: checks whether guests can use each function, and explains each failure.
//!
//! * [`gather`] collects the [`facts`], with the parsers [`config`] and [`xen`].
//! * [`system`] and [`function`] derive findings from the facts, by the rules in [`owner`],
//!   [`interrupts`] and [`device`]. They do not access the system.
//! * [`finding`] and [`report`] present them.
//! * [`reach`] tells which functions a reset or a request reaches; [`groups`] is `pcidev groups`.

mod config;
mod device;
mod facts;
mod finding;
mod function;
mod gather;
mod graphics;
mod groups;
mod igd;
mod interrupts;
mod owner;
mod patient;
mod reach;
mod report;
mod system;
mod xen;

#[cfg(test)]
mod tests;

pub use finding::Code;
pub use groups::{
    text,
    Group, //
};
pub use report::{
    Report,
    Verdict, //
};

use std::path::Path;

use crate::{
    device::Device,
    error::Error,
    names::Names,
    sbdf::Sbdf, //
};

fn facts(wanted: &[Sbdf]) -> Result<facts::Facts, Error> {
    let device = Device::open().ok();
    let system = gather::System {
        root: Path::new("/"),
        run: &gather::run,
        reserved: &|sbdf| device.as_ref()?.reserved(sbdf).ok(),
    };
    let facts = system.facts(&Names::load());
    let missing = |&&sbdf: &&Sbdf| facts.functions.iter().all(|f| f.sbdf != sbdf);
    if let Some(&sbdf) = wanted.iter().find(missing) {
        return Err(Error::NoFunction(sbdf));
    }
    Ok(facts)
}

/// Examines this system.
pub fn examine(wanted: &[Sbdf], ignored: &[Code]) -> Result<Report, Error> {
    Ok(Report::new(&facts(wanted)?, wanted, ignored))
}

/// Finds out what each function belongs together with.
pub fn groups(wanted: &[Sbdf]) -> Result<Vec<Group>, Error> {
    let facts = facts(wanted)?;
    if facts.privileged {
        Ok(groups::all(&facts, wanted))
    } else {
        Err(Error::NotRoot)
    }
}
