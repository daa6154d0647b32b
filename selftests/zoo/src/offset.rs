// SPDX-License-Identifier: GPL-2.0

//! Offsets in the header and in capabilities, under the names of the PCI specification.

pub const COMMAND: usize = 0x04;
pub const STATUS: usize = 0x06;
pub const HEADER_TYPE: usize = 0x0e;
pub const BARS: usize = 0x10;
pub const SUBSYSTEM: usize = 0x2c;
pub const ROM: usize = 0x30;
pub const CAPABILITIES: usize = 0x34;
pub const PIN: usize = 0x3d;
pub const PM_CONTROL: usize = 4;
pub const PCIE_CONTROL: usize = 8;
pub const VPD_ADDRESS: usize = 2;
pub const VPD_DATA: usize = 4;
