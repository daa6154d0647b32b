// SPDX-License-Identifier: GPL-2.0

//! The sysfs files: those of the driver in `/sys/bus/pci/drivers/pciback/`, which libxl and
//! administrators know, and those of each function in `/sys/bus/pci/devices/SBDF/pciback/`.

use kernel::{
    fmt::Write,
    prelude::*,
    str::{
        kstrtobool_bytes,
        Formatter, //
    },
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

use xen::{
    linux::sysfs::{
        self,
        Directory, //
    },
    pci::{
        self,
        driver_files::{
            DriverFile,
            File,
            Text, //
        },
        DeviceExt,
        DeviceLock,
        InTree,
        Locked, //
    }, //
};

use crate::{
    context::PciBack,
    function::Function,
    life::State,
    quirks::Quirk,
    slots::Pattern,
    NAME, //
};

/// The files of the driver.
pub(crate) const OF_DRIVER: &[DriverFile<PciBack>] = &[
    DriverFile::new::<NewSlot>(),
    DriverFile::new::<RemoveSlot>(),
    DriverFile::new::<SlotList>(),
    DriverFile::new::<DoFlr>(),
    DriverFile::new::<Permissive>(),
    DriverFile::new::<InterruptControl>(),
    DriverFile::new::<AllowUnreset>(),
    DriverFile::new::<Quirks>(),
    DriverFile::new::<IrqHandlers>(),
    DriverFile::new::<IrqHandlerState>(),
];

fn text(request: &[u8]) -> Result<&str> {
    core::str::from_utf8(request).map_err(|_| EINVAL)
}

fn pattern(request: &[u8]) -> Result<Pattern> {
    Pattern::parse(text(request)?).ok_or(EINVAL)
}

/// Returns the function that a request names; `ENODEV` if the driver has not seized it.
fn seized(driver: &PciBack, request: &[u8]) -> Result<Arc<Function>> {
    let function = driver
        .functions
        .get(pattern(request)?.function().ok_or(EINVAL)?)?;
    function.is_seized().then_some(function).ok_or(ENODEV)
}

/// Writes the address of each function for which `wanted` is true, one on a line.
fn names(driver: &PciBack, out: &mut Text, wanted: impl Fn(&Function) -> bool) -> Result {
    for function in driver.functions.seized()? {
        if wanted(&function) {
            out.write_fmt(fmt!("{}\n", function.sbdf))?;
        }
    }
    Ok(())
}

struct NewSlot;

impl File<PciBack> for NewSlot {
    const NAME: &'static CStr = c"new_slot";
    const MODE: u16 = 0o200;

    fn store(driver: &PciBack, request: &[u8]) -> Result {
        let pattern = pattern(request)?;
        driver.functions.slots.lock().add(&pattern)?;
        if let Some(dev) = pattern.function().and_then(pci::find) {
            log_other_override(&DeviceLock::new(&dev));
        }
        Ok(())
    }
}

/// Logs why the driver core is not going to offer the function: toolstacks tell only that.
fn log_other_override(dev: &Locked) {
    if dev.has_override() && !dev.has_override_for(NAME) {
        dev_warn!(
            dev,
            "its driver_override names another driver: clear that to bind it to pciback\n"
        );
    }
}

struct RemoveSlot;

impl File<PciBack> for RemoveSlot {
    const NAME: &'static CStr = c"remove_slot";
    const MODE: u16 = 0o200;

    fn store(driver: &PciBack, request: &[u8]) -> Result {
        let pattern = pattern(request)?;
        driver.functions.slots.lock().remove(&pattern)
    }
}

struct SlotList;

impl File<PciBack> for SlotList {
    const NAME: &'static CStr = c"slots";
    const MODE: u16 = 0o444;

    fn show(driver: &PciBack, out: &mut Text) -> Result {
        for sbdf in driver.functions.slots.lock().iter() {
            out.write_fmt(fmt!("{sbdf}\n"))?;
        }
        Ok(())
    }
}

struct DoFlr;

impl File<PciBack> for DoFlr {
    const NAME: &'static CStr = c"do_flr";
    const MODE: u16 = 0o200;

    fn store(driver: &PciBack, request: &[u8]) -> Result {
        let sbdf = pattern(request)?.function().ok_or(EINVAL)?;
        driver.flr(sbdf)
    }
}

struct Permissive;

impl File<PciBack> for Permissive {
    const NAME: &'static CStr = c"permissive";
    const MODE: u16 = 0o644;

    fn show(driver: &PciBack, out: &mut Text) -> Result {
        names(driver, out, |function| function.permissive.load(Relaxed))
    }

    fn store(driver: &PciBack, request: &[u8]) -> Result {
        seized(driver, request)?.permissive.store(true, Relaxed);
        Ok(())
    }
}

struct InterruptControl;

impl File<PciBack> for InterruptControl {
    const NAME: &'static CStr = c"allow_interrupt_control";
    const MODE: u16 = 0o644;

    fn show(driver: &PciBack, out: &mut Text) -> Result {
        names(driver, out, |function| {
            function.interrupt_control.load(Relaxed)
        })
    }

    fn store(driver: &PciBack, request: &[u8]) -> Result {
        seized(driver, request)?
            .interrupt_control
            .store(true, Relaxed);
        Ok(())
    }
}

struct AllowUnreset;

impl File<PciBack> for AllowUnreset {
    const NAME: &'static CStr = c"allow_unreset";
    const MODE: u16 = 0o644;

    fn show(driver: &PciBack, out: &mut Text) -> Result {
        names(driver, out, |function| function.allow_unreset.load(Relaxed))
    }

    fn store(driver: &PciBack, request: &[u8]) -> Result {
        let function = seized(driver, request)?;
        function.allow_unreset.store(true, Relaxed);
        dev_warn!(
            function.dev,
            "the next guest may get it without a reset: allow_unreset was written\n"
        );
        Ok(())
    }
}

struct Quirks;

impl File<PciBack> for Quirks {
    const NAME: &'static CStr = c"quirks";
    const MODE: u16 = 0o644;

    fn show(driver: &PciBack, out: &mut Text) -> Result {
        for function in driver.functions.seized()? {
            let (sbdf, ids) = (function.sbdf, function.dev.ids());
            out.write_fmt(fmt!(
                "{:02x}:{:02x}.{:01x}\n\t{:04x}:{:04x}:{:04x}:{:04x}\n",
                sbdf.bus(),
                sbdf.device(),
                sbdf.function(),
                ids[0],
                ids[1],
                ids[2],
                ids[3]
            ))?;
            for quirk in function.quirks.lock().iter() {
                out.write_fmt(fmt!("\t\t{quirk}\n"))?;
            }
        }
        Ok(())
    }

    fn store(driver: &PciBack, request: &[u8]) -> Result {
        let (sbdf, quirk) = Quirk::parse(text(request)?).ok_or(EINVAL)?;
        let function = driver.functions.get(sbdf)?;
        let mut quirks = function.quirks.lock();
        quirks.reserve(1, GFP_KERNEL)?;
        // Keep at most one quirk for each register.
        quirks.retain(|other| !quirk.replaces(other));
        Ok(quirks.push(quirk, GFP_KERNEL)?)
    }
}

/// The state of interrupt handlers in dom0 for PV guests. There are no such handlers.
struct IrqHandlers;

impl File<PciBack> for IrqHandlers {
    const NAME: &'static CStr = c"irq_handlers";
    const MODE: u16 = 0o444;

    fn show(driver: &PciBack, out: &mut Text) -> Result {
        for function in driver.functions.seized()? {
            out.write_fmt(fmt!("{}:off:not acking:0\n", function.sbdf))?;
        }
        Ok(())
    }
}

struct IrqHandlerState;

impl File<PciBack> for IrqHandlerState {
    const NAME: &'static CStr = c"irq_handler_state";
    const MODE: u16 = 0o200;

    fn store(driver: &PciBack, request: &[u8]) -> Result {
        // There is no handler to switch.
        match seized(driver, request) {
            Err(e) if e == ENODEV => Err(ENOENT),
            result => result.map(|_| ()),
        }
    }
}

/// The files in the `pciback` directory of a function.
pub(crate) struct OfFunction(Arc<Function>);

/// Creates the directory of a function that is being bound. May sleep.
pub(crate) fn add_directory(
    dev: &InTree<'_>,
    function: Arc<Function>,
) -> Result<Directory<OfFunction>> {
    dev.add_directory(OfFunction(function))
}

impl sysfs::Files for OfFunction {
    const DIRECTORY: &'static CStr = c"pciback";
    const FILES: &'static [sysfs::File<Self>] = &[
        sysfs::File::new(c"state", Self::state),
        sysfs::File::new(c"reset", Self::reset),
        sysfs::File::new(c"reset_blocked_by", Self::reset_blocked_by),
        sysfs::File::writable(c"idle_d3", Self::idle_d3, Self::set_idle_d3),
    ];
}

