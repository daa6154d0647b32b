// SPDX-License-Identifier: GPL-2.0

//! `pcidev`: shows what a Xen PVH dom0 knows of its PCI functions.
//!
//! * [`sbdf`], [`args`]: what the user asks.
//! * [`device`]: asks the kernel module; [`sysfs`], [`names`]: ask the rest of the system.
//! * [`function`]: what is known of a function; [`table`], [`watch`]: ways to show it.

mod args;
mod device;
mod error;
mod function;
#[path = "../../../rust/xen/user/ioctl.rs"]
#[allow(unsafe_code, reason = "the one call that a program cannot make safely")]
mod ioctl;
mod names;
mod sbdf;
mod sysfs;
mod table;
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
use error::Error;
use function::Function;

fn functions(wanted: Wanted) -> Result<Vec<Function>, Error> {
    let device = Device::open()?;
    let names = names::Names::load();
    device.functions(wanted, &names)
}

fn write_json(value: &impl serde::Serialize, out: &mut impl Write) -> Result<(), Error> {
    serde_json::to_writer_pretty(&mut *out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

fn run(args: &Args, out: &mut impl Write) -> Result<(), Error> {
    let wanted = match args.command.as_ref().unwrap_or(&Command::List) {
        Command::List => Wanted::All,
        Command::Gsi { gsi } => Wanted::Gsi(*gsi),
        Command::Irq { irq } => Wanted::Irq(*irq),
        Command::Show { sbdf } => {
            let function = Device::open()?.function(*sbdf, &names::Names::load())?;
            return if args.json {
                write_json(&function, out)
            } else {
                Ok(writeln!(out, "{}", table::one(&function))?)
            };
        }
        Command::Watch => return watch::run(args.json, out),
    };
    let functions = functions(wanted)?;
    if args.json {
        write_json(&functions, out)
    } else {
        Ok(writeln!(out, "{}", table::many(&functions))?)
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut out = io::stdout().lock();
    match run(&args, &mut out).and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough: `pcidev | head`.
        Err(Error::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            // Where this cannot be written there is nobody left to tell.
            let _ = writeln!(io::stderr(), "pcidev: {e}");
            ExitCode::FAILURE
        }
    }
}
