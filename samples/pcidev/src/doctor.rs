// SPDX-License-Identifier: GPL-2.0

//! `pcidev doctor`: checks whether guests can use each function, and explains each failure.
//!
//! * [`gather`] collects the [`facts`], with the parsers [`config`], [`guest_config`] and [`xen`],
//!   and what dom0 [`uses`].
//! * [`system`], [`function`] and [`guest`] derive findings from the facts; those of a function by
//!   the rules in [`owner`], [`interrupts`], [`device`] and [`graphics`]; those about memory of
//!   guests are in [`limits`]. They do not access the system.
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
mod guest_config;
mod igd;
mod interrupts;
mod limits;
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

impl Subject {
    /// The functions, and the guests.
    pub fn split(subjects: &[Self]) -> (Vec<Sbdf>, Vec<String>) {
        let (mut functions, mut guests) = (Vec::new(), Vec::new());
        for subject in subjects {
            match subject {
                Self::Function(sbdf) => functions.push(*sbdf),
                Self::Guest(name) => guests.push(name.clone()),
            }
        }
        (functions, guests)
    }
}

fn facts(functions: &[Sbdf], guests: &[String]) -> Result<facts::Facts, Error> {
    let device = Device::open().ok();
    let system = gather::System {
        root: Path::new("/"),
        run: &gather::run,
        reserved: &|sbdf| device.as_ref()?.reserved(sbdf).ok(),
        entries: &|sbdf| {
            let function = device.as_ref()?.function(sbdf, &Names::none());
            Some(function.ok()?.msix_entries)
        },
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
    let (functions, guests) = Subject::split(wanted);
    Ok(Report::new(
        &facts(&functions, &guests)?,
        &functions,
        ignored,
    ))
}

/// What a trial has to know of a function.
pub struct Trialist {
    /// The name.
    pub name: String,
    /// What dom0 itself uses it for, in words.
    pub uses: Vec<String>,
    /// Whether it has an INTx line.
    pub has_line: bool,
    /// What its guest needs besides, as lines of a configuration.
    pub options: Vec<String>,
}

/// Examines a function that is to be tried. Fails if no guest can have it now.
pub fn for_trial(sbdf: Sbdf) -> Result<Trialist, Error> {
    let facts = facts(&[sbdf], &[])?;
    let function = facts.functions.iter().find(|f| f.sbdf == sbdf);
    let function = function.ok_or(Error::NoFunction(sbdf))?;
    let (findings, xen) = system::examine(&facts);
    let Some(xen) = xen else {
        let texts: Vec<_> = findings.into_iter().map(|finding| finding.text).collect();
        return Err(Error::Trial(texts.join("; ")));
    };
    if !facts.privileged {
        return Err(Error::NotRoot);
    }
    let patient = patient::Patient {
        facts: &facts,
        xen,
        function,
    };
    if let Some(guest) = patient.guest() {
        return Err(Error::Trial(format!("{sbdf} is assigned to guest {guest}")));
    }
    if let Some(finding) = function::fatal(&patient) {
        return Err(Error::Trial(format!("{sbdf}: {}", finding.text)));
    }
    let mut uses = function.uses.clone();
    uses.extend(function.boot_display.then(|| "its screen".to_owned()));
    Ok(Trialist {
        name: function.name.clone(),
        uses,
        has_line: patient.pin().is_some() && !patient.has_unrouted_pin(),
        options: graphics::guest_options(function),
    })
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