impl OfFunction {
    fn state(&self, out: &mut Formatter<'_>) -> Result {
        let name = match self.0.state() {
            State::Clean | State::Asleep => "clean",
            State::Touched => "touched",
            State::Returned => "returned",
            State::Assigned(domain) => return Ok(out.write_fmt(fmt!("assigned {domain}\n"))?),
            State::Broken | State::Lost(_) => "broken",
        };
        Ok(out.write_fmt(fmt!("{name}\n"))?)
    }

    fn reset(&self, out: &mut Formatter<'_>) -> Result {
        Ok(match self.0.reset_name() {
            Some(name) => out.write_fmt(fmt!("{name}\n")),
            None => out.write_fmt(fmt!("none\n")),
        }?)
    }

    fn reset_blocked_by(&self, out: &mut Formatter<'_>) -> Result {
        for sbdf in self.0.reset_blocked_by() {
            out.write_fmt(fmt!("{sbdf}\n"))?;
        }
        Ok(())
    }

    fn idle_d3(&self, out: &mut Formatter<'_>) -> Result {
        let value = if self.0.is_sleepy() { 'Y' } else { 'N' };
        Ok(out.write_fmt(fmt!("{value}\n"))?)
    }

    fn set_idle_d3(&self, request: &[u8]) -> Result {
        self.0.set_idle_d3(kstrtobool_bytes(request)?);
        Ok(())
    }
}
