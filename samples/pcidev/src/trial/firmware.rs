// SPDX-License-Identifier: GPL-2.0

//! The firmware that drivers load, where the kernel looks for it.

use std::{
    collections::BTreeSet,
    fs,
    path::{
        Path,
        PathBuf, //
    },
};

use regex::Regex;

use crate::{
    sysfs,
    tool, //
};

/// Where the kernel looks in the guest.
const PLACE: &str = "lib/firmware";
/// What the kernel unpacks itself, in its order.
const PACKED: [&str; 3] = ["", ".zst", ".xz"];

/// Files of firmware for a guest.
#[derive(Debug, Default)]
pub struct Firmware {
    /// Each file, and its name in the guest.
    pub files: Vec<(PathBuf, String)>,
    /// Bytes of all.
    pub size: u64,
    /// What was left out, in words.
    pub left_out: Option<String>,
}

/// What a module says of the firmware that its driver may want: names, with `*` for any.
pub fn of_module(module: &str) -> Vec<String> {
    let text = tool::run(&["modinfo", "-F", "firmware", module]).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

impl Firmware {
    /// The files that are there of these names, small ones first, up to `limit` bytes. Most drivers
    /// name the firmware of many devices.
    pub fn find(root: &Path, kernel: &str, names: &BTreeSet<String>, limit: u64) -> Self {
        let all = root.join(PLACE);
        let updates = all.join("updates");
        let places = [updates.join(kernel), updates, all.join(kernel), all];
        let mut found: Vec<_> = { names.iter() }
            .flat_map(|name| with_name(&places, name))
            .filter_map(|(path, name)| Some((fs::metadata(&path).ok()?.len(), path, name)))
            .collect();
        found.sort();
        let mut firmware = Self::default();
        let mut rest = Vec::new();
        for (size, path, name) in found {
            match firmware.size.checked_add(size).filter(|sum| *sum <= limit) {
                Some(sum) => {
                    firmware.size = sum;
                    firmware.files.push((path, name));
                }
                None => rest.push((size, path)),
            }
        }
        firmware.left_out = rest.last().map(|(_, path)| {
            let size = rest
                .iter()
                .fold(0, |sum: u64, (size, _)| sum.saturating_add(*size));
            format!(
                "the guest has not all firmware that its driver may want: {} MiB of it are more \
                 than the limit of {} MiB, such as {}",
                mib(firmware.size.saturating_add(size)),
                mib(limit),
                path.display()
            )
        });
        firmware
    }
}

/// Bytes as MiB, rounded up.
pub fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// The files of a name, and their names in the guest: the kernel takes an unpacked one of any place
/// first.
fn with_name(places: &[PathBuf], name: &str) -> Vec<(PathBuf, String)> {
    if name.contains('*') {
        let of_pattern = matching(places, name);
        return { of_pattern.iter() }
            .flat_map(|name| with_name(places, name))
            .collect();
    }
    let candidates = PACKED.iter().flat_map(|packed| {
        let name = format!("{name}{packed}");
        places
            .iter()
            .map(move |place| (place.join(&name), name.clone()))
    });
    let found = { candidates }.find(|(path, _)| path.is_file());
    found
        .map(|(path, name)| (path, format!("{PLACE}/{name}")))
        .into_iter()
        .collect()
}

/// The names, without what packing has added, that a pattern stands for in its directory.
fn matching(places: &[PathBuf], pattern: &str) -> BTreeSet<String> {
    let (directory, last) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    let Ok(regex) = Regex::new(&format!("^{}$", regex::escape(last).replace(r"\*", ".*"))) else {
        return BTreeSet::new();
    };
    let files = { places.iter() }.flat_map(|place| sysfs::names(&place.join(directory)));
    files
        .map(|name| {
            let packed = PACKED
                .iter()
                .rev()
                .find_map(|packed| name.strip_suffix(packed));
            packed.unwrap_or(&name).to_owned()
        })
        .filter(|name| regex.is_match(name))
        .map(|name| match directory {
            "" => name,
            directory => format!("{directory}/{name}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Tree(PathBuf);

    impl Tree {
        fn new(files: &[(&str, usize)]) -> Self {
            let name = format!("pcidev-firmware-{}", std::process::id());
            let tree = Self(std::env::temp_dir().join(name));
            for (name, size) in files {
                let path = tree.0.join(PLACE).join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, vec![0; *size]).unwrap();
            }
            tree
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn found_as_the_kernel_finds_it() {
        let tree = Tree::new(&[
            ("gpu/a.bin", 10),
            ("gpu/b.bin.xz", 20),
            ("gpu/c.bin.zst", 30),
            ("updates/gpu/c.bin.xz", 31),
            ("7.2/gpu/a.bin", 11),
            ("wifi/w1-pcie.bin.xz", 40),
            ("wifi/w2-pcie.bin", 41),
            ("wifi/w3-sdio.bin", 42),
            ("other.bin", 50),
        ]);
        symlink("b.bin.xz", tree.0.join(PLACE).join("gpu/link.bin.xz")).unwrap();
        let find = |names: &[&str], limit| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Firmware::find(&tree.0, "7.2", &names, limit)
        };
        let of = |firmware: &Firmware| -> Vec<String> {
            let place = tree.0.join(PLACE);
            let files = firmware.files.iter().map(|(path, name)| {
                let path = path.strip_prefix(&place).unwrap();
                format!("{} {name}", path.display())
            });
            files.collect()
        };
        let all = [
            "gpu/a.bin",
            "gpu/b.bin",
            "gpu/c.bin",
            "gpu/link.bin",
            "gpu/none.bin",
            "wifi/*-pcie.bin",
        ];
        let firmware = find(&all, 1000);
        assert_eq!(
            of(&firmware),
            [
                "7.2/gpu/a.bin lib/firmware/gpu/a.bin",
                "gpu/b.bin.xz lib/firmware/gpu/b.bin.xz",
                "gpu/link.bin.xz lib/firmware/gpu/link.bin.xz",
                "gpu/c.bin.zst lib/firmware/gpu/c.bin.zst",
                "wifi/w1-pcie.bin.xz lib/firmware/wifi/w1-pcie.bin.xz",
                "wifi/w2-pcie.bin lib/firmware/wifi/w2-pcie.bin",
            ]
        );
        assert_eq!((firmware.size, firmware.left_out), (162, None));

        let firmware = find(&["gpu/c.bin", "gpu/a.bin", "wifi/w1-pcie.bin"], 41);
        assert_eq!(firmware.files.len(), 2);
        let left_out = firmware.left_out.unwrap();
        assert!(left_out.contains("limit of 1 MiB, such as "), "{left_out}");
        assert!(left_out.ends_with("wifi/w1-pcie.bin.xz"), "{left_out}");
        assert!(find(&["gpu/none.bin", "*", "../*"], 9).files.is_empty());
    }
}
