// SPDX-License-Identifier: GPL-2.0

//! `Pattern` and `Slots`: lines that are written to `new_slot` (with a plus before them) and to
//! `remove_slot` (else).

use std::collections::BTreeSet;

use kernel::prelude::*;
use xen::pci::Sbdf;

use crate::{
    naive,
    slots::{
        Pattern,
        Slots, //
    },
};

pub(crate) fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (mut slots, mut wanted) = (Slots::new(), BTreeSet::new());
    for line in text.split('\n') {
        let (adds, line) = match line.strip_prefix('+') {
            Some(line) => (true, line),
            None => (false, line),
        };
        let Some(pattern) = Pattern::parse(line) else {
            assert_eq!(naive::pattern(line), None);
            continue;
        };
        let meant = naive::meant(naive::pattern(line).expect("a pattern"));
        assert!(pattern.iter().map(|sbdf| sbdf.to_u32()).eq(meant.clone()));
        let one = pattern.function().map(|sbdf| sbdf.to_u32());
        assert_eq!(one, (meant.len() == 1).then(|| meant[0]));

        let (first, last) = (meant[0], meant[meant.len() - 1]);
        for at in [first.wrapping_sub(1), first, last, last.wrapping_add(1)] {
            assert_eq!(pattern.has(Sbdf::from_u32(at)), meant.contains(&at));
        }

        if adds {
            assert_eq!(slots.add(&pattern), Ok(()));
            wanted.extend(meant);
        } else {
            let before = wanted.len();
            wanted.retain(|function| !meant.contains(function));
            let removed = if wanted.len() < before {
                Ok(())
            } else {
                Err(ENOENT)
            };
            assert_eq!(slots.remove(&pattern), removed);
        }
        assert!(slots
            .iter()
            .map(|sbdf| sbdf.to_u32())
            .eq(wanted.iter().copied()));
        assert!(pattern.iter().all(|sbdf| slots.has(sbdf) == adds));
    }
}
