// SPDX-License-Identifier: GPL-2.0

//! `pcidev`: shows the PCI functions of a Xen PVH dom0.
//!
//! * [`args`] and [`sbdf`] parse the command line.
//! * [`device`] calls the kernel module; [`sysfs`] and [`names`] read the rest of the system.
//! * [`function`] holds the properties of a function; [`table`] and [`watch`] print them.
//! * [`doctor`] checks whether guests can use the functions, [`trial`] lets one use them.
//! * [`bug_report`] writes all of it to a file.

mod args;
mod bug_report;
mod device;
mod doctor;
mod error;
mod function;
#[path = "../../../rust/xen/user/ioctl.rs"]
#[allow(unsafe_code, reason = "the one call that a program cannot make safely")]
mod ioctl;
mod names;
mod sbdf;
mod sysfs;
mod table;
mod tool;
mod trial;
#[path = "../../../rust/uapi/pcidev.rs"]
#[allow(dead_code, reason = "a program uses a part of it")]
mod uapi;
mod watch;

use std::{
    io::{
        self,
        Write, //
    },
    process::ExitCode,
    time::Duration, //
};

use clap::Parser;

use args::{
    Args,
    Command, //
};
use device::{
    Device,
    Wanted, //
};
use doctor::Verdict;
use error::Error;
use function::Function;

fn functions(wanted: Wanted) -> Result<Vec<Function>, Error> {
    let device = Device::open()?;
    let names = names::Names::load();
    device.functions(wanted, &names)
}

fn print(
    json: bool,
    value: &impl serde::Serialize,
    text: impl FnOnce() -> String,
    out: &mut impl Write,
) -> Result<(), Error> {
    if json {
        serde_json::to_writer_pretty(&mut *out, value).map_err(io::Error::from)?;
        Ok(writeln!(out)?)
    } else {
        Ok(writeln!(out, "{}", text())?)
    }
}

/// Runs the command; the verdict is `Well` for all commands but "doctor".
fn run(args: &Args, out: &mut impl Write) -> Result<Verdict, Error> {
    let list = |wanted, out: &mut _| {
        let functions = functions(wanted)?;
        print(args.json, &functions, || table::many(&functions), out)
    };
    match args.command.as_ref().unwrap_or(&Command::List) {
        Command::List => list(Wanted::All, out)?,
        Command::Gsi { gsi } => list(Wanted::Gsi(*gsi), out)?,
        Command::Irq { irq } => list(Wanted::Irq(*irq), out)?,
        Command::Show { sbdf } => {
            let function = Device::open()?.function(*sbdf, &names::Names::load())?;
            print(args.json, &function, || table::one(&function), out)?;
        }
        Command::Watch => watch::run(args.json, out)?,
        Command::Doctor { what, ignore } => {
            let report = doctor::examine(what, ignore)?;
            print(args.json, &report, || report.text(), out)?;
            return Ok(report.verdict());
        }
        Command::Try {
            sbdf,
            force,
            kernel,
            cmdline,
            timeout,
        } => {
            let options = trial::Options {
                sbdf: *sbdf,
                force: *force,
                kernel: kernel.clone(),
                cmdline: cmdline.clone(),
                patience: Duration::from_secs(*timeout),
            };
            let signals = trial::Signals::watch().map_err(Error::Signals)?;
            let trial = trial::run(&options, &signals, &mut |step| tell(&format!("{step} ...")))?;
            print(args.json, &trial, || trial.text(), out)?;
            if !trial.passed() {
                return Ok(Verdict::Findings);
            }
        }
        Command::Report {
            what,
            output,
            tries,
        } => {
            let (functions, guests) = doctor::Subject::split(what);
            let options = bug_report::Options {
                functions,
                guests,
                file: output.clone(),
                tries: tries.then(trial::Options::default),
            };
            bug_report::write(&options, &mut tell)?;
        }
        Command::Groups { sbdf } => {
            let groups = doctor::groups(sbdf)?;
            print(args.json, &groups, || doctor::text(&groups), out)?;
        }
        Command::Completion { shell } => out.write_all(&args::completion(*shell))?,
    }
    Ok(Verdict::Well)
}

/// Tells whoever looks. Nothing depends on it.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The exit status if checks were inconclusive.
const UNKNOWN: u8 = 3;

fn main() -> ExitCode {
    if trial::is_in_guest() {
        trial::in_guest();
    }
    let args = Args::parse();
    let mut out = io::stdout().lock();
    let result = run(&args, &mut out);
    match result.and_then(|verdict| out.flush().map(|()| verdict).map_err(Error::from)) {
        Ok(Verdict::Well) => ExitCode::SUCCESS,
        Ok(Verdict::Findings) => ExitCode::FAILURE,
        Ok(Verdict::Unknown) => ExitCode::from(UNKNOWN),
        // The reader closed the pipe, as in `pcidev | head`.
        Err(Error::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            // There is no other place to report a failure of this.
            let _ = writeln!(io::stderr(), "pcidev: {e}");
            if let Error::Interrupted(signal, _) = e {
                signal.die();
            }
            ExitCode::FAILURE
        }
    }
}
