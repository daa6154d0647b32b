// SPDX-License-Identifier: GPL-2.0

//! Reads the files of a PCI function in sysfs. All are absent once the function is gone.

use std::{
    fs,
    io::Read,
    path::{
        Path,
        PathBuf, //
    },
};

use crate::sbdf::Sbdf;

/// The directory of all functions, below the root directory.
pub const DEVICES: &str = "sys/bus/pci/devices";

/// The directory of a function.
pub struct Directory(PathBuf);

impl Directory {
    /// The directory of `sbdf`, below the root directory `root`.
    pub fn new(root: &Path, sbdf: Sbdf) -> Self {
        Self(root.join(DEVICES).join(sbdf.to_string()))
    }

    /// The resolved path, which contains the addresses of all bridges above the function.
    pub fn real_path(&self) -> Option<PathBuf> {
        fs::canonicalize(&self.0).ok()
    }

    /// The first `size` bytes of configuration space, or fewer. Each byte is a slow access.
    pub fn config(&self, size: usize) -> Option<Vec<u8>> {
        let file = fs::File::open(self.0.join("config")).ok()?;
        let mut bytes = Vec::new();
        file.take(size as u64).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// A file's text, without the end of its last line.
    pub fn text(&self, name: &str) -> Option<String> {
        text(&self.0.join(name))
    }

    /// A number such as `vendor`, `device` or `class`.
    pub fn number(&self, name: &str) -> Option<u32> {
        parse(&self.text(name)?)
    }

    /// The name of the target of a link, such as `driver`.
    pub fn link(&self, name: &str) -> Option<String> {
        let target = fs::read_link(self.0.join(name)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    /// The physical function of a virtual function.
    pub fn physfn(&self) -> Option<Sbdf> {
        self.link("physfn")?.parse().ok()
    }

    /// The names in a directory, such as `iommu_group/devices`.
    pub fn names(&self, name: &str) -> Vec<String> {
        names(&self.0.join(name))
    }
}

/// A file's text, without the end of its last line.
pub fn text(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim_end().to_owned())
}

/// The names in a directory, in order.
pub fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn parse(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_hexadecimal() {
        assert_eq!(parse("0x8086"), Some(0x8086));
        assert_eq!(parse("0x020000"), Some(0x02_0000));
        assert_eq!(parse("8086"), None);
        assert_eq!(parse(""), None);
    }
}
