// SPDX-License-Identifier: GPL-2.0

//! Asks the kernel module.

use std::io;

use nix::libc;

use crate::{
    error::Error,
    function::{
        self,
        Function, //
    },
    ioctl,
    names::Names,
    sbdf::Sbdf,
    uapi, //
};

/// Which functions to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    All,
    /// Those on a GSI.
    Gsi(u32),
    /// Those on a Linux irq.
    Irq(u32),
}

impl Wanted {
    fn request(self) -> uapi::List {
        let (flags, line) = match self {
            Self::All => (0, 0),
            Self::Gsi(gsi) => (uapi::BY_GSI, gsi),
            Self::Irq(irq) => (uapi::BY_IRQ, irq),
        };
        uapi::List {
            flags,
            line,
            ..Default::default()
        }
    }

    fn none(self, e: io::Error) -> Error {
        match (self, e.raw_os_error()) {
            (Self::Gsi(gsi), Some(libc::ENOENT)) => Error::NoGsi(gsi),
            (Self::Irq(irq), Some(libc::ENOENT)) => Error::NoIrq(irq),
            _ => Error::Call(e),
        }
    }
}

/// Words before the functions of a list.
const HEAD: usize = uapi::List::SIZE / size_of::<u32>();
/// The last word of these: [`uapi::List::count`].
const COUNT: usize = HEAD - 1;

/// The kernel module's device.
pub struct Device(ioctl::Device);

impl Device {
    /// Opens the device.
    pub fn open() -> Result<Self, Error> {
        ioctl::Device::open().map(Self).map_err(Error::Open)
    }

    /// The addresses of functions.
    fn list(&self, wanted: Wanted) -> Result<Vec<Sbdf>, Error> {
        let mut room = 64;
        loop {
            let mut words = wanted.request().to_words().to_vec();
            words.resize(HEAD + room, 0);
            let result = self.0.call(uapi::GET_LIST, &mut words);
            let count = words[COUNT] as usize;
            match result {
                Ok(()) => {
                    words.truncate(HEAD + count);
                    return Ok(words.drain(HEAD..).map(Sbdf::from_u32).collect());
                }
                // Some more: functions may come before the next call.
                Err(e) if e.raw_os_error() == Some(libc::ENOSPC) && count > room => {
                    room = count.saturating_add(16);
                }
                Err(e) => return Err(wanted.none(e)),
            }
        }
    }

    /// What is known of a function.
    pub fn function(&self, sbdf: Sbdf, names: &Names) -> Result<Function, Error> {
        let request = uapi::Info {
            sbdf: sbdf.to_u32(),
            ..Default::default()
        };
        let mut words = request.to_words();
        match self.0.call(uapi::GET_INFO, &mut words) {
            Ok(()) => Ok(Function::new(&function::info(words), names)),
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => Err(Error::NoFunction(sbdf)),
            Err(e) => Err(Error::Call(e)),
        }
    }

    /// What is known of functions, in the order of their addresses.
    pub fn functions(&self, wanted: Wanted, names: &Names) -> Result<Vec<Function>, Error> {
        self.list(wanted)?
            .into_iter()
            .map(|sbdf| self.function(sbdf, names))
            // It went away after it was listed.
            .filter(|function| !matches!(function, Err(Error::NoFunction(_))))
            .collect()
    }
}
