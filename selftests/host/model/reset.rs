// SPDX-License-Identifier: GPL-2.0

//! How functions are reset.

use core::fmt;

use kernel::pci::Device;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Warm,
    Hot,
    Flr,
}

#[derive(Clone, Copy, Debug)]
pub enum Method {
    Flr,
    Bus,
}

impl Method {
    pub fn kind(self) -> Kind {
        match self {
            Self::Flr => Kind::Flr,
            Self::Bus => Kind::Hot,
        }
    }

    pub fn is_by_bridge(self) -> bool {
        matches!(self, Self::Bus)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a method")
    }
}

/// As in the crate.
pub trait Reset {
    fn reset_method(&self) -> Option<Method>;
}

impl Reset for Device {
    fn reset_method(&self) -> Option<Method> {
        (self.bus == 0).then_some(Method::Flr)
    }
}
