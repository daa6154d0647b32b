// SPDX-License-Identifier: GPL-2.0

//! The command line.

use clap::{
    CommandFactory,
    Parser,
    Subcommand, //
};
use clap_complete::Shell;

use crate::{
    doctor::Code,
    sbdf::Sbdf, //
};

/// Shows what a Xen PVH dom0 knows of its PCI functions.
///
/// Needs root, and the kernel module xen-pcidev for all but "doctor". Without a command it lists
/// all functions.
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
    /// Say what will work of each function, what will not, why, and what to do about it
    ///
    /// Looks at Xen, the modules and the functions. Has Xen write the list of its functions to its
    /// log (xl debug-keys Q), and changes nothing else. Findings about a function count for the
    /// exit status if the function is for guests, or named here.
    #[command(after_help = DOCTOR_STATUS)]
    Doctor {
        /// Only these functions; without any, all but bridges
        sbdf: Vec<Sbdf>,
        /// Leave out a kind of finding; can be given several times
        #[arg(long, value_name = "CODE")]
        ignore: Vec<Code>,
    },
    /// Print the completion of commands and options for a shell
    Completion {
        /// The shell
        shell: Shell,
    },
}

/// What a shell needs to complete a command line.
pub fn completion(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "pcidev", &mut script);
    script
}

const DOCTOR_STATUS: &str = "\
Exit status: 0 if all is well, 1 if there is a warning or something fails, or on an error, 2 on a
wrong command line, 3 if there is neither, but not everything could be told.";

const EXAMPLES: &str = "\
Examples:
  pcidev show 04:00.0          one function, as xl names it
  pcidev gsi 20 --json         all functions that share GSI 20
  pcidev watch                 see what xl pci-assignable-add does
  pcidev doctor 04:00.0        will a guest be able to use it?

Exit status: 0 if all went well, 1 on an error or if the doctor found something, 2 on a wrong
command line, 3 if the doctor could not tell.";

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
                sbdf: vec![Sbdf::from_u32(0x20)],
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
