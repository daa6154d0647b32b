// SPDX-License-Identifier: GPL-2.0

//! `Quirk`: what is written to the driver's file `quirks`.

use crate::{
    naive,
    quirks::Quirk, //
};

fn naively(text: &str) -> Option<(u32, String)> {
    let text = text.trim();
    let (function, quirk) = text.split_at(text.find('-')?);
    let numbers: Vec<_> = quirk[1..].split(':').map(str::trim).collect();
    let [register, size, mask] = numbers[..] else {
        return None;
    };
    let (register, size) = (naive::hex(register, 0xfff)?, naive::hex(size, 4)?);
    if ![1, 2, 4].contains(&size) {
        return None;
    }
    let mask = naive::hex(mask, (1 << (8 * size)) - 1)?;
    match naive::meant(naive::pattern(function)?)[..] {
        [function] => Some((function, format!("{register:08x}:{size}:{mask:08x}"))),
        _ => None,
    }
}

pub(crate) fn run(input: &[u8]) {
    let text = &String::from_utf8_lossy(input);
    let parsed = Quirk::parse(text);
    let shown = parsed.map(|(sbdf, quirk)| (sbdf.to_u32(), quirk.to_string()));
    assert_eq!(shown, naively(text));
    if let Some((sbdf, quirk)) = parsed {
        // What is shown can be written.
        assert_eq!(Quirk::parse(&format!("{sbdf}-{quirk}")), parsed);
        assert!(quirk.replaces(&quirk));
    }
}
