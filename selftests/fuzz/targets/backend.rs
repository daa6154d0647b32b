// SPDX-License-Identifier: GPL-2.0

//! `pci_backend`: the paths and values of `backend/pci` in XenStore. The input is a path or value,
//! and after a newline the node that the path may be in.

use xen::pci_backend;

use crate::naive;

pub(crate) fn run(input: &[u8]) {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let text = lines.next().unwrap_or_default();
    let node = lines.next().unwrap_or_default();

    let parts: Vec<_> = text.split(|byte| *byte == b'/').collect();
    let domain = match parts[..] {
        [b"backend", b"pci", domain, ..] => naive::decimal(domain, 0xffff),
        _ => None,
    };

    // Four parts make a directory; the whole path has to be text.
    let directory = match parts[..] {
        [_, _, _, number, ..] if naive::decimal(number, u32::MAX.into()).is_some() => {
            let length = parts[..4].iter().map(|part| part.len() + 1).sum::<usize>() - 1;
            domain
                .filter(|_| std::str::from_utf8(text).is_ok())
                .map(|domain| (&text[..length], domain))
        }
        _ => None,
    };
    let found = pci_backend::directory(text);
    let found = found.map(|(node, domain)| (node.as_bytes(), u64::from(domain)));
    assert_eq!(found, directory);

    let tells = parts
        .get(4)
        .is_none_or(|node| [&b"num_devs"[..], b"state"].contains(node));
    assert_eq!(pci_backend::tells(text), tells);

    let is_in = text.len() >= node.len()
        && text[..node.len()] == *node
        && (text.len() == node.len() || text[node.len()] == b'/');
    assert_eq!(pci_backend::is_in(text, node), is_in);

    let number = naive::decimal(text, u32::MAX.into());
    assert_eq!(pci_backend::decimal::<u32>(text).map(u64::from), number);
    let state = number.filter(|number| *number <= 8).unwrap_or(0);
    assert_eq!(pci_backend::state(text) as u64, state);

    if let Some(function) = pci_backend::function(text) {
        let name = function.to_string();
        assert_eq!(pci_backend::function(name.as_bytes()), Some(function));
    }
}
