// SPDX-License-Identifier: GPL-2.0

//! XenStore: transactions, watches, and drivers of the backends that toolstacks describe in it.

mod device;
pub mod pci_backend;
mod state;
pub mod store;
pub mod watch;

pub use self::{
    device::{
        Device,
        Driver,
        Registration, //
    },
    state::State, //
};
