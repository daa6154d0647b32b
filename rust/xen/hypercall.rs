// SPDX-License-Identifier: GPL-2.0

//! Hypercalls, each with a typed argument.

pub mod domain;
pub(crate) mod domctl;
pub(crate) mod guest_memory;
pub mod memory;
pub(crate) mod physdev;
