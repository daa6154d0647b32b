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
    xenstore::{
        self,
        Observer, //
    },
    Sbdf, //
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
    const PATH: &'static CStr = c"backend/pci";

    fn changed(path: &CStr) {
        let result = state::with(|state| match domain(path.to_bytes()) {
            Some(domain) => update(state, domain),
            // The directory itself: at the beginning, or it is gone.
            None => update_all(state),
        });
        if let Err(e) = result {
            pr_warn!("cannot tell which guest has which function: {path:?}: {e:?}\n");
        }
    }
}

/// The domain in `backend/pci/DOMAIN/...`.
fn domain(path: &[u8]) -> Option<u16> {
    let rest = path
        .strip_prefix(Backends::PATH.to_bytes())?
        .strip_prefix(b"/")?;
    let domain = rest.split(|byte| *byte == b'/').next()?;
    core::str::from_utf8(domain).ok()?.parse().ok()
}

fn update_all(state: &State) -> Result {
    let domains = match xenstore::list(Backends::PATH) {
        Ok(domains) => domains,
        Err(e) if e == ENOENT => return Ok(()),
        Err(e) => return Err(e),
    };
    for name in domains.iter() {
        if let Some(domain) = name.to_str().ok().and_then(|name| name.parse().ok()) {
            update(state, domain)?;
        }
    }
    Ok(())
}

/// Reads again what `domain` has.
fn update(state: &State, domain: u16) -> Result {
    let dir = CString::try_from_fmt(fmt!("backend/pci/{domain}/0"))?;
    let count = match xenstore::read(&dir, c"num_devs") {
        Ok(count) => count.text().and_then(|n| n.parse().ok()).ok_or(EINVAL)?,
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
        if let Some(sbdf) = name.text().and_then(Sbdf::parse) {
            functions.push(sbdf, GFP_KERNEL)?;
        }
    }
    state.assign(domain, &functions);
    Ok(())
}
