// SPDX-License-Identifier: GPL-2.0

//! The ioctls of `/dev/xen/pcidev`.

use core::ops::Range;

use kernel::{
    prelude::*,
    sync::Arc,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

use xen::{
    hypercall::memory,
    linux::{
        miscdevice::MiscDevice,
        task, //
    },
    pci::Sbdf, //
};

use crate::{
    functions::Functions,
    info::Info,
    request::{
        self,
        Argument,
        Inventory, //
    },
    trace::{
        self,
        Interface, //
    }, //
};

/// The device `/dev/xen/pcidev`.
pub(crate) struct Device(pub(crate) Arc<Functions>);

impl MiscDevice for Device {
    const NAME: &'static CStr = c"xen/pcidev";
    const MODE: u16 = 0o600;

    fn ioctl(&self, cmd: u32, arg: usize) -> Result<isize> {
        task::require_admin()?;
        request::answer(cmd, &mut UserArgument(UserPtr::from_addr(arg)), self)?;
        Ok(0)
    }
}

impl Inventory for Device {
    fn info(&self, sbdf: Sbdf) -> Result<(Info, Option<u16>)> {
        let info = self.0.info(sbdf);
        let gsi = info.and_then(|(info, _)| Ok(info.route?.gsi));
        trace::lookup(Interface::Pcidev, sbdf, gsi);
        info
    }

    fn list(&self, wanted: impl Fn(&Info) -> bool) -> Result<KVec<(Sbdf, Info)>> {
        self.0.list(wanted)
    }

    fn reserved(&self, sbdf: Sbdf) -> Result<KVec<Range<u64>>> {
        self.0.info(sbdf)?;
        memory::reserved_regions(sbdf)
    }
}

/// A structure in the caller's memory.
struct UserArgument(UserPtr);

impl UserArgument {
    fn at(&self, index: usize) -> Result<UserSlice> {
        let offset = index.checked_mul(size_of::<u32>()).ok_or(EFAULT)?;
        let at = self.0.wrapping_byte_add(offset);
        Ok(UserSlice::new(at, size_of::<u32>()))
    }
}

impl Argument for UserArgument {
    fn read(&self, index: usize) -> Result<u32> {
        self.at(index)?.reader().read()
    }

    fn write(&mut self, index: usize, word: u32) -> Result {
        self.at(index)?.writer().write(&word)
    }
}
