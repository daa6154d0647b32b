// SPDX-License-Identifier: GPL-2.0

//! `identity::parse_list`: the module parameter `ids`; before it the function that is asked about.

use kernel::prelude::*;

use crate::{
    bytes::Bytes,
    identities::parse_list, //
};

const ANY: u64 = 0xffff_ffff;

/// The fields of each identity, those that are missing filled in, or the text that is none.
fn naively(text: &str) -> Result<Vec<[u64; 6]>, &str> {
    let mut all = Vec::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let mut fields = [ANY, ANY, ANY, ANY, 0, 0];
        let digits: Vec<_> = part.split(':').map(str::trim).collect();
        if digits.len() < 2 || digits.len() > 6 {
            return Err(part);
        }
        for (field, digits) in fields.iter_mut().zip(digits) {
            let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit());
            let significant = digits.trim_start_matches('0');
            if !is_number || significant.len() > 8 {
                return Err(part);
            }
            *field = u64::from_str_radix(digits, 16)
                .unwrap_or_else(|_| u64::from_str_radix(significant, 16).unwrap_or_default());
        }
        all.push(fields);
    }
    Ok(all)
}

fn means(
    [vendor, device, subvendor, subdevice, class, mask]: [u64; 6],
    ids: [u16; 4],
    of: u32,
) -> bool {
    let wanted = [vendor, device, subvendor, subdevice];
    wanted
        .iter()
        .zip(ids)
        .all(|(w, id)| [ANY, id.into()].contains(w))
        && class & mask == u64::from(of) & mask
}

pub(crate) fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let mut half = || u16::from_le_bytes([bytes.byte(), bytes.byte()]);
    let ids = [half(), half(), half(), half()];
    let class = u32::from(half()) << 8;
    let text = String::from_utf8_lossy(input.get(10..).unwrap_or_default());
    // What is asked about is more often meant if its own numbers are in the text.
    let own = format!("{:x}:{:x}:{:x}", ids[0], ids[1], ids[2]);
    let text = &text.replace('@', &own);
    let mut found = Vec::new();
    let parsed = parse_list(text, |identity, text| {
        assert!(!text.is_empty() && !text.contains(','));
        found.push(identity.is(ids, class));
        Ok(())
    });
    match (parsed, naively(text)) {
        (Ok(result), Ok(wanted)) => {
            assert_eq!(result, Ok(()));
            assert!(wanted
                .into_iter()
                .map(|fields| means(fields, ids, class))
                .eq(found));
        }
        (Err(rest), Err(part)) => assert_eq!(rest, part),
        (parsed, wanted) => panic!("{parsed:?}, not {wanted:?}"),
    }
    // What the caller finds wrong ends it.
    let stopped = parse_list(text, |_, _| Err(ENOSPC));
    assert!(
        parsed.is_err()
            || stopped == Ok(Err(ENOSPC))
            || text.split(',').all(|t| t.trim().is_empty())
    );
}
