// SPDX-License-Identifier: GPL-2.0

//! XenStore: transactions, watches, and drivers of the backends that toolstacks describe in it.

mod device;
mod event_channel;
pub mod pci_backend;
mod shared_page;
mod state;
pub mod store;
pub mod watch;

pub use self::{
    device::{
        Device,
        Driver,
        Registration, //
    },
    event_channel::{
        EventChannel,
        Handler, //
    },
    shared_page::SharedPage,
    state::State, //
};
