// SPDX-License-Identifier: GPL-2.0

//! The driver's answers in `backend/pci/DOMAIN/0`: `vdev-N`, `state-N`, `root-N`, `root_num` and
//! `state`.

use kernel::{
    fmt,
    prelude::*,
    str::CString, //
};

use xen::xenbus::{
    pci_backend::Directory,
    Device,
    State, //
};

use crate::topology::{
    self,
    Placed, //
};

/// Writes all answers that `directory` lacks in one transaction, and the `state` of the backend if
/// it changes. `usable` yields the functions that the guest can use. May sleep.
pub(crate) fn publish(
    dev: &Device,
    directory: &Directory,
    usable: impl Iterator<Item = Placed> + Clone,
    state: Option<State>,
) -> Result {
    let mut nodes = KVec::new();
    for entry in &directory.entries {
        let placed = usable
            .clone()
            .find(|placed| Some(placed.function) == entry.function);
        if let (Some(placed), true) = (placed, entry.state != State::Initialised) {
            let index = entry.index;
            add(&mut nodes, fmt!("vdev-{index}"), fmt!("{}", placed.place))?;
            let state = State::Initialised as u32;
            add(&mut nodes, fmt!("state-{index}"), fmt!("{state}"))?;
        }
    }
    if !nodes.is_empty() {
        let mut roots = 0u32;
        for (segment, bus) in topology::roots(usable) {
            add(
                &mut nodes,
                fmt!("root-{roots}"),
                fmt!("{segment:04x}:{bus:02x}"),
            )?;
            roots = roots.saturating_add(1);
        }
        add(&mut nodes, fmt!("root_num"), fmt!("{roots}"))?;
    }
    if !nodes.is_empty() || state.is_some() {
        dev.publish(&nodes, directory.state, state)?;
    }
    Ok(())
}

fn add(
    nodes: &mut KVec<(CString, CString)>,
    name: fmt::Arguments<'_>,
    value: fmt::Arguments<'_>,
) -> Result {
    let node = (CString::try_from_fmt(name)?, CString::try_from_fmt(value)?);
    Ok(nodes.push(node, GFP_KERNEL)?)
}
