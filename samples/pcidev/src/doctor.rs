// SPDX-License-Identifier: GPL-2.0

//! `pcidev doctor`: checks whether guests can use each function, and explains each failure.
//!
//! * [`gather`] collects the [`facts`], with the parsers [`config`] and [`xen`], and what dom0
//!   [`uses`].
//! * [`system`], [`function`] and [`guest`] derive findings from the facts; those of a function by
//!   the rules in [`owner`], [`interrupts`], [`device`] and [`graphics`]. They do not access the
//!   system.
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
mod guest;
mod igd;
mod interrupts;
mod owner;
mod patient;
mod reach;
mod report;
mod system;
mod uses;
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

use std::{
    convert::Infallible,
    path::Path,
    str::FromStr, //
};

use crate::{
    device::Device,
    error::Error,
    names::Names,
    sbdf::Sbdf, //
};

/// What is asked about: a function, or a guest by its name or number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A function.
    Function(Sbdf),
    /// A guest.
    Guest(String),
}

impl FromStr for Subject {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text
            .parse()
            .map_or_else(|_| Self::Guest(text.to_owned()), Self::Function))
    }
}

fn facts(functions: &[Sbdf], guests: &[String]) -> Result<facts::Facts, Error> {
    let device = Device::open().ok();
    let system = gather::System {
        root: Path::new("/"),
        run: &gather::run,
        reserved: &|sbdf| device.as_ref()?.reserved(sbdf).ok(),
    };
    let facts = system
        .facts(&Names::load(), guests)
        .map_err(Error::NoGuest)?;
    let missing = |&&sbdf: &&Sbdf| facts.functions.iter().all(|f| f.sbdf != sbdf);
    if let Some(&sbdf) = functions.iter().find(missing) {
        return Err(Error::NoFunction(sbdf));
    }
    Ok(facts)
}

/// Examines this system.
pub fn examine(wanted: &[Subject], ignored: &[Code]) -> Result<Report, Error> {
    let (mut functions, mut guests) = (Vec::new(), Vec::new());
    for subject in wanted {
        match subject {
            Subject::Function(sbdf) => functions.push(*sbdf),
            Subject::Guest(name) => guests.push(name.clone()),
        }
    }
    Ok(Report::new(
        &facts(&functions, &guests)?,
        &functions,
        ignored,
    ))
}

/// Finds out what each function belongs together with.
pub fn groups(wanted: &[Sbdf]) -> Result<Vec<Group>, Error> {
    let facts = facts(wanted, &[])?;
    if facts.privileged {
        Ok(groups::all(&facts, wanted))
    } else {
        Err(Error::NotRoot)
    }
}
