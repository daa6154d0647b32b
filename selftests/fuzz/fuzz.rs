// SPDX-License-Identifier: GPL-2.0

//! The pure logic of the modules under libFuzzer: one program, in which `FUZZ_TARGET` chooses what
//! is given the input. See `run`.
//!
//! A target compares what the logic says with what a second, naive implementation says, and checks
//! what has to hold whatever comes in. It panics if they differ.

#![no_main]
#![allow(dead_code, reason = "the drivers use more of it")]

use std::sync::OnceLock;

#[path = "../../rust/pcidev/assignments.rs"]
mod assignments;
// Its decoder is the crate's own.
#[path = "../../rust/xen/pci/header.rs"]
mod header;
#[path = "../../rust/xen/pci/hiding.rs"]
mod hiding;
#[path = "../../rust/pciback/identity.rs"]
mod identities;
#[path = "../../rust/pcidev/index.rs"]
mod index;
#[path = "../../rust/pcidev/info.rs"]
mod info;
#[path = "../../rust/pciback/interrupts.rs"]
mod interrupts;
#[path = "../../rust/pciback/layout.rs"]
mod layout;
#[path = "../../rust/pciback/life.rs"]
mod life;
#[path = "../../rust/pciback/operation.rs"]
mod operation;
#[path = "../../rust/xen/igd/opregion.rs"]
mod opregion_decoder;
#[path = "../../rust/pciback/quirks.rs"]
mod quirks;
#[path = "../../rust/pciback/registers.rs"]
mod registers;
#[path = "../../rust/pcidev/request.rs"]
mod request;
#[path = "../../rust/xen/igd/rom.rs"]
mod rom_maker;
#[path = "../../rust/pciback/slots.rs"]
mod slots;
#[path = "../../rust/pciback/space.rs"]
mod space;
#[path = "../../rust/pciback/topology.rs"]
mod topology;
#[path = "../../rust/uapi/pcidev.rs"]
mod uapi;

mod bytes;
mod naive;

/// What each input is given to.
macro_rules! targets {
    ($($name:ident),*) => {
        mod targets {
            $(pub(crate) mod $name;)*
        }

        const TARGETS: &[(&str, fn(&[u8]))] = &[$((stringify!($name), targets::$name::run)),*];
    };
}

targets!(
    address, backend, config, functions, hide, identity, interrupts, ioctl, life, operation,
    opregion, quirk, rom, slot, space, vslot
);

/// Called by libFuzzer for each input.
///
/// # Safety
///
/// `data` is `size` bytes.
#[no_mangle]
pub unsafe extern "C" fn LLVMFuzzerTestOneInput(data: *const u8, size: usize) -> i32 {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        match TARGETS.iter().find(|(target, _)| *target == name) {
            Some((_, run)) => *run,
            None => panic!("no target '{name}'"),
        }
    });
    let input = if size == 0 {
        &[]
    } else {
        // SAFETY: By the function's requirement.
        unsafe { std::slice::from_raw_parts(data, size) }
    };
    target(input);
    0
}
