// SPDX-License-Identifier: GPL-2.0

//! A PCI function, and what the driver core knows of it.

use core::{cell::RefCell, ffi::CStr};
use std::{
    rc::Rc,
    sync::{Arc, Weak},
};

use checker::loom::sync::{Condvar, Mutex, MutexGuard};

use crate::{
    context,
    sync::aref::{ARef, AlwaysRefCounted},
};

/// What the function's registers hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// It decodes its BARs.
    pub command: bool,
    pub bars: bool,
    /// What an owner has left in it; 0 after a reset.
    pub dirt: u16,
    /// Somebody has put it to sleep. It loses its configuration when it wakes up.
    pub asleep: bool,
    /// It does not answer while it is reset.
    pub in_reset: bool,
    /// Whether its last reset was one of the bus; `None` when Xen was told of it.
    pub by_bus: Option<bool>,
    /// Resets do it no good.
    pub sick: bool,
    pub present: bool,
    /// Xen has assigned it to a guest.
    pub in_xen: bool,
    /// Its guest is destroyed when Xen was asked so often; 0: nobody destroys it.
    pub destroyed_after: u32,
    /// It may do DMA.
    pub dma: bool,
    /// So it could once.
    pub had_dma: bool,
    /// It sends messages.
    pub messages: bool,
    /// How many of them are mapped to a PV guest.
    pub pirqs: u16,
    /// It sends no INTx.
    pub intx_off: bool,
    /// A toolstack has taken its line from a PV guest.
    pub line_taken: bool,
    /// Whether Xen maps and unmaps no interrupt of it.
    pub unmappable: bool,
}

impl Registers {
    /// Xen is asked.
    pub fn ask_xen(&mut self) -> bool {
        let is_assigned = self.in_xen;
        self.in_xen &= self.destroyed_after != 1;
        self.destroyed_after = self.destroyed_after.saturating_sub(1);
        is_assigned
    }
}

/// A driver's callbacks, for the driver core.
pub trait Driver {
    fn name(&self) -> &'static CStr;
    fn remove(&self, dev: &Device);
    fn reset_prepare(&self, dev: &Device);
    fn reset_done(&self, dev: &Device);
    fn error_detected(&self, dev: &Device);
    fn slot_reset(&self, dev: &Device);
    fn resume(&self, dev: &Device);
}

/// What the driver core knows; it changes under the function's lock.
#[derive(Default)]
pub struct Core {
    pub driver: Option<&'static CStr>,
    pub bound: Option<Rc<dyn Driver>>,
    pub only: Option<&'static CStr>,
    pub assigned: bool,
    /// It was assigned in the middle of a recovery.
    pub assigned_in_recovery: bool,
    /// Its link is being reset after an error.
    pub recovering: bool,
    /// Those who keep it awake.
    users: u32,
    /// Whether it decoded its BARs, to be put back: the PCI core has one place for that.
    saved: Option<bool>,
}

/// A lock that can be tried: loom's own waits then, too.
#[derive(Default)]
struct Held {
    is_held: Mutex<bool>,
    free: Condvar,
}

impl Held {
    fn lock(&self) -> HeldGuard<'_> {
        let mut is_held = self.is_held.lock().expect("nobody panics");
        while *is_held {
            is_held = self.free.wait(is_held).expect("nobody panics");
        }
        *is_held = true;
        HeldGuard(self)
    }

    fn try_lock(&self) -> Option<HeldGuard<'_>> {
        let mut is_held = self.is_held.lock().expect("nobody panics");
        (!core::mem::replace(&mut *is_held, true)).then(|| HeldGuard(self))
    }
}

/// The lock, held until this is dropped.
pub struct HeldGuard<'a>(&'a Held);

impl Drop for HeldGuard<'_> {
    fn drop(&mut self) {
        *self.0.is_held.lock().expect("nobody panics") = false;
        self.0.free.notify_all();
    }
}

