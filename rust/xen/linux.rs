// SPDX-License-Identifier: GPL-2.0

//! Kernel services that the `kernel` crate lacks and that do not depend on Xen.

#[macro_use]
pub mod modinfo;
#[macro_use]
pub mod param;
#[macro_use]
pub mod trace;

pub mod fault;
pub(crate) mod firmware_memory;
pub(crate) mod irq_return;
pub mod miscdevice;
pub mod module;
pub mod sysfs;
pub mod task;
pub mod workqueue;
