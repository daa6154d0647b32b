// SPDX-License-Identifier: GPL-2.0

//! Which functions which guest has, by the toolstack's `backend/pci` in XenStore.
//!
//! Needed for INTx lines that functions of one guest share. Xen maps such a line to the guest once,
//! but libxl unmaps it with each function that it detaches: the others lose their interrupt, and
//! their own detachment, so the guest's destruction too, then fails. See [`crate::privcmd`].

use kernel::{
    prelude::*,
    str::CString, //
};

use xen::{
    pci_backend,
    xenstore::{
        self,
        Observer, //
    }, //
};

use crate::state::{
    self,
    State, //
};

/// Guests have few functions: no more are looked at.
const MOST: u32 = 1024;

/// Hears of backends.
pub(crate) struct Backends;

impl Observer for Backends {
    const PATH: &'static CStr = pci_backend::PATH;

    fn changed(path: &CStr) {
        let result = state::with(|state| match pci_backend::domain(path.to_bytes()) {
            Some(domain) => update(state, domain),
            // The directory itself: at the beginning, or it is gone.
            None => update_all(state),
        });
        if let Err(e) = result {
            pr_warn!("cannot tell which guest has which function: {path:?}: {e:?}\n");
        }
    }
}

fn update_all(state: &State) -> Result {
    let domains = match xenstore::list(Backends::PATH) {
        Ok(domains) => domains,
        Err(e) if e == ENOENT => return Ok(()),
        Err(e) => return Err(e),
    };
    for name in domains.iter() {
        if let Some(domain) = pci_backend::decimal(name.to_bytes()) {
            update(state, domain)?;
        }
    }
    Ok(())
}

/// Reads again what `domain` has.
fn update(state: &State, domain: u16) -> Result {
    let dir = CString::try_from_fmt(fmt!("backend/pci/{domain}/0"))?;
    let count = match xenstore::read(&dir, c"num_devs") {
        Ok(count) => pci_backend::decimal(count.bytes()).ok_or(EINVAL)?,
        Err(e) if e == ENOENT => 0,
        Err(e) => return Err(e),
    };
    let mut functions = KVec::new();
    for i in 0..MOST.min(count) {
        let node = CString::try_from_fmt(fmt!("dev-{i}"))?;
        // One that is being removed may be missing.
        let Ok(name) = xenstore::read(&dir, &node) else {
            continue;
        };
        if let Some(sbdf) = pci_backend::function(name.bytes()) {
            functions.push(sbdf, GFP_KERNEL)?;
        }
    }
    state.assign(domain, &functions);
    Ok(())
}
