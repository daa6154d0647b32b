// SPDX-License-Identifier: GPL-2.0

//! The pure logic of xen-pciback.

#![allow(dead_code)]

#[path = "../../../rust/pciback/identity.rs"]
mod identity;
#[path = "../../../rust/pciback/life.rs"]
mod life;
#[path = "../../../rust/pciback/quirks.rs"]
mod quirks;
#[path = "../../../rust/pciback/slots.rs"]
mod slots;
#[path = "../../../rust/pciback/topology.rs"]
mod topology;
