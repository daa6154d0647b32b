// SPDX-License-Identifier: GPL-2.0

//! INTx interrupts: routes of pins to global system interrupts (GSIs), their Linux irqs and
//! handlers, and GSIs that are lent to guests.

pub mod irq;
mod lent;
mod line;
pub mod lookup;
mod route;

pub use self::{
    lent::Lent,
    line::Mapping,
    route::{
        NoRoute,
        Polarity,
        Route,
        Trigger, //
    }, //
};
