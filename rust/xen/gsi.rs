// SPDX-License-Identifier: GPL-2.0

//! Global system interrupts: the way of an INTx line from the pin to a handler.

pub mod irq;
mod line;
pub mod lookup;
mod route;

pub use self::{
    line::Mapping,
    route::{
        NoRoute,
        Polarity,
        Route,
        Trigger, //
    }, //
};
