// SPDX-License-Identifier: GPL-2.0

//! Stands in for crate `xen`: its pure logic, and the types that the rest of it hands out.

#[path = "../../../rust/xen/sbdf.rs"]
pub mod sbdf;

pub use sbdf::Sbdf;

pub mod gsi {
    //! What `rust/xen/gsi.rs` finds out about a line.

    use kernel::prelude::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Trigger {
        Edge,
        Level,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Polarity {
        High,
        Low,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum NoRoute {
        NoPin,
        Unrouted,
    }

    impl From<NoRoute> for Error {
        fn from(reason: NoRoute) -> Self {
            match reason {
                NoRoute::NoPin => ENOENT,
                NoRoute::Unrouted => ENXIO,
            }
        }
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Route {
        pub gsi: u32,
        pub trigger: Trigger,
        pub polarity: Polarity,
    }
}

pub mod pci {
    //! What `rust/xen/pci.rs` finds out about a function.

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Pin(u8);

    impl Pin {
        pub fn number(self) -> u8 {
            self.0
        }
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MsixTable {
        pub entries: u16,
        pub bar: u32,
    }
}
