// SPDX-License-Identifier: GPL-2.0

//! The configuration of a guest, as xl has understood it: `xl -N create FILE`, `xl list -l`.

use serde::Deserialize;

use crate::sbdf::Sbdf;

/// What is asked of a configuration. Memory is in KiB; what is not set is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestConfig {
    /// The name of the guest.
    pub name: String,
    /// `hvm`, `pv` or `pvh`.
    pub kind: String,
    /// `memory=`.
    pub memory: Option<u64>,
    /// `maxmem=`; xl sets it to `memory=`.
    pub most_memory: Option<u64>,
    /// `videoram=`: a part of the memory.
    pub video: Option<u64>,
    /// `mmio_hole=`.
    pub mmio_hole: Option<u64>,
    /// `rdm_mem_boundary=`.
    pub boundary: Option<u64>,
    /// `pci=`.
    pub functions: Vec<Named>,
}

/// A function in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The function.
    pub sbdf: Sbdf,
    /// Whether it has `rdm_policy=relaxed`.
    pub is_relaxed: bool,
    /// Whether xl makes it assignable, by `seize=1`.
    pub is_seized: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Printed {
    Guests(Vec<Listed>),
    Whole(Box<Whole>),
}

#[derive(Deserialize)]
struct Listed {
    config: Whole,
}

#[derive(Deserialize)]
struct Whole {
    c_info: Create,
    b_info: Build,
    #[serde(default)]
    pcidevs: Vec<Device>,
}

#[derive(Deserialize)]
struct Create {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Build {
    max_memkb: Option<u64>,
    target_memkb: Option<u64>,
    video_memkb: Option<u64>,
    #[serde(default, rename = "type.hvm")]
    hvm: Hvm,
}

#[derive(Default, Deserialize)]
struct Hvm {
    mmio_hole_memkb: Option<u64>,
    rdm_mem_boundary_memkb: Option<u64>,
}

/// Numbers that are 0 are left out.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Device {
    domain: u32,
    bus: u32,
    dev: u32,
    func: u32,
    rdm_policy: String,
    seize: bool,
}

impl Device {
    fn named(&self) -> Option<Named> {
        let (domain, bus) = (self.domain, self.bus);
        let text = format!("{domain:04x}:{bus:02x}:{:02x}.{:x}", self.dev, self.func);
        Some(Named {
            sbdf: text.parse().ok()?,
            is_relaxed: self.rdm_policy.eq_ignore_ascii_case("relaxed"),
            is_seized: self.seize,
        })
    }
}

impl GuestConfig {
    /// Parses JSON, before which there may be other lines: a configuration, or a list of guests.
    pub fn parse(text: &str) -> Option<Self> {
        let (_, json) = text.split_at(text.find(['{', '['])?);
        let whole = match serde_json::from_str(json).ok()? {
            Printed::Guests(guests) => guests.into_iter().next()?.config,
            Printed::Whole(whole) => *whole,
        };
        Some(whole.into())
    }

    /// The most memory that it can have, in bytes.
    pub fn bytes(&self) -> Option<u64> {
        self.most_memory.or(self.memory)?.checked_mul(1 << 10)
    }
}

impl From<Whole> for GuestConfig {
    fn from(whole: Whole) -> Self {
        let build = whole.b_info;
        Self {
            name: whole.c_info.name,
            kind: whole.c_info.kind.to_ascii_lowercase(),
            memory: build.target_memkb,
            most_memory: build.max_memkb,
            video: build.video_memkb,
            mmio_hole: build.hvm.mmio_hole_memkb,
            boundary: build.hvm.rdm_mem_boundary_memkb,
            functions: whole.pcidevs.iter().filter_map(Device::named).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xl_prints() {
        let text = r#"Parsing config from /etc/xen/win11.cfg
{
    "c_info": {"type": "hvm", "name": "win11", "uuid": "0"},
    "b_info": {"max_vcpus": 1, "max_memkb": 4194304, "target_memkb": 2097152, "sched_params": {},
               "type.hvm": {"mmio_hole_memkb": 1048576, "vga": {"kind": "none"}, "rdm": {}}},
    "pcidevs": [{"func": 1, "dev": 31, "bus": 16, "seize": true, "rdm_policy": "relaxed"},
                {"dev": 4}],
    "on_reboot": "restart"
}
"#;
        let config = GuestConfig::parse(text).unwrap();
        let named = |text: &str, is_relaxed| Named {
            sbdf: text.parse().unwrap(),
            is_relaxed,
            is_seized: is_relaxed,
        };
        let wanted = GuestConfig {
            name: "win11".to_owned(),
            kind: "hvm".to_owned(),
            memory: Some(2 << 20),
            most_memory: Some(4 << 20),
            mmio_hole: Some(1 << 20),
            functions: vec![named("10:1f.1", true), named("00:04.0", false)],
            ..GuestConfig::default()
        };
        assert_eq!(config, wanted);
        let (_, json) = text.split_once("cfg\n").unwrap();
        let list = format!("[{{\"domid\": 3, \"config\": {json}}}]");
        assert_eq!(GuestConfig::parse(&list), Some(wanted));
        assert_eq!(GuestConfig::parse("g.cfg:1: config parsing error"), None);
        assert_eq!(GuestConfig::parse("{}"), None);
    }
}
