// SPDX-License-Identifier: GPL-2.0

//! The door of sysfs: `/sys/bus/pci/devices/SBDF/xen/`.

use kernel::{
    fmt::Write,
    pci::Device,
    prelude::*,
    str::Formatter, //
};

use xen::{
    gsi::{
        Polarity,
        Trigger, //
    },
    pci::DeviceExt,
    sysfs::{
        Attribute,
        Group,
        List,
        RawAttribute, //
    },
    trace::{
        self,
        Door, //
    }, //
};

use crate::{
    state,
    table::{
        Facts,
        Msix, //
    }, //
};

static GSI: RawAttribute = RawAttribute::new::<Gsi>();
static IRQ: RawAttribute = RawAttribute::new::<Irq>();
static INTX: RawAttribute = RawAttribute::new::<Intx>();
static MSIX: RawAttribute = RawAttribute::new::<MsixHold>();
static FILES: List<RawAttribute, 4> = List::new([&GSI, &IRQ, &INTX, &MSIX]);

/// The directory of a function.
pub(crate) static DIRECTORY: Group<RawAttribute> = Group::new(c"xen", &FILES);

fn facts(dev: &Device) -> Result<Facts> {
    let sbdf = dev.sbdf()?;
    state::with(|state| state.facts(sbdf))
}

fn traced(dev: &Device, value: Result<u32>) -> Result<u32> {
    trace::lookup(Door::Sysfs, dev.sbdf()?, value);
    value
}

struct Gsi;

impl Attribute for Gsi {
    const NAME: &'static CStr = c"gsi";

    fn show(dev: &Device, out: &mut Formatter<'_>) -> Result {
        let gsi = traced(dev, facts(dev).and_then(|facts| Ok(facts.route?.gsi)))?;
        Ok(out.write_fmt(fmt!("{gsi}\n"))?)
    }
}

struct Irq;

impl Attribute for Irq {
    const NAME: &'static CStr = c"irq";

    fn show(dev: &Device, out: &mut Formatter<'_>) -> Result {
        let irq = facts(dev).and_then(|facts| {
            facts.route?;
            facts.irq.ok_or(ENOENT)
        });
        let irq = traced(dev, irq)?;
        Ok(out.write_fmt(fmt!("{irq}\n"))?)
    }
}

struct Intx;

impl Attribute for Intx {
    const NAME: &'static CStr = c"intx";

    fn show(dev: &Device, out: &mut Formatter<'_>) -> Result {
        let facts = facts(dev)?;
        let route = facts.route?;
        let pin = facts.pin.ok_or(ENOENT)?.letter();
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
}

struct MsixHold;

impl Attribute for MsixHold {
    const NAME: &'static CStr = c"msix";

    fn show(dev: &Device, out: &mut Formatter<'_>) -> Result {
        let facts = facts(dev)?;
        facts.table.ok_or(ENOENT)?;
        let state = match facts.msix {
            Msix::Free => "free",
            Msix::Held => "held",
            Msix::Refused => "refused",
        };
        Ok(out.write_fmt(fmt!("{state}\n"))?)
    }
}
