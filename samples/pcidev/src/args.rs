// SPDX-License-Identifier: GPL-2.0

//! The command line.

use clap::{
    Parser,
    Subcommand, //
};

use crate::sbdf::Sbdf;

/// Shows what a Xen PVH dom0 knows of its PCI functions.
///
/// Needs root and the kernel module xen-pcidev. Without a command it lists all functions.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Args {
    /// Print JSON; of "watch", one object for each line
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// List all functions, one for each line
    List,
    /// Show all that is known of one function
    Show {
        /// The function: [SEGMENT:]BUS:DEVICE.FUNCTION, in hexadecimal
        sbdf: Sbdf,
    },
    /// List the functions whose INTx line has a Linux irq
    Irq {
        /// The irq, as in /proc/interrupts
        irq: u32,
    },
    /// List the functions whose INTx line is a GSI
    Gsi {
        /// The global system interrupt
        gsi: u32,
    },
    /// Print a line for each change, until interrupted
    Watch,
}

const EXAMPLES: &str = "\
Examples:
  pcidev show 04:00.0          one function, as xl names it
  pcidev gsi 20 --json         all functions that share GSI 20
  pcidev watch                 see what xl pci-assignable-add does

Exit status: 0 if all went well, 1 on an error, 2 on a wrong command line.";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{
        error::ErrorKind,
        CommandFactory, //
    };

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
            ("pcidev show 04", ErrorKind::ValueValidation),
            ("pcidev show", ErrorKind::MissingRequiredArgument),
            ("pcidev sing", ErrorKind::InvalidSubcommand),
        ] {
            assert_eq!(parse(line).unwrap_err(), kind, "{line}");
        }
    }
}
