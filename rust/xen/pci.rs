// SPDX-License-Identifier: GPL-2.0

//! PCI functions: their addresses, configuration, locks, drivers and resets.

pub mod bus;
mod bus_lock;
mod claim;
mod command;
mod config;
mod config_file;
mod device;
pub mod driver;
pub mod driver_files;
mod enable;
mod header;
mod hiding;
mod lock;
mod msix;
mod power;
pub mod reset;
mod saved;
mod sbdf;
pub mod uevent;
mod vendor;

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
    device::{
        find,
        has_driver,
        iter,
        on_bus_of,
        DeviceExt,
        Iter, //
    },
    enable::Enabled,
    header::Pin,
    lock::{
        DeviceLock,
        InTree,
        Locked,
        TopologyLock, //
    },
    msix::MsixTable,
    power::Awake,
    saved::Saved,
    sbdf::{
        hex,
        Sbdf, //
    }, //
};
pub(crate) use self::{
    config_file::{
        ConfigFile,
        Filter, //
    },
    device::as_raw,
    hiding::Hiding, //
};
