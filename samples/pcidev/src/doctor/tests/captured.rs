// SPDX-License-Identifier: GPL-2.0

//! A dom0 as capture.sh found it.

use std::{
    collections::{
        BTreeMap,
        BTreeSet, //
    },
    fs,
    os::unix::fs::symlink,
    path::PathBuf, //
};

use super::made_up::at;
use crate::{
    doctor::{
        facts::*,
        finding::*,
        function,
        gather::System,
        patient::Patient,
        report::{
            Report,
            Verdict, //
        },
        system,
        uses::Uses, //
    },
    names::Names, //
};

const DOM0: &str = include_str!("../../../fixtures/pvh-dom0");

/// A directory with what capture.sh printed.
struct Captured {
    root: PathBuf,
    commands: BTreeMap<String, String>,
    /// What xen-pcidev says of each function's MSI-X table.
    entries: Option<u32>,
}

impl Captured {
    fn new(name: &str, text: &str) -> Self {
        let root = std::env::temp_dir().join(format!("pcidev-{name}-{}", std::process::id()));
        let mut captured = Self {
            root,
            commands: BTreeMap::new(),
            entries: None,
        };
        let mut entries: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.strip_prefix('\t') {
                Some(line) => entries.last_mut().unwrap().1.push(line),
                None => entries.push((line.splitn(3, ' ').collect(), Vec::new())),
            }
        }
        for (head, lines) in &entries {
            captured.add(head, &(lines.join("\n") + "\n"));
        }
        captured
    }

    fn add(&mut self, head: &[&str], text: &str) {
        let path = self.root.join(head[1]);
        match head[0] {
            "run" => drop(self.commands.insert(head[1..].join(" "), text.to_owned())),
            kind => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                match kind {
                    "file" => fs::write(path, text).unwrap(),
                    "link" => symlink(head[2], path).unwrap(),
                    "hex" => {
                        let byte = |text| u8::from_str_radix(text, 16).unwrap();
                        let bytes: Vec<_> = text.split_whitespace().map(byte).collect();
                        fs::write(path, bytes).unwrap();
                    }
                    _ => panic!("{kind}"),
                }
            }
        }
    }

    fn facts(&self) -> Facts {
        self.facts_of(&[]).unwrap()
    }

    fn facts_of(&self, guests: &[&str]) -> Result<Facts, String> {
        let guests: Vec<_> = guests.iter().map(|name| (*name).to_owned()).collect();
        let run = |words: &[&str]| match words {
            ["xl", "debug-keys", _] => Ok(String::new()),
            _ => self
                .commands
                .get(&words.join(" "))
                .cloned()
                .ok_or("no answer".to_owned()),
        };
        System {
            root: &self.root,
            run: &run,
            reserved: &|_| None,
            entries: &|_| self.entries,
        }
        .facts(&Names::none(), &guests)
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.root).unwrap();
    }
}

fn codes(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|finding| finding.code.name()).collect()
}

/// The findings about one function.
fn about(facts: &Facts, sbdf: &str) -> Vec<Finding> {
    let function = facts.functions.iter().find(|f| f.sbdf == at(sbdf)).unwrap();
    function::examine(&Patient {
        facts,
        xen: facts.xen.as_ref().unwrap(),
        function,
    })
    .1
}

#[test]
fn a_dom0_as_it_was() {
    let facts = Captured::new("dom0", DOM0).facts();
    assert_eq!(codes(&system::examine(&facts).0), [""; 0]);
    let xen = facts.xen.as_ref().unwrap();
    assert_eq!((xen.release, xen.remapping), (Some((4, 20)), Some(true)));
    for (sbdf, wanted) in [
        ("00:01.0", "no-interrupt no-reset boot-display"),
        ("00:04.0", "shared-line"),
        ("00:06.0", "no-interrupt no-reset"),
        ("00:09.0", "bridge"),
        ("00:0b.0", "no-route"),
        ("00:12.0", ""),
        ("01:00.0", "shared-line virtual-functions"),
        ("01:10.0", "refused"),
        ("02:03.0", "shared-line no-reset shared-dma"),
        ("02:04.0", "no-reset shared-dma"),
    ] {
        assert_eq!(codes(&about(&facts, sbdf)).join(" "), wanted, "{sbdf}");
    }
    assert_eq!(xen.guests.as_ref().unwrap().get(&at("00:06.0")), Some(&7));
}

/// As Xen hides that of a VF.
#[test]
fn a_table_that_dom0_cannot_see() {
    let mut captured = Captured::new("vf", DOM0);
    captured.entries = Some(3);
    let facts = captured.facts();
    assert_eq!(
        codes(&about(&facts, "00:01.0")),
        ["no-reset", "boot-display"]
    );
    let entries = |at: usize| facts.functions[at].config.as_ref().unwrap().msix_entries;
    let all: BTreeSet<_> = (0..facts.functions.len()).map(entries).collect();
    assert!(all.contains(&3) && all.contains(&5) && !all.contains(&0));
}

#[test]
fn a_machine_without_anything() {
    let captured = Captured::new("bare", "file proc/sys/kernel/osrelease\n\t7.2\n");
    let report = Report::new(&captured.facts(), &[], &[]);
    assert_eq!(report.verdict(), Verdict::Findings);
    let text = report.text();
    assert!(
        text.starts_with("no Xen, Linux 7.2\n  fails  no-xen: "),
        "{text}"
    );
}

/// Made up: as capture.sh would print it.
const USED: &str = include_str!("../../../fixtures/used-functions");

const ADDRESSES: &str = r#"[
    {"ifname": "lo", "addr_info": [{"scope": "host", "local": "127.0.0.1"}]},
    {"ifname": "eth0"},
    {"ifname": "eth1", "addr_info": [{"scope": "link", "local": "fe80::1"}]},
    {"ifname": "xenbr0", "addr_info": [{"scope": "global", "local": "192.168.2.2"},
                                       {"scope": "link", "local": "fe80::2"}]}
]"#;

/// A disk below device mapper, a file system that is no block device, a disk with several paths,
/// a NIC below a bridge, one that only has a route, and one that dom0 does not need.
#[test]
fn what_dom0_uses() {
    let captured = Captured::new("uses", USED);
    let uses = Uses::find(&captured.root, ADDRESSES);
    for (sbdf, wanted) in [
        ("01:00.0", "the root file system; swap"),
        ("00:17.0", "the file system at /home"),
        ("02:00.0", "the file system at /srv"),
        ("03:00.0", "the address 192.168.2.2 of xenbr0"),
        ("04:00.0", ""),
        ("05:00.0", "routes of eth2"),
        ("00:1c.0", ""),
    ] {
        assert_eq!(uses.of(at(sbdf)).join("; "), wanted, "{sbdf}");
    }
}

/// The log of a device model has the guest's name.
#[test]
fn a_guest_by_number() {
    let text = "run xl domname 5\n\twin11\nfile var/log/xen/qemu-dm-win11.log\n\tsomething\n";
    let captured = Captured::new("guest", text);
    let guest = captured.facts_of(&["5"]).unwrap().guests.remove(0);
    assert_eq!((guest.name.as_str(), guest.domain), ("win11", Some(5)));
    assert_eq!(guest.qemu.as_deref(), Some("something\n"));
    // One that has gone, by its name only.
    assert_eq!(
        captured.facts_of(&["win11"]).unwrap().guests[0].domain,
        None
    );
    assert_eq!(captured.facts_of(&["6"]).unwrap_err(), "6");
}