/// The lock of a function, held until this is dropped.
#[allow(dead_code)]
pub enum DeviceGuard<'a> {
    Mutex(MutexGuard<'a, ()>),
    Held(HeldGuard<'a>),
}

/// A PCI function.
pub struct Device {
    me: Weak<Device>,
    /// On bus 0 it has a reset of its own, elsewhere it is reset with its bus.
    pub bus: u8,
    pub devfn: u8,
    lock: Mutex<()>,
    held: Held,
    registers: Mutex<Registers>,
    core: RefCell<Core>,
}

// SAFETY: loom runs all its threads on one of the machine's.
unsafe impl Send for Device {}
// SAFETY: As above.
unsafe impl Sync for Device {}

impl AlwaysRefCounted for Device {
    fn reference(&self) -> ARef<Self> {
        ARef::new(self.me.upgrade().expect("there is a reference"))
    }
}

/// Who has made a function.
#[derive(PartialEq)]
pub struct Vendor(u16);

impl Vendor {
    pub const INTEL: Self = Self(0x8086);
}

impl Device {
    /// That of an e1000e, whatever the scenario.
    pub fn vendor_id(&self) -> Vendor {
        Vendor::INTEL
    }

    /// As [`Device::vendor_id`].
    pub fn device_id(&self) -> u16 {
        0x10d3
    }

    /// A function that its firmware has set up.
    pub fn plug(devfn: u8) -> ARef<Self> {
        Self::plug_behind(0, devfn)
    }

    /// One on that bus.
    pub fn plug_behind(bus: u8, devfn: u8) -> ARef<Self> {
        ARef::new(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            bus,
            devfn,
            lock: Mutex::new(()),
            held: Held::default(),
            registers: Mutex::new(Registers {
                command: true,
                bars: true,
                dirt: 0,
                asleep: false,
                in_reset: false,
                by_bus: None,
                sick: false,
                present: true,
                in_xen: false,
                destroyed_after: 0,
                dma: false,
                had_dma: false,
                messages: false,
                pirqs: 0,
                intx_off: false,
                line_taken: false,
                unmappable: false,
            }),
            core: RefCell::default(),
        }))
    }

    /// The function's lock.
    pub fn device_lock(&self) -> Option<DeviceGuard<'_>> {
        context::might_sleep();
        (!checker::without("device-lock")).then(|| match self.bus {
            0 => DeviceGuard::Mutex(self.lock.lock().expect("nobody panics")),
            _ => DeviceGuard::Held(self.held.lock()),
        })
    }

    /// The function's lock, if nobody has it.
    pub fn device_try_lock(&self) -> Option<DeviceGuard<'_>> {
        self.held.try_lock().map(DeviceGuard::Held)
    }

    /// A guest finds no trace of others in it, and leaves its own.
    pub fn use_by(&self, guest: u16) {
        self.registers(|registers| {
            assert!(
                registers.dirt == 0 || registers.dirt == guest,
                "a used function was handed on"
            );
            assert!(!registers.asleep, "handed over in its sleep");
            registers.dirt = guest;
            registers.command = true;
        });
    }

    /// A reset. What was there is gone, and the function does not answer.
    pub fn begin_reset(&self, by_bus: bool) {
        self.save();
        self.registers(|registers| {
            assert!(!registers.asleep, "reset in its sleep");
            registers.dma = false;
            registers.messages = false;
            registers.intx_off = false;
            registers.in_reset = true;
            registers.by_bus = Some(by_bus);
            registers.command = false;
            registers.bars = false;
            registers.dirt = 0;
        });
    }

    /// The function answers again, as the PCI core has restored it.
    pub fn end_reset(&self) {
        self.registers(|registers| {
            registers.in_reset = false;
            registers.bars = true;
        });
        self.restore();
    }

    /// Reads or changes registers. Every access is one that others can come before or after.
    pub fn registers<R>(&self, f: impl FnOnce(&mut Registers) -> R) -> R {
        f(&mut self.registers.lock().expect("nobody panics"))
    }

    /// Keeps it awake; what was saved when it fell asleep is put back.
    pub fn wake(&self) {
        self.core(|core| core.users += 1);
        self.restore();
    }

    /// The end of [`Self::wake`].
    pub fn rest(&self) {
        self.core(|core| core.users -= 1);
    }

    /// It falls asleep, unless somebody keeps it awake.
    pub fn doze(&self) {
        self.registers(|registers| {
            self.core(|core| {
                if core.users == 0 {
                    core.saved = Some(registers.command);
                }
            });
        });
    }

    /// Saves what [`Self::restore`] puts back.
    pub fn save(&self) {
        self.registers(|registers| self.core(|core| core.saved = Some(registers.command)));
    }

    /// Puts back what was saved, once.
    pub fn restore(&self) {
        self.registers(|registers| {
            if let Some(command) = self.core(|core| core.saved.take()) {
                registers.command = command;
            }
        });
    }

    /// What the driver core knows.
    pub fn core<R>(&self, f: impl FnOnce(&mut Core) -> R) -> R {
        f(&mut self.core.borrow_mut())
    }

    /// The driver that has it.
    pub fn driver(&self) -> Option<Rc<dyn Driver>> {
        self.core(|core| core.bound.clone())
    }
}
