// SPDX-License-Identifier: GPL-2.0

//! Xen's virtual PCI (vPCI): registering functions, reporting resets, holding MSI-X tables.

mod function;
pub mod guest;
mod msix_hold;

pub use self::{
    function::Function,
    msix_hold::{
        owned_by_dom0,
        Hold, //
    }, //
};
