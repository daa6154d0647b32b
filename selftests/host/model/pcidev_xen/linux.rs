// SPDX-License-Identifier: GPL-2.0

//! Services of the kernel.

pub use crate::workqueue;

pub mod param {
    //! Parameters of the module.

    /// One that is switched on.
    pub struct On;

    impl On {
        pub fn get(&self) -> bool {
            true
        }
    }
}

pub mod module {
    //! Modules.

    use core::ffi::CStr;
    use std::sync::Arc;

    use checker::InOrder;
    use kernel::error::Result;

    use crate::{
        chain::{Chain, Member},
        world,
    };

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Event {
        Coming,
        Live,
        Going,
    }

    pub trait Observer: Send + Sync + 'static {
        fn changed(&self, name: &CStr, event: Event);
    }

    thread_local! {
        static CHAIN: InOrder<Chain<dyn Observer>> = const { InOrder::new() };
    }

    pub struct Registration {
        _member: Member<dyn Observer>,
    }

    impl Registration {
        pub fn new(observer: impl Observer) -> Self {
            Self {
                _member: CHAIN.with(InOrder::get).add(Arc::new(observer)),
            }
        }
    }

    /// Tells all of what happens to a module.
    pub(crate) fn call(name: &CStr, event: Event) {
        CHAIN
            .with(InOrder::get)
            .call(|observer| observer.changed(name, event));
    }

    /// Keeps the module loaded.
    pub struct Pinned(());

    impl Pinned {
        pub fn new() -> Result<Self> {
            world::all(|world| world.pins += 1);
            Ok(Self(()))
        }
    }

    impl Drop for Pinned {
        fn drop(&mut self) {
            world::all(|world| world.pins -= 1);
        }
    }
}

pub mod sysfs {
    //! A function's directory.

    use kernel::{pci::Device, sync::aref::ARef};

    use crate::world;

    pub struct Directory<T> {
        pub(crate) dev: ARef<Device>,
        pub(crate) _files: T,
    }

    impl<T> Drop for Directory<T> {
        fn drop(&mut self) {
            kernel::context::might_sleep();
            let is_gone =
                world::all(|world| !world.devices.iter().any(|dev| dev.devfn == self.dev.devfn));
            // A group of attributes is removed from the directory of its device.
            assert!(
                !(checker::without("kobject") && is_gone),
                "removed from a directory that is gone"
            );
        }
    }
}
