// SPDX-License-Identifier: GPL-2.0

//! Drivers of backends.

use core::{cell::RefCell, ffi::CStr};
use std::sync::{Arc, Weak};

use kernel::{
    error::{Error, Result},
    str::CString,
    sync::{
        aref::{ARef, AlwaysRefCounted},
        ArcBorrow,
    },
};

use crate::xenstore;

pub use crate::xenbus_state::State;

/// A backend.
pub struct Device {
    me: Weak<Device>,
    node: CString,
    domain: u16,
}

impl AlwaysRefCounted for Device {
    fn reference(&self) -> ARef<Self> {
        ARef::new(self.me.upgrade().expect("there is a reference"))
    }
}

impl Device {
    pub fn new(domain: u16) -> ARef<Self> {
        ARef::new(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            node: CString::try_from_fmt(format_args!("backend/pci/{domain}/0")).expect("a path"),
            domain,
        }))
    }

    pub fn node(&self) -> &CStr {
        &self.node
    }

    pub fn domain(&self) -> u16 {
        self.domain
    }

    pub fn switch(&self, state: State) -> Result {
        xenstore::change(|store| store.set_if_there(self.node(), c"state", state as u32));
        Ok(())
    }

    pub fn report(&self, _error: Error, _message: &CStr) {}
}

/// As in the crate.
pub trait Driver: 'static {
    const NAME: &'static CStr;
    const TYPE: &'static CStr;
    type Data: Send + Sync + 'static;

    fn probe(dev: ARef<Device>) -> Result<Arc<Self::Data>>;
    fn other_end(data: ArcBorrow<'_, Self::Data>, state: State);
    fn remove(data: ArcBorrow<'_, Self::Data>);
}

/// A backend that is probed, until it is dropped.
pub struct Probed<T: Driver>(RefCell<Option<Arc<T::Data>>>);

impl<T: Driver> Probed<T> {
    pub fn new(dev: &ARef<Device>) -> Self {
        Self(RefCell::new(T::probe(dev.clone()).ok()))
    }
}

impl<T: Driver> Drop for Probed<T> {
    fn drop(&mut self) {
        if let Some(data) = self.0.take() {
            T::remove(ArcBorrow(&data));
        }
    }
}
