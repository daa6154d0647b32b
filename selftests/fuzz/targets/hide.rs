// SPDX-License-Identifier: GPL-2.0

//! `slots::parse_list`: the module parameter `hide`.

use std::collections::BTreeSet;

use kernel::prelude::*;

use crate::{
    naive,
    slots::{
        parse_list,
        Slots, //
    },
};

/// The functions meant, or where the text is not understood.
fn naively(text: &str) -> Result<BTreeSet<u32>, usize> {
    let mut all = BTreeSet::new();
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        if letter.is_whitespace() {
            at += letter.len_utf8();
            continue;
        }
        let end = text[at..].find(')').ok_or(at)? + at;
        if letter != '(' {
            return Err(at);
        }
        all.extend(naive::meant(naive::pattern(&text[at + 1..end]).ok_or(at)?));
        at = end + 1;
    }
    Ok(all)
}

pub(crate) fn run(input: &[u8]) {
    let text = &String::from_utf8_lossy(input);
    let mut slots = Slots::new();
    let parsed = parse_list(text, |pattern, _| slots.add(&pattern));
    match (parsed, naively(text)) {
        (Ok(added), Ok(wanted)) => {
            assert_eq!(added, Ok(()));
            assert!(slots.iter().map(|sbdf| sbdf.to_u32()).eq(wanted));
        }
        (Err(rest), Err(at)) => assert_eq!(rest, &text[at..]),
        (parsed, wanted) => panic!("{parsed:?}, not {wanted:?}"),
    }
    // What the caller finds wrong ends it.
    let mut left = 1;
    let stopped = parse_list(text, |_, _| match left {
        0 => Err(ENOSPC),
        _ => {
            left -= 1;
            Ok(())
        }
    });
    if let Ok(Ok(())) = stopped {
        assert!(text.matches('(').count() <= 1);
    }
}
