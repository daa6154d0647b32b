// SPDX-License-Identifier: GPL-2.0

//! XenStore.

pub use crate::{pci_backend, state::State};

pub mod store {
    //! Its nodes.

    use core::ffi::CStr;
    use std::ffi::CString;

    use kernel::{
        error::{Result, EIO, ENOENT},
        prelude::{KVec, GFP_KERNEL},
    };

    use super::{
        pci_backend::{Directory, Entry},
        State,
    };
    use crate::world;

    pub struct Names(Vec<CString>);

    impl Names {
        pub fn iter(&self) -> impl Iterator<Item = &CStr> {
            self.0.iter().map(|name| &**name)
        }
    }

    /// Time does not pass here: the checker tries all orders anyway.
    pub fn settle() {
        kernel::context::might_sleep();
    }

    pub fn list(_dir: &CStr) -> Result<Names> {
        kernel::context::might_sleep();
        let names = world::all(|world| world.store.keys().copied().collect::<Vec<_>>());
        if names.is_empty() {
            return Err(ENOENT);
        }
        let name = |domain: u16| CString::new(domain.to_string()).expect("digits");
        Ok(Names(names.into_iter().map(name).collect()))
    }

    pub fn read_target(_domain: u16) -> Result<Option<u16>> {
        kernel::context::might_sleep();
        Ok(None)
    }

    pub fn read_pci_backend(domain: u16) -> Result<Option<Directory>> {
        kernel::context::might_sleep();
        let functions = world::all(|world| {
            if world.failed_reads > 0 {
                world.failed_reads -= 1;
                return Err(EIO);
            }
            Ok(world.store.get(&domain).cloned())
        })?;
        let mut entries = KVec::new();
        for function in functions.iter().flatten() {
            let entry = Entry {
                index: 0,
                function: Some(*function),
                state: State::Connected,
            };
            entries.push(entry, GFP_KERNEL)?;
        }
        Ok(functions.map(|_| Directory {
            state: State::Connected,
            is_online: true,
            entries,
            closing: KVec::new(),
        }))
    }
}

pub mod watch {
    //! Changes.

    use core::ffi::CStr;

    pub trait Observer: Send + Sync + 'static {
        const PATH: &'static CStr;
        fn changed(&self, path: &CStr);
    }
}
