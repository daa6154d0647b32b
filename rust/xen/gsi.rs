// SPDX-License-Identifier: GPL-2.0

//! INTx interrupts: routes of pins to global system interrupts (GSIs), their Linux irqs and
//! handlers.

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
