// SPDX-License-Identifier: GPL-2.0

//! Errors: each is one line with a remedy.

use std::{
    fmt,
    io,
    path::PathBuf, //
};

use nix::libc;

use crate::{
    ioctl,
    sbdf::Sbdf,
    trial::Signal, //
};

/// An error of the program.
#[derive(Debug)]
pub enum Error {
    /// The device could not be opened.
    Open(io::Error),
    /// A call failed for a reason that does not depend on its arguments.
    Call(io::Error),
    /// There is no such function.
    NoFunction(Sbdf),
    /// Nothing is known of a guest with this name or number.
    NoGuest(String),
    /// Why a trial cannot begin.
    Trial(String),
    /// A trial was interrupted; what has become of the function.
    Interrupted(Signal, String),
    /// Signals cannot be watched.
    Signals(io::Error),
    /// The report could not be written.
    Report(PathBuf, io::Error),
    /// No function is on this GSI.
    NoGsi(u32),
    /// No function is on this irq.
    NoIrq(u32),
    /// Configuration space cannot be read in full.
    NotRoot,
    /// The program cannot listen for kernel events.
    Events(io::Error),
    /// The output could not be written.
    Output(io::Error),
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Self::Output(e)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = ioctl::PATH;
        match self {
            Self::Open(e) | Self::Call(e) => match e.raw_os_error() {
                Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => {
                    write!(
                        f,
                        "{path} does not exist: load the module with 'modprobe xen-pcidev'"
                    )
                }
                Some(libc::EACCES | libc::EPERM) => {
                    write!(f, "only root can use {path}: run this as root in dom0")
                }
                Some(libc::ENOTTY | libc::EINVAL) => write!(
                    f,
                    "{path} does not support this call: load xen-pcidev in the version of pcidev"
                ),
                _ => write!(f, "{path}: {e}"),
            },
            Self::NoFunction(sbdf) => {
                write!(f, "{sbdf}: no such PCI function: see 'pcidev list'")
            }
            Self::NoGuest(name) => write!(
                f,
                "{name}: neither a function (0000:03:00.0), nor a guest that runs or has left \
                 /var/log/xen/qemu-dm-{name}.log (see 'xl list'), nor a file such as guest.cfg"
            ),
            Self::Trial(why) => write!(f, "{why}"),
            Self::Interrupted(signal, end) => write!(f, "interrupted by {signal}: {end}"),
            Self::Signals(e) => write!(f, "cannot watch for signals: {e}"),
            Self::Report(path, e) => {
                write!(f, "{}: {e}: name another file by --output", path.display())
            }
            Self::NoGsi(gsi) => write!(f, "GSI {gsi}: no PCI function uses it: see 'pcidev list'"),
            Self::NoIrq(irq) => write!(
                f,
                "irq {irq}: no PCI function uses it for INTx: see 'pcidev list'"
            ),
            Self::NotRoot => write!(
                f,
                "configuration space cannot be read in full: run this as root"
            ),
            Self::Events(e) => write!(f, "cannot listen for kernel device events: {e}"),
            Self::Output(e) => write!(f, "standard output: {e}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_one_line_with_a_remedy() {
        let open = |errno| Error::Open(io::Error::from_raw_os_error(errno)).to_string();
        assert!(open(libc::ENOENT).contains("modprobe xen-pcidev"));
        assert!(open(libc::EACCES).contains("root"));
        let none = Error::NoFunction(Sbdf::from_u32(0x20)).to_string();
        assert!(none.starts_with("0000:00:04.0: "));
        assert!(!Error::NoIrq(7).to_string().contains('\n'));
    }
}
