// SPDX-License-Identifier: GPL-2.0

//! `pci_backend`: the paths and values of `backend/pci` in XenStore. The input is a path or value,
//! and a directory: lines of a node's name, a space and its value.

use std::ffi::CStr;

use kernel::error::{
    Error,
    Result,
    E2BIG,
    EINVAL, //
};
use xen::xenbus::pci_backend::{
    self,
    Directory,
    Nodes, //
};

use crate::naive;

/// A directory as a list of nodes; of two with the same name, the first.
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    fn node(&self, name: &str) -> Option<&'a [u8]> {
        let mut lines = self.0.split(|byte| *byte == b'\n');
        lines.find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b" "))
    }
}

impl<'a> Nodes for Lines<'a> {
    type Value = &'a [u8];

    fn read(&self, name: &CStr) -> Result<Option<&'a [u8]>> {
        Ok(self.node(name.to_str().expect("a name")))
    }
}

fn directory(lines: &Lines<'_>) -> Result<(), Error> {
    let found = Directory::read(lines);
    let count = match lines.node("num_devs") {
        None => Some(0),
        Some(count) => naive::decimal(count, u32::MAX.into()),
    };
    let Some(state) = lines.node("state") else {
        assert!(found?.is_none());
        return Ok(());
    };
    let found = match (found, count) {
        (Err(error), None) => return Err(error).or_else(|e| (e == EINVAL).then_some(()).ok_or(e)),
        (Err(error), Some(1025..)) => {
            return Err(error).or_else(|e| (e == E2BIG).then_some(()).ok_or(e))
        }
        (found, _) => found?.expect("it has a state"),
    };
    let number = |value| naive::decimal(value, 8).unwrap_or(0);
    assert_eq!(found.state as u64, number(state));
    assert_eq!(found.is_online, lines.node("online") == Some(b"1"));
    let (mut open, mut closing) = (Vec::new(), Vec::new());
    for index in 0..count.unwrap_or(0) {
        let Some(name) = lines.node(&format!("dev-{index}")) else {
            continue;
        };
        let function = pci_backend::function(name);
        match lines.node(&format!("state-{index}")).map_or(0, number) {
            5 | 6 => closing.extend(function),
            state => open.push((index, function, state)),
        }
    }
    let entries = found.entries.iter();
    assert!(entries
        .map(|entry| (u64::from(entry.index), entry.function, entry.state as u64))
        .eq(open));
    assert_eq!(found.closing[..], closing);
    Ok(())
}

pub(crate) fn run(input: &[u8]) {
    let text = input;
    directory(&Lines(input)).expect("another error");

    let parts: Vec<_> = text.split(|byte| *byte == b'/').collect();
    let domain = match parts[..] {
        [b"backend", b"pci", domain, b"0", ..] => naive::decimal(domain, 0xffff),
        _ => None,
    };
    assert_eq!(pci_backend::domain(text).map(u64::from), domain);

    let tells = parts
        .get(4)
        .is_none_or(|node| [&b"num_devs"[..], b"state"].contains(node));
    assert_eq!(pci_backend::tells(text), tells);

    let number = naive::decimal(text, u32::MAX.into());
    assert_eq!(pci_backend::decimal::<u32>(text).map(u64::from), number);
    let state = number.filter(|number| *number <= 8).unwrap_or(0);
    assert_eq!(pci_backend::state(text) as u64, state);

    if let Some(function) = pci_backend::function(text) {
        let name = function.to_string();
        assert_eq!(pci_backend::function(name.as_bytes()), Some(function));
    }
}
