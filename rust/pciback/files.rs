// SPDX-License-Identifier: GPL-2.0

//! The files that libxl and administrators know, in `/sys/bus/pci/drivers/pciback/`, and what each
//! function says of itself in `/sys/bus/pci/devices/SBDF/pciback/`.

use kernel::{
    fmt::Write,
    pci,
    prelude::*,
    str::Formatter,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

use xen::{
    driver_files::{
        File,
        RawFile,
        Text, //
    },
    pci::DeviceExt,
    sysfs::{
        Attribute,
        Files,
        Group,
        List,
        RawAttribute, //
    },
};

use crate::{
    device::Device,
    life::State,
    quirks::Quirk,
    slots::Pattern,
    state, //
};

static NEW_SLOT: RawFile = RawFile::new::<NewSlot>();
static REMOVE_SLOT: RawFile = RawFile::new::<RemoveSlot>();
static SLOTS: RawFile = RawFile::new::<SlotList>();
static DO_FLR: RawFile = RawFile::new::<DoFlr>();
static PERMISSIVE: RawFile = RawFile::new::<Permissive>();
static INTERRUPT_CONTROL: RawFile = RawFile::new::<InterruptControl>();
static QUIRKS: RawFile = RawFile::new::<Quirks>();
static IRQ_HANDLERS: RawFile = RawFile::new::<IrqHandlers>();
static IRQ_HANDLER_STATE: RawFile = RawFile::new::<IrqHandlerState>();
static LIST: List<RawFile, 9> = List::new([
    &NEW_SLOT,
    &REMOVE_SLOT,
    &SLOTS,
    &DO_FLR,
    &PERMISSIVE,
    &INTERRUPT_CONTROL,
    &QUIRKS,
    &IRQ_HANDLERS,
    &IRQ_HANDLER_STATE,
]);
static GROUP: Group<RawFile> = Group::of_files(&LIST);
/// Those of the driver.
pub(crate) static FILES: Files<RawFile> = Files::new(&GROUP);

static STATE: RawAttribute = RawAttribute::new::<StateOf>();
static RESET: RawAttribute = RawAttribute::new::<ResetOf>();
static LIST_OF_DEVICE: List<RawAttribute, 2> = List::new([&STATE, &RESET]);
static GROUP_OF_DEVICE: Group<RawAttribute> = Group::new(c"pciback", &LIST_OF_DEVICE);
/// Those of each function.
pub(crate) static OF_DEVICE: Files<RawAttribute> = Files::new(&GROUP_OF_DEVICE);

fn text(request: &[u8]) -> Result<&str> {
    core::str::from_utf8(request).map_err(|_| EINVAL)
}

fn pattern(request: &[u8]) -> Result<Pattern> {
    Pattern::parse(text(request)?).ok_or(EINVAL)
}

/// The function that a request names; `ENODEV` if the driver does not have it.
fn device(request: &[u8]) -> Result<Arc<Device>> {
    state::device(pattern(request)?.function().ok_or(EINVAL)?)
}

/// Writes a line for each function that `wanted` picks.
fn names(out: &mut Text, wanted: impl Fn(&Device) -> bool) -> Result {
    for device in state::with(|state| state.all())? {
        if wanted(&device) {
            out.write_fmt(fmt!("{}\n", device.sbdf))?;
        }
    }
    Ok(())
}

struct NewSlot;

impl File for NewSlot {
    const NAME: &'static CStr = c"new_slot";
    const MODE: u16 = 0o200;

    fn store(request: &[u8]) -> Result {
        let pattern = pattern(request)?;
        state::with(|state| state.slots.lock().add(&pattern))
    }
}

struct RemoveSlot;

impl File for RemoveSlot {
    const NAME: &'static CStr = c"remove_slot";
    const MODE: u16 = 0o200;

    fn store(request: &[u8]) -> Result {
        let pattern = pattern(request)?;
        state::with(|state| state.slots.lock().remove(&pattern))
    }
}

struct SlotList;

impl File for SlotList {
    const NAME: &'static CStr = c"slots";
    const MODE: u16 = 0o444;

    fn show(out: &mut Text) -> Result {
        state::with(|state| {
            for sbdf in state.slots.lock().iter() {
                out.write_fmt(fmt!("{sbdf}\n"))?;
            }
            Ok(())
        })
    }
}

struct DoFlr;

impl File for DoFlr {
    const NAME: &'static CStr = c"do_flr";
    const MODE: u16 = 0o200;

    fn store(request: &[u8]) -> Result {
        let function = pattern(request)?.function().ok_or(EINVAL)?;
        state::device_probed(function)?.flr()
    }
}

struct Permissive;

impl File for Permissive {
    const NAME: &'static CStr = c"permissive";
    const MODE: u16 = 0o644;

    fn show(out: &mut Text) -> Result {
        names(out, |device| device.permissive.load(Relaxed))
    }

    fn store(request: &[u8]) -> Result {
        device(request)?.permissive.store(true, Relaxed);
        Ok(())
    }
}

struct InterruptControl;

impl File for InterruptControl {
    const NAME: &'static CStr = c"allow_interrupt_control";
    const MODE: u16 = 0o644;

    fn show(out: &mut Text) -> Result {
        names(out, |device| device.interrupt_control.load(Relaxed))
    }

    fn store(request: &[u8]) -> Result {
        device(request)?.interrupt_control.store(true, Relaxed);
        Ok(())
    }
}

struct Quirks;

impl File for Quirks {
    const NAME: &'static CStr = c"quirks";
    const MODE: u16 = 0o644;

    fn show(out: &mut Text) -> Result {
        for device in state::with(|state| state.all())? {
            let (sbdf, ids) = (device.sbdf, device.dev.ids());
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
            for quirk in device.quirks.lock().iter() {
                out.write_fmt(fmt!("\t\t{quirk}\n"))?;
            }
        }
        Ok(())
    }

    fn store(request: &[u8]) -> Result {
        let (sbdf, quirk) = Quirk::parse(text(request)?).ok_or(EINVAL)?;
        let device = state::device(sbdf)?;
        let mut quirks = device.quirks.lock();
        quirks.reserve(1, GFP_KERNEL)?;
        // At most one for each register.
        quirks.retain(|other| !quirk.replaces(other));
        Ok(quirks.push(quirk, GFP_KERNEL)?)
    }
}

/// Handlers in dom0 would take interrupts of PV guests: there are none.
struct IrqHandlers;

impl File for IrqHandlers {
    const NAME: &'static CStr = c"irq_handlers";
    const MODE: u16 = 0o444;

    fn show(out: &mut Text) -> Result {
        for device in state::with(|state| state.all())? {
            out.write_fmt(fmt!("{}:off:not acking:0\n", device.sbdf))?;
        }
        Ok(())
    }
}

struct IrqHandlerState;

impl File for IrqHandlerState {
    const NAME: &'static CStr = c"irq_handler_state";
    const MODE: u16 = 0o200;

    fn store(request: &[u8]) -> Result {
        // Off it is, and off it stays.
        match device(request) {
            Err(e) if e == ENODEV => Err(ENOENT),
            result => result.map(|_| ()),
        }
    }
}

fn device_of(dev: &pci::Device) -> Result<Arc<Device>> {
    state::device(dev.sbdf()?)
}

struct StateOf;

impl Attribute for StateOf {
    const NAME: &'static CStr = c"state";

    fn show(dev: &pci::Device, out: &mut Formatter<'_>) -> Result {
        let name = match device_of(dev)?.state() {
            State::Clean => "clean",
            State::Touched => "touched",
            State::Returned => "returned",
            State::Assigned(domain) => return Ok(out.write_fmt(fmt!("assigned {domain}\n"))?),
            State::Broken => "broken",
        };
        Ok(out.write_fmt(fmt!("{name}\n"))?)
    }
}

struct ResetOf;

impl Attribute for ResetOf {
    const NAME: &'static CStr = c"reset";

    fn show(dev: &pci::Device, out: &mut Formatter<'_>) -> Result {
        Ok(match dev.reset_method() {
            Some(method) => out.write_fmt(fmt!("{method}\n")),
            None => out.write_fmt(fmt!("none\n")),
        }?)
    }
}
