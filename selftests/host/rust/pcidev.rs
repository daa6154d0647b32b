// SPDX-License-Identifier: GPL-2.0

//! The pure logic of xen-pcidev.

#![allow(dead_code)]

#[path = "../../../rust/pcidev/request.rs"]
mod request;
#[path = "../../../rust/pcidev/table.rs"]
mod table;
#[path = "../../../rust/uapi/pcidev.rs"]
pub mod uapi;
