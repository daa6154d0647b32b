// SPDX-License-Identifier: GPL-2.0

//! The pure logic of xen-pciback.

#![allow(dead_code)]

#[path = "../../../rust/pciback/handshake.rs"]
mod handshake;
#[path = "../../../rust/pciback/identity.rs"]
mod identity;
#[path = "../../../rust/pciback/interrupts.rs"]
mod interrupts;
#[path = "../../../rust/pciback/layout.rs"]
mod layout;
#[path = "../../../rust/pciback/life.rs"]
mod life;
#[path = "../../../rust/pciback/operation.rs"]
mod operation;
#[path = "../../../rust/pciback/quirks.rs"]
mod quirks;
#[path = "../../../rust/pciback/registers.rs"]
mod registers;
#[path = "../../../rust/pciback/slots.rs"]
mod slots;
#[path = "../../../rust/pciback/space.rs"]
mod space;
#[path = "../../../rust/pciback/topology.rs"]
mod topology;
