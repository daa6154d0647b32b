// SPDX-License-Identifier: GPL-2.0

//! What Linux itself shows of a PCI function. All of it is absent once the function is gone.

use std::{
    fs,
    path::PathBuf, //
};

use crate::sbdf::Sbdf;

fn file(sbdf: Sbdf, name: &str) -> PathBuf {
    PathBuf::from(format!("/sys/bus/pci/devices/{sbdf}/{name}"))
}

/// The name of the driver.
pub fn driver(sbdf: Sbdf) -> Option<String> {
    let target = fs::read_link(file(sbdf, "driver")).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

/// A number such as `vendor`, `device` or `class`.
pub fn number(sbdf: Sbdf, name: &str) -> Option<u32> {
    parse(&fs::read_to_string(file(sbdf, name)).ok()?)
}

fn parse(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim_end().strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_hexadecimal() {
        assert_eq!(parse("0x8086\n"), Some(0x8086));
        assert_eq!(parse("0x020000\n"), Some(0x02_0000));
        assert_eq!(parse("8086\n"), None);
        assert_eq!(parse(""), None);
    }
}
