// SPDX-License-Identifier: GPL-2.0

//! Finds out what dom0 itself uses functions for: disks with its file systems and its swap, and
//! NICs with its addresses and routes.

use std::{
    collections::BTreeMap,
    fs,
    path::{
        Path,
        PathBuf, //
    },
};

use serde::Deserialize;

use crate::{
    sbdf::Sbdf,
    sysfs, //
};

/// The uses of functions, in words.
#[derive(Debug, Default)]
pub struct Uses(BTreeMap<Sbdf, Vec<String>>);

impl Uses {
    /// All uses on the system with this root directory. `addresses` is what `ip -json address`
    /// prints.
    pub fn find(root: &Path, addresses: &str) -> Self {
        let mut uses = Self::default();
        uses.add_file_systems(root);
        uses.add_swap(root);
        uses.add_networks(root, addresses);
        uses
    }

    /// The uses of a function.
    pub fn of(&self, sbdf: Sbdf) -> &[String] {
        self.0.get(&sbdf).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, functions: Vec<Sbdf>, what: &str) {
        for sbdf in functions {
            let of_function = self.0.entry(sbdf).or_default();
            if !of_function.iter().any(|other| other == what) {
                of_function.push(what.to_owned());
            }
        }
    }

    fn add_file_systems(&mut self, root: &Path) {
        for line in lines(root, "proc/self/mountinfo") {
            let Some((mount, source)) = line.split_once(" - ") else {
                continue;
            };
            let mount: Vec<_> = mount.split(' ').collect();
            let (Some(number), Some(point)) = (mount.get(2), mount.get(4)) else {
                continue;
            };
            // Some file systems, such as btrfs, have numbers that are no block device's.
            let source = source.split(' ').nth(1).unwrap_or_default();
            let mut disks = disks(&root.join("sys/dev/block").join(number));
            disks.extend(disks_of_file(root, source));
            let what = match *point {
                "/" => "the root file system".to_owned(),
                point => format!("the file system at {point}"),
            };
            self.add(disks, &what);
        }
    }

    fn add_swap(&mut self, root: &Path) {
        for line in lines(root, "proc/swaps").iter().skip(1) {
            let file = line.split_whitespace().next().unwrap_or_default();
            self.add(disks_of_file(root, file), "swap");
        }
    }

    fn add_networks(&mut self, root: &Path, addresses: &str) {
        let networks: Vec<Network> = serde_json::from_str(addresses).unwrap_or_default();
        let routes = lines(root, "proc/net/route");
        for nic in sysfs::names(&root.join("sys/class/net")) {
            let functions = functions_on(&root.join("sys/class/net").join(&nic).join("device"));
            for name in with_uppers(root, nic) {
                let own = networks.iter().filter(|network| network.ifname == name);
                for address in own.flat_map(|network| &network.addr_info) {
                    if address.scope == "global" {
                        let what = format!("the address {} of {name}", address.local);
                        self.add(functions.clone(), &what);
                    }
                }
                let routed = |line: &String| line.split_whitespace().next() == Some(&name);
                if routes.iter().any(routed) {
                    self.add(functions.clone(), &format!("routes of {name}"));
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct Network {
    ifname: String,
    #[serde(default)]
    addr_info: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    scope: String,
    #[serde(default)]
    local: String,
}

fn lines(root: &Path, name: &str) -> Vec<String> {
    let text = sysfs::text(&root.join(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// An interface, and those that are on it: bridges, bonds, VLANs.
fn with_uppers(root: &Path, name: String) -> Vec<String> {
    let mut all = vec![name];
    let mut next = 0;
    while let Some(name) = all.get(next) {
        let directory = root.join("sys/class/net").join(name);
        for entry in sysfs::names(&directory) {
            if let Some(upper) = entry.strip_prefix("upper_") {
                if !all.iter().any(|other| other == upper) {
                    all.push(upper.to_owned());
                }
            }
        }
        next += 1;
    }
    all
}

/// The functions behind a file such as `/dev/nvme0n1p1`, or a link to one.
fn disks_of_file(root: &Path, file: &str) -> Vec<Sbdf> {
    let Some(file) = file.strip_prefix('/') else {
        return Vec::new();
    };
    let real = fs::canonicalize(root.join(file)).unwrap_or_else(|_| PathBuf::from(file));
    let name = real.file_name().unwrap_or_default();
    disks(&root.join("sys/class/block").join(name))
}

/// The functions behind a block device, also through device mapper, MD and NVMe multipath.
fn disks(directory: &Path) -> Vec<Sbdf> {
    let Ok(directory) = fs::canonicalize(directory) else {
        return Vec::new();
    };
    let mut found = functions_on(&directory);
    for slave in sysfs::names(&directory.join("slaves")) {
        found.extend(disks(&directory.join("slaves").join(slave)));
    }
    if found.is_empty() {
        // A partition of one of these, or the controllers of a multipath NVMe disk.
        let parent = directory.parent().unwrap_or(&directory);
        if directory.join("partition").exists() {
            return disks(parent);
        }
        let controllers = sysfs::names(parent)
            .into_iter()
            .map(|name| parent.join(name));
        let links = controllers.filter(|path| path.is_symlink() && path.join("transport").exists());
        found.extend(links.flat_map(|path| functions_on(&path)));
    }
    found
}

/// The function nearest to a device: the last address in its path.
fn functions_on(device: &Path) -> Vec<Sbdf> {
    let path = fs::canonicalize(device).unwrap_or_default();
    let mut names = path
        .ancestors()
        .filter_map(|path| path.file_name()?.to_str());
    names
        .find_map(|name| name.parse().ok())
        .into_iter()
        .collect()
}
