// SPDX-License-Identifier: GPL-2.0

//! Sizes as people write them: `4096`, `"4K"`, `"256M"`.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

fn parse(text: &str) -> Option<u64> {
    let (digits, shift) = match text.chars().last()? {
        'K' => (&text[..text.len() - 1], 10),
        'M' => (&text[..text.len() - 1], 20),
        'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as 4096, \"4K\" or \"256M\"")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Size, E> {
        u64::try_from(value).map(Size).map_err(|_| {
            E::custom(format!(
                "a size cannot be {value}; write one such as \"4K\""
            ))
        })
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Size, E> {
        parse(value)
            .map(Size)
            .ok_or_else(|| E::custom(format!("\"{value}\" is no size; write one such as \"4K\"")))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse("512"), Some(512));
        assert_eq!(parse("4K"), Some(4096));
        assert_eq!(parse("2G"), Some(2 << 30));
        assert_eq!(parse("4k"), None);
        assert_eq!(parse(""), None);
        assert_eq!(parse("99999999999G"), None);
    }
}
