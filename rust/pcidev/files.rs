// SPDX-License-Identifier: GPL-2.0

//! The sysfs directory `/sys/bus/pci/devices/SBDF/xen/`.

use kernel::{
    fmt::Write,
    prelude::*,
    str::Formatter,
    sync::Arc, //
};

use xen::{
    gsi::{
        Polarity,
        Trigger, //
    },
    igd::{
        Invalid,
        OpRegion,
        SharedOpRegion, //
    },
    linux::sysfs::{
        self,
        File, //
    }, //
};

use crate::{
    graphics::Guard,
    info::Msix,
    seize::Function,
    trace::{
        self,
        Interface, //
    }, //
};

/// The files in the `xen` directory of a function.
pub(crate) struct Files(pub(crate) Arc<Function>);

impl sysfs::Files for Files {
    const DIRECTORY: &'static CStr = c"xen";
    const FILES: &'static [File<Self>] = &[
        File::new(c"gsi", Self::gsi),
        File::new(c"irq", Self::irq),
        File::new(c"intx", Self::intx),
        File::new(c"msix", Self::msix),
        File::private(c"opregion", Self::opregion),
    ];
}

impl Files {
    fn gsi(&self, out: &mut Formatter<'_>) -> Result {
        self.answer(
            self.0
                .info()
                .route
                .map(|route| route.gsi)
                .map_err(Error::from),
            out,
        )
    }

    fn irq(&self, out: &mut Formatter<'_>) -> Result {
        let info = self.0.info();
        let irq = match info.route {
            Ok(_) => info.irq.ok_or(ENOENT),
            Err(reason) => Err(reason.into()),
        };
        self.answer(irq, out)
    }

    fn answer(&self, value: Result<u32>, out: &mut Formatter<'_>) -> Result {
        trace::lookup(Interface::Sysfs, self.0.sbdf(), value);
        Ok(out.write_fmt(fmt!("{}\n", value?))?)
    }

    fn intx(&self, out: &mut Formatter<'_>) -> Result {
        let info = self.0.info();
        let route = info.route?;
        let pin = info.pin.ok_or(ENOENT)?.letter();
        let trigger = match route.trigger {
            Trigger::Edge => "edge",
            Trigger::Level => "level",
        };
        let polarity = match route.polarity {
            Polarity::High => "high",
            Polarity::Low => "low",
        };
        Ok(out.write_fmt(fmt!("{pin} {trigger} {polarity}\n"))?)
    }

    fn msix(&self, out: &mut Formatter<'_>) -> Result {
        let info = self.0.info();
        info.table.ok_or(ENOENT)?;
        let state = match info.msix {
            Msix::Free => "free",
            Msix::Held => "held",
            Msix::Refused => "refused",
        };
        Ok(out.write_fmt(fmt!("{state}\n"))?)
    }

    /// While guests can have it, what firmware has left is known to the guard alone.
    fn opregion(&self, out: &mut Formatter<'_>) -> Result {
        let address = self.0.info().opregion.ok_or(ENOENT)?;
        self.0
            .with_guard(|guard| match guard.and_then(Guard::opregion) {
                Some(region) => write_opregion(Ok(region), out),
                None => write_opregion(SharedOpRegion::new(address).as_ref(), out),
            })
    }
}

fn write_opregion(region: Result<&SharedOpRegion, &Invalid>, out: &mut Formatter<'_>) -> Result {
    match region {
        Ok(region) => {
            let OpRegion {
                version: (major, minor),
                extended_vbt,
                ..
            } = region.header();
            let vbt = extended_vbt.as_ref().map_or(0, |vbt| vbt.end - vbt.start);
            Ok(out.write_fmt(fmt!("{major}.{minor} {vbt}\n"))?)
        }
        Err(e) => Ok(out.write_fmt(fmt!("invalid: {}\n", e.reason()))?),
    }
}
