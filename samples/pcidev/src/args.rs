// SPDX-License-Identifier: GPL-2.0

//! The command line.

use std::path::PathBuf;

use clap::{
    CommandFactory,
    Parser,
    Subcommand, //
};
use clap_complete::Shell;

use crate::{
    doctor::{
        Code,
        Subject, //
    },
    sbdf::Sbdf, //
};

/// Show the PCI functions of a Xen PVH dom0, and find out why one does not work in a guest.
///
/// Must run as root in dom0. "list", "show", "gsi", "irq" and "watch" need the kernel module
/// xen-pcidev. Without a command, pcidev lists all functions.
///
/// SBDF is a function's address, as xl and lspci have it: [SEGMENT:]BUS:DEVICE.FUNCTION, in
/// hexadecimal.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Args {
    /// Print JSON; "watch" prints one object on each line
    #[arg(long, global = true)]
    pub json: bool,

    /// The command
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The command.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// List all functions, one on each line
    List,
    /// Show all properties of one function
    Show {
        /// The function, such as 0000:03:00.0 or 03:00.0
        sbdf: Sbdf,
    },
    /// List the functions using the given Linux IRQ for INTx
    Irq {
        /// The Linux IRQ, as in /proc/interrupts
        irq: u32,
    },
    /// List the functions whose INTx pin is routed to the given GSI
    Gsi {
        /// The global system interrupt
        gsi: u32,
    },
    /// Print a line for each change, until interrupted
    Watch,
    /// Check whether guests can use each function; explain each problem and its remedy
    ///
    /// Checks Xen, the modules and the functions; for a guest also what its device model and
    /// backends say, and its interrupts; for a guest's configuration file, whether xl will accept
    /// its functions. Changes nothing, but makes Xen print lists to its log (xl
    /// debug-keys Q, i, V). Findings about a function affect the exit status if the function is
    /// bound to xen-pciback, assigned to a guest, or named here.
    #[command(after_help = DOCTOR_STATUS)]
    Doctor {
        /// Functions; guests by name or number, running or failed; configuration files of guests.
        /// By default all functions but bridges
        #[arg(value_name = "SBDF|GUEST|FILE")]
        what: Vec<Subject>,
        /// Ignore findings of this kind; can be given several times
        #[arg(long, value_name = "CODE")]
        ignore: Vec<Code>,
    },
    /// Show which functions are reset together, or reach each other without the IOMMU
    ///
    /// Functions that are reset together should be made assignable together. Functions that reach
    /// each other belong to one guest: the IOMMU cannot keep them apart.
    Groups {
        /// The functions to show; by default all but bridges
        sbdf: Vec<Sbdf>,
    },
    /// Test a function: give it to a tiny guest, use it there, and take it back
    ///
    /// The guest is the running kernel with the modules and the firmware that the function needs.
    /// It is destroyed in the end, and the function goes back to the driver that it had, also if
    /// this is interrupted. Refuses a function that dom0 itself uses. Takes a minute or two.
    #[command(after_help = TRY_STATUS)]
    Try {
        /// The function, such as 0000:03:00.0 or 03:00.0
        sbdf: Sbdf,
        /// Take the function even if dom0 uses it: dom0 loses the disk or the network meanwhile
        #[arg(long)]
        force: bool,
        /// The guest's kernel; by default /boot/vmlinuz-RELEASE, of the running one
        #[arg(long, value_name = "FILE")]
        kernel: Option<PathBuf>,
        /// More options of the guest's kernel
        #[arg(
            long,
            value_name = "OPTIONS",
            default_value = "",
            hide_default_value = true
        )]
        cmdline: String,
        /// How long a guest may take, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 180)]
        timeout: u64,
    },
    /// Write one file for a bug report
    ///
    /// It has what the doctor says, versions, the configuration space of the functions, and logs.
    /// Serial numbers, MAC and IP addresses, UUIDs and the name of the host are removed. Says what
    /// is in it before it writes it.
    Report {
        /// Functions, and guests by name or number; by default the functions for guests
        #[arg(value_name = "SBDF|GUEST")]
        what: Vec<Subject>,
        /// The file to write, which must not exist
        #[arg(long, value_name = "FILE", default_value = "pcidev-report.txt")]
        output: PathBuf,
        /// Try each of the named functions first, as "try" does
        #[arg(long = "try")]
        tries: bool,
    },
    /// Print the completion script for a shell
    Completion {
        /// The shell
        shell: Shell,
    },
}

/// The completion script for a shell.
pub fn completion(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "pcidev", &mut script);
    script
}

const DOCTOR_STATUS: &str = "\
Exit status: 0 if all is well, 1 on a failure, a warning or an error, 2 on a wrong command line,
3 if the only findings are inconclusive checks.";

const TRY_STATUS: &str = "\
Exit status: 0 if the function worked in the guest, with MSI-X or MSI and with INTx, and works in
dom0 again; 1 if not, or on an error; 2 on a wrong command line; 128 plus the number of a signal
that interrupted it.";

const EXAMPLES: &str = "\
Examples:
  pcidev show 04:00.0          one function, as xl names it
  pcidev gsi 20 --json         all functions that share GSI 20
  pcidev watch                 follow what xl pci-assignable-add does
  pcidev doctor 04:00.0        can a guest use it?
  pcidev doctor win11          why does its function not work?
  pcidev doctor win11.cfg      will it get its functions?
  pcidev try 04:00.0           give it to a tiny guest, and see
  pcidev report 04:00.0 win11  write all that a bug report needs

Exit status: 0 on success; 1 on an error, if the doctor found a problem, or if what was tried did
not work; 2 on a wrong command line; 3 if checks of the doctor were inconclusive.";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::error::ErrorKind;

    fn parse(line: &str) -> Result<Args, ErrorKind> {
        Args::try_parse_from(line.split(' ')).map_err(|e| e.kind())
    }

    #[test]
    fn definitions_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn commands() {
        assert_eq!(parse("pcidev").unwrap().command, None);
        assert_eq!(
            parse("pcidev gsi 20").unwrap().command,
            Some(Command::Gsi { gsi: 20 })
        );
        assert_eq!(
            parse("pcidev doctor 00:04.0 --ignore no-reset --ignore shared-line")
                .unwrap()
                .command,
            Some(Command::Doctor {
                what: vec![Subject::Function(Sbdf::from_u32(0x20))],
                ignore: vec![Code::NoReset, Code::SharedLine],
            })
        );
        assert_eq!(
            parse("pcidev show 00:04.0").unwrap().command,
            Some(Command::Show {
                sbdf: Sbdf::from_u32(0x20)
            })
        );
    }

    #[test]
    fn json_stands_anywhere() {
        assert!(parse("pcidev --json").unwrap().json);
        assert!(parse("pcidev --json list").unwrap().json);
        assert!(parse("pcidev irq 24 --json").unwrap().json);
    }

    #[test]
    fn wrong_command_lines() {
        for (line, kind) in [
            ("pcidev irq -1", ErrorKind::UnknownArgument),
            ("pcidev irq x", ErrorKind::ValueValidation),
            ("pcidev gsi 4294967296", ErrorKind::ValueValidation),
            ("pcidev doctor --ignore all", ErrorKind::InvalidValue),
            ("pcidev completion", ErrorKind::MissingRequiredArgument),
            ("pcidev show 04", ErrorKind::ValueValidation),
            ("pcidev show", ErrorKind::MissingRequiredArgument),
            ("pcidev sing", ErrorKind::InvalidSubcommand),
        ] {
            assert_eq!(parse(line).unwrap_err(), kind, "{line}");
        }
    }
}
