// SPDX-License-Identifier: GPL-2.0

//! The door of `/dev/xen/pcidev`.

use kernel::{
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice,
        UserSliceReader,
        UserSliceWriter, //
    }, //
};

use xen::{
    miscdevice::MiscDevice,
    task,
    trace::{
        self,
        Door, //
    },
    Sbdf, //
};

use crate::{
    state,
    uapi, //
};

/// `/dev/xen/pcidev`.
pub(crate) struct Device;

impl MiscDevice for Device {
    const NAME: &'static CStr = c"xen/pcidev";
    const MODE: u16 = 0o600;

    fn ioctl(cmd: u32, arg: usize) -> Result<isize> {
        task::require_admin()?;
        match cmd {
            uapi::GET_GSI => info(arg, true)?,
            uapi::GET_INFO => info(arg, false)?,
            uapi::GET_LIST => list(arg)?,
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

/// A structure in user memory, of which `argsz`, its first word, was read.
struct Argument {
    reader: UserSliceReader,
    writer: UserSliceWriter,
    /// Bytes that the caller has room for.
    room: usize,
}

impl Argument {
    /// Opens the structure at `arg`; `EINVAL` unless it has room for `least` bytes.
    fn open(arg: usize, least: usize) -> Result<Self> {
        let at = UserPtr::from_addr(arg);
        let room = UserSlice::new(at, size_of::<u32>())
            .reader()
            .read::<u32>()? as usize;
        if room < least {
            return Err(EINVAL);
        }
        let mut reader = UserSlice::new(at, least).reader();
        reader.skip(size_of::<u32>())?;
        Ok(Self {
            reader,
            writer: UserSlice::new(at, room).writer(),
            room,
        })
    }

    /// The next word.
    fn read(&mut self) -> Result<u32> {
        self.reader.read()
    }

    /// Writes the structure from its start, as far as there is room.
    fn write(&mut self, words: &[u32]) -> Result {
        for word in words.iter().take(self.room / size_of::<u32>()) {
            self.writer.write(word)?;
        }
        Ok(())
    }
}

fn info(arg: usize, needs_gsi: bool) -> Result {
    let mut argument = Argument::open(arg, uapi::Info::SIZE)?;
    let flags = argument.read()?;
    let sbdf = Sbdf::from_u32(argument.read()?);
    if flags != 0 {
        return Err(EINVAL);
    }
    let facts = state::with(|state| state.facts(sbdf));
    let gsi = facts.and_then(|facts| Ok(facts.route?.gsi));
    trace::lookup(Door::Ioctl, sbdf, gsi);
    if needs_gsi {
        gsi?;
    }
    let facts = facts?;
    argument.write(&facts.info(sbdf).to_words())
}

fn list(arg: usize) -> Result {
    let mut argument = Argument::open(arg, uapi::List::SIZE)?;
    let (flags, gsi, irq) = (argument.read()?, argument.read()?, argument.read()?);
    let functions = match flags {
        0 => state::with(|state| state.list(|_| true))?,
        uapi::BY_GSI => {
            state::with(|state| state.list(|facts| facts.route.is_ok_and(|r| r.gsi == gsi)))?
        }
        uapi::BY_IRQ => state::with(|state| state.list(|facts| facts.irq == Some(irq)))?,
        _ => return Err(EINVAL),
    };

    let mut head = uapi::List {
        count: u32::try_from(functions.len())?,
        ..Default::default()
    };
    head.argsz = head
        .count
        .checked_mul(size_of::<u32>() as u32)
        .and_then(|bytes| bytes.checked_add(uapi::List::SIZE as u32))
        .ok_or(EOVERFLOW)?;
    if flags != 0 {
        let (_, facts) = functions.first().ok_or(ENOENT)?;
        if let Ok(route) = facts.route {
            head.flags |= uapi::FLAG_GSI;
            head.gsi = route.gsi;
        }
        if let Some(irq) = functions.iter().find_map(|(_, facts)| facts.irq) {
            head.flags |= uapi::FLAG_IRQ;
            head.irq = irq;
        }
    }
    argument.write(&head.to_words())?;
    if argument.room < head.argsz as usize {
        return Err(ENOSPC);
    }
    for (sbdf, _) in &functions {
        argument.writer.write(&sbdf.to_u32())?;
    }
    Ok(())
}
