// SPDX-License-Identifier: GPL-2.0

//! The pure logic of xen-pcidev.

#![allow(dead_code)]

#[path = "../../../rust/pcidev/assignments.rs"]
mod assignments;
#[path = "../../../rust/pcidev/index.rs"]
mod index;
#[path = "../../../rust/pcidev/info.rs"]
mod info;
#[path = "../../../rust/pcidev/request.rs"]
mod request;
#[path = "../../../rust/uapi/pcidev.rs"]
pub mod uapi;
