// SPDX-License-Identifier: GPL-2.0

//! Drivers of backends.

use core::ffi::CStr;
use std::sync::{Arc, Weak};

use kernel::{
    error::{Error, Result},
    str::CString,
    sync::{
        aref::{ARef, AlwaysRefCounted},
        ArcBorrow,
    },
};

use crate::{pci_backend, state::State, store};

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

    pub fn publish(
        &self,
        nodes: &[(CString, CString)],
        from: State,
        state: Option<State>,
    ) -> Result {
        store::change(|store| {
            let found = store.get(self.node(), c"state");
            if found.is_none_or(|found| pci_backend::state(found.as_bytes()) != from) {
                return;
            }
            for (node, value) in nodes {
                store.set(self.node(), node, value.to_string_lossy());
            }
            if let Some(state) = state {
                store.set(self.node(), c"state", state as u32);
            }
        });
        Ok(())
    }

    pub fn report(&self, _error: Error, _message: &CStr) {}
}

/// As in the crate.
pub trait Driver: Send + Sync + Sized + 'static {
    const NAME: &'static CStr;
    const TYPE: &'static CStr;
    type Data: Send + Sync + 'static;

    fn probe(&self, dev: ARef<Device>) -> Result<Arc<Self::Data>>;
    fn other_end(&self, data: ArcBorrow<'_, Self::Data>, state: State);
    fn remove(&self, data: ArcBorrow<'_, Self::Data>);
}

/// A backend that is probed, until it is dropped.
pub struct Probed<T: Driver> {
    driver: T,
    data: Option<Arc<T::Data>>,
}

impl<T: Driver> Probed<T> {
    pub fn new(driver: T, dev: &ARef<Device>) -> Self {
        let data = driver.probe(dev.clone()).ok();
        Self { driver, data }
    }
}

impl<T: Driver> Probed<T> {
    /// The frontend is in another state.
    pub fn other_end(&self, state: State) {
        if let Some(data) = &self.data {
            self.driver.other_end(ArcBorrow(data), state);
        }
    }
}

impl<T: Driver> Drop for Probed<T> {
    fn drop(&mut self) {
        if let Some(data) = self.data.take() {
            self.driver.remove(ArcBorrow(&data));
        }
    }
}
