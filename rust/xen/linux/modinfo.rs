// SPDX-License-Identifier: GPL-2.0

//! The section `.modinfo`, in which `modprobe` and `modinfo` look for facts about a module.

/// Returns the length of a `.modinfo` string that consists of `parts` and a terminator.
#[doc(hidden)]
pub const fn len(parts: [&[u8]; 4]) -> usize {
    parts[0].len() + parts[1].len() + parts[2].len() + parts[3].len() + 1
}

/// Returns a `.modinfo` string that consists of `parts` and a terminator.
#[doc(hidden)]
pub const fn text<const N: usize>(parts: [&[u8]; 4]) -> [u8; N] {
    let mut out = [0; N];
    let (mut part, mut from, mut to) = (0, 0, 0);
    while part < parts.len() {
        while from < parts[part].len() {
            out[to] = parts[part][from];
            from += 1;
            to += 1;
        }
        part += 1;
        from = 0;
    }
    out
}

/// Adds `TAG=a:b`, with `$between` for the colon, to the module's `.modinfo` section.
#[doc(hidden)]
#[macro_export]
macro_rules! modinfo {
    ($tag:literal, $a:expr, $between:literal, $b:expr) => {
        const _: () = {
            const TEXT: [&[u8]; 4] = [$tag, $a, $between, $b];
            #[link_section = ".modinfo"]
            #[used(compiler)]
            static INFO: [u8; $crate::linux::modinfo::len(TEXT)] =
                $crate::linux::modinfo::text(TEXT);
        };
    };
}
