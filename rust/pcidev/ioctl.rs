// SPDX-License-Identifier: GPL-2.0

//! The door of `/dev/xen/pcidev`.

use kernel::{
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
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
    request::{
        self,
        Known,
        Words, //
    },
    state,
    table::Facts, //
};

/// `/dev/xen/pcidev`.
pub(crate) struct Device;

impl MiscDevice for Device {
    const NAME: &'static CStr = c"xen/pcidev";
    const MODE: u16 = 0o600;

    fn ioctl(cmd: u32, arg: usize) -> Result<isize> {
        task::require_admin()?;
        request::answer(cmd, &mut Argument(UserPtr::from_addr(arg)), &Traced)?;
        Ok(0)
    }
}

/// A structure of words in user memory.
struct Argument(UserPtr);

impl Argument {
    fn at(&self, index: usize) -> Result<UserSlice> {
        let offset = index.checked_mul(size_of::<u32>()).ok_or(EFAULT)?;
        let at = self.0.wrapping_byte_add(offset);
        Ok(UserSlice::new(at, size_of::<u32>()))
    }
}

impl Words for Argument {
    fn read(&self, index: usize) -> Result<u32> {
        self.at(index)?.reader().read()
    }

    fn write(&mut self, index: usize, word: u32) -> Result {
        self.at(index)?.writer().write(&word)
    }
}

/// What is known, and that it was asked for.
struct Traced;

impl Known for Traced {
    fn facts(&self, sbdf: Sbdf) -> Result<Facts> {
        let facts = state::with(|state| state.facts(sbdf));
        let gsi = facts.and_then(|facts| Ok(facts.route?.gsi));
        trace::lookup(Door::Ioctl, sbdf, gsi);
        facts
    }

    fn list(&self, wanted: impl Fn(&Facts) -> bool) -> Result<KVec<(Sbdf, Facts)>> {
        state::with(|state| state.list(wanted))
    }
}
