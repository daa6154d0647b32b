// SPDX-License-Identifier: GPL-2.0

//! Parses the output of Xen's tools.

use std::collections::BTreeMap;

use crate::{
    doctor::facts::Owner,
    sbdf::Sbdf, //
};

/// The words after a name in `xl info`.
pub fn info(text: &str, name: &str) -> Option<Vec<String>> {
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim_end() == name).then_some(value)
    })?;
    Some(value.split_whitespace().map(str::to_owned).collect())
}

/// Whether the IOMMU remaps interrupts, according to Xen's log.
pub fn remapping(log: &str) -> Option<bool> {
    let (_, rest) = log.rsplit_once("Interrupt remapping ")?;
    match rest.split_whitespace().next()? {
        "enabled" => Some(true),
        "disabled" => Some(false),
        _ => None,
    }
}

/// The owners of functions: the last list in Xen's log that debug key `Q` printed. A line of it is
/// `(XEN) 0000:00:04.0 - d0 - node -1`.
pub fn owners(log: &str) -> Option<BTreeMap<Sbdf, Owner>> {
    let (_, list) = log.rsplit_once("==== PCI devices ====")?;
    let line = |line: &str| {
        let (front, rest) = line.split_once(" - ")?;
        let sbdf = front.split_whitespace().last()?.parse().ok()?;
        Some((sbdf, owner(rest.split_once(" - ")?.0)?))
    };
    Some(list.lines().filter_map(line).collect())
}

fn owner(text: &str) -> Option<Owner> {
    if text.starts_with("DomIO") || text == "d[IO]" {
        return Some(Owner::Quarantine);
    }
    match text {
        "R/O" | "d[XEN]" => Some(Owner::Xen),
        "NULL" => Some(Owner::Nobody),
        _ => text.strip_prefix('d')?.parse().ok().map(Owner::Domain),
    }
}

/// The guests of assigned functions: the lines `backend/pci/DOMAIN/0/dev-N = "SBDF"` of
/// `xenstore-ls -f`.
pub fn guests(text: &str) -> BTreeMap<Sbdf, u32> {
    let line = |line: &str| {
        let (path, value) = line.split_once(" = ")?;
        let mut path = path.rsplit('/');
        let number = path.next()?.strip_prefix("dev-")?;
        number.parse::<u32>().ok()?;
        let domain = path.nth(1)?.parse().ok()?;
        (path.next()? == "pci").then_some(())?;
        Some((value.trim_matches('"').parse().ok()?, domain))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
(XEN) Interrupt remapping enabled
(XEN) ==== PCI devices ====
(XEN) ==== segment 0000 ====
(XEN) 0000:00:04.0 - d7 - node -1
(XEN) ==== PCI devices ====
(XEN) ==== segment 0000 ====
(XEN) [2026-11-21 11:00:00] 0000:00:12.0 - DomIO:8006 - node -1  - MSIs < 26 >
(XEN) 0000:00:08.0 - d0 - node -1  - MSIs < 25 >
(XEN) 0000:00:03.0 - d3 - node -1
(XEN) 0000:00:02.0 - NULL - node -1
(XEN) 0000:00:01.0 - R/O - node -1
(XEN) something else - that is - new
";

    #[test]
    fn the_last_list_of_owners() {
        let owners = owners(LOG).unwrap();
        let owner = |text: &str| owners.get(&text.parse().unwrap()).copied();
        assert_eq!(owner("00:12.0"), Some(Owner::Quarantine));
        assert_eq!(owner("00:08.0"), Some(Owner::Domain(0)));
        assert_eq!(owner("00:03.0"), Some(Owner::Domain(3)));
        assert_eq!(owner("00:02.0"), Some(Owner::Nobody));
        assert_eq!(owner("00:01.0"), Some(Owner::Xen));
        assert_eq!(owner("00:04.0"), None);
        assert_eq!(owners.len(), 5);
    }

    #[test]
    fn no_list() {
        assert_eq!(owners("(XEN) nothing\n"), None);
    }

    #[test]
    fn interrupt_remapping() {
        assert_eq!(remapping(LOG), Some(true));
        assert_eq!(remapping("Interrupt remapping disabled\n"), Some(false));
        assert_eq!(remapping("Interrupt remapping "), None);
        assert_eq!(remapping(""), None);
    }

    #[test]
    fn capabilities() {
        let text = "release : 7.2\nvirt_caps              : pv hvm hvm_directio\n";
        let words = info(text, "virt_caps").unwrap();
        assert_eq!(words, ["pv", "hvm", "hvm_directio"]);
        assert_eq!(info(text, "virt"), None);
    }

    #[test]
    fn functions_of_guests() {
        let text = "\
backend/pci = \"\"
backend/pci/3 = \"\"
backend/pci/3/0/frontend = \"/local/domain/3/device/pci/0\"
backend/pci/3/0/dev-0 = \"0000:00:04.0\"
backend/pci/3/0/vdev-0 = \"0000:00:00.00\"
backend/pci/3/0/dev-x = \"0000:00:05.0\"
backend/pci/12/0/dev-1 = \"0000:00:07.0\"
backend/vbd/12/0/dev-1 = \"0000:00:08.0\"
";
        let guests = guests(text);
        let found: Vec<_> = guests
            .iter()
            .map(|(sbdf, domain)| format!("{sbdf} {domain}"))
            .collect();
        assert_eq!(found, ["0000:00:04.0 3", "0000:00:07.0 12"]);
    }
}
