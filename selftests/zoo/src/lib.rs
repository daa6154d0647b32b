// SPDX-License-Identifier: GPL-2.0

//! PCI functions that a program plays: a vfio-user server for QEMU's `vfio-user-pci`.
//!
//! A TOML file describes a card ([`description`]; [`reading`] refuses what is not possible). An
//! [`animal::Animal`] is one function of it that lives: its configuration space ([`config`],
//! [`capabilities`]), the memory of its BARs ([`memory`]), its registers and DMA ([`engine`],
//! [`dma`]) or those of a NIC that works ([`ne2000`]), its interrupts, what a reset does to it
//! ([`resets`]), how it answers ([`answering`]) and what was done to it ([`facts`]).
//! [`backend`] gives it to QEMU, [`control`] to tests, [`opregion`] and `rmrr` what its firmware
//! has to the machine.
//!
//! Where the emulation ends: QEMU itself keeps the BARs' addresses, MSI, MSI-X and the links of the
//! capability lists, and answers reads of these. [`config`] says more.

pub mod animal;
pub mod answering;
pub mod backend;
pub mod capabilities;
pub mod config;
pub mod control;
pub mod description;
pub mod dma;
pub mod engine;
pub mod facts;
pub mod interrupts;
pub mod lies;
pub mod memory;
pub mod ne2000;
pub mod offset;
pub mod opregion;
pub mod place;
pub mod reading;
pub mod resets;
mod rmrr;
pub mod rom;
pub mod serve;
pub mod size;
pub mod wrong;
