// SPDX-License-Identifier: GPL-2.0

//! PCI functions: their addresses, configuration, locks, drivers and resets.

mod assigned;
pub mod bus;
mod bus_lock;
mod claim;
mod command;
mod config;
mod config_file;
mod device;
mod directory;
pub mod driver;
pub mod driver_files;
mod enable;
mod firmware_registers;
mod fixed_file;
mod header;
mod hiding;
mod lock;
mod msix;
mod power;
pub mod reset;
mod reset_result;
mod rom_file;
mod saved;
mod sbdf;
pub mod uevent;
mod vendor;

pub(crate) use self::device::as_raw;
pub use self::{
    bus_lock::{
        can_reset_bus_of,
        BusLock, //
    },
    claim::Claim,
    command::Command,
    config::{
        ConfigSpace,
        Width, //
    },
    config_file::{
        ConfigFile,
        ConfigObserver, //
    },
    device::{
        find,
        has_driver,
        iter,
        on_bus_of,
        DeviceExt,
        Iter, //
    },
    enable::Enabled,
    firmware_registers::{
        is_intel_gpu,
        FirmwareRegisters, //
    },
    fixed_file::{
        FixedFile,
        MissingFile, //
    },
    header::Pin,
    hiding::Hiding,
    lock::{
        DeviceLock,
        InTree,
        Locked,
        TopologyLock, //
    },
    msix::MsixTable,
    power::Awake,
    rom_file::ReadableRom,
    saved::Saved,
    sbdf::{
        hex,
        Sbdf, //
    }, //
};
