// SPDX-License-Identifier: GPL-2.0

//! Asks the kernel module.

use std::{
    io,
    mem::offset_of, //
};

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

/// The kernel module's device.
pub struct Device(ioctl::Device);

impl Device {
    /// Opens the device.
    pub fn open() -> Result<Self, Error> {
        ioctl::Device::open().map(Self).map_err(Error::Open)
    }

    /// Issues a call that fills an array, whose elements are of `size` words, after `head`. Word
    /// `count` of the head says how many there are. Returns the words of the array.
    fn array(&self, call: u32, head: &[u32], count: usize, size: usize) -> io::Result<Vec<u32>> {
        let mut room = 64;
        loop {
            let mut words = head.to_vec();
            words.resize(head.len() + room * size, 0);
            let result = self.0.call(call, &mut words);
            let count = words[count] as usize;
            match result {
                Ok(()) => {
                    words.truncate(head.len() + count * size);
                    return Ok(words.split_off(head.len()));
                }
                // Some more: functions may come before the next call.
                Err(e) if e.raw_os_error() == Some(libc::ENOSPC) && count > room => {
                    room = count.saturating_add(16);
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// The addresses of functions.
    fn list(&self, wanted: Wanted) -> Result<Vec<Sbdf>, Error> {
        const COUNT: usize = offset_of!(uapi::List, count) / size_of::<u32>();
        let head = wanted.request().to_words();
        let words = self.array(uapi::GET_LIST, &head, COUNT, 1);
        let words = words.map_err(|e| wanted.none(e))?;
        Ok(words.into_iter().map(Sbdf::from_u32).collect())
    }

    /// The memory that firmware reserved for a function.
    pub fn reserved(&self, sbdf: Sbdf) -> io::Result<Vec<uapi::Region>> {
        const COUNT: usize = offset_of!(uapi::Reserved, count) / size_of::<u32>();
        const SIZE: usize = size_of::<uapi::Region>() / size_of::<u32>();
        let request = uapi::Reserved {
            sbdf: sbdf.to_u32(),
            ..Default::default()
        };
        let words = self.array(uapi::GET_RESERVED, &request.to_words(), COUNT, SIZE)?;
        let number = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        let regions = words.chunks_exact(SIZE).filter_map(|words| match *words {
            [a, b, c, d] => Some(uapi::Region {
                start: number(a, b),
                size: number(c, d),
            }),
            _ => None,
        });
        Ok(regions.collect())
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
