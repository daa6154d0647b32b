// SPDX-License-Identifier: GPL-2.0

//! Parses the output of Xen's tools.

use std::collections::BTreeMap;

use crate::{
    doctor::facts::{
        Interrupts,
        Owner,
        Probe, //
    },
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

/// What Xen can do for guests, in `xl info`. The tools of another version of Xen are told nothing.
pub fn capabilities(text: &str) -> Probe<Vec<String>> {
    info(text, "virt_caps").ok_or_else(|| {
        "no virt_caps, which Xen does not tell the tools of another version".to_owned()
    })
}

/// Whether the IOMMU remaps interrupts, according to Xen's log: as Xen says it when it boots, or as
/// debug key `V` prints it for each IOMMU of Intel.
pub fn remapping(log: &str) -> Option<bool> {
    let lines = log.lines().rev();
    let mut known = lines.filter_map(|line| {
        if let Some((_, rest)) = line.split_once("Interrupt Remapping: ") {
            return Some(rest.contains("and enabled"));
        }
        match line.split_once("Interrupt remapping ")?.1.trim_end() {
            "enabled" => Some(true),
            "disabled" => Some(false),
            _ => None,
        }
    });
    known.next()
}

/// The number of interrupts that a guest can have for its functions, from the command line in
/// `xl info`: `extra_guest_irqs=[DOMU][,DOM0]`, where 0 and a missing number stand for the default.
pub fn guest_irqs(info_text: &str) -> u32 {
    const DEFAULT: u32 = 32;
    let words = info(info_text, "xen_commandline").unwrap_or_default();
    let mut options = words.iter().rev();
    let value = options.find_map(|word| word.strip_prefix("extra_guest_irqs="));
    let number = value.and_then(|value| value.split(',').next()?.parse().ok());
    number.filter(|number| *number != 0).unwrap_or(DEFAULT)
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

/// The bound interrupts of a domain, in what debug key `i` has printed to Xen's log.
pub fn interrupts(domain: u32, log: &str) -> Option<Interrupts> {
    let (_, list) = log.rsplit_once("IRQ information:")?;
    let owner = format!("d{domain}:");
    let mut found = Interrupts::default();
    for line in list.lines().filter(|line| line.contains("IRQ:")) {
        let mut words = line.split([' ', ',']);
        if words.any(|word| word.starts_with(&owner)) {
            match line.contains("PCI-MSI") {
                true => found.messages += 1,
                false => found.lines += 1,
            }
        }
    }
    Some(found)
}

/// The errors of a guest's backends, in the output of `xenstore-ls -f /local/domain/0`.
pub fn errors(domain: u32, text: &str) -> Vec<String> {
    let nodes = format!("/error/backend/pci/{domain}/");
    let of_guest = text.lines().filter(|line| line.contains(&nodes));
    let values = of_guest.filter_map(|line| line.split_once("/error = "));
    values
        .map(|(_, text)| text.trim_matches('"').to_owned())
        .collect()
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
        let dump = "(XEN)   Queued Invalidation: supported and enabled.\n";
        let supported = "(XEN)   Interrupt Remapping: supported";
        assert_eq!(
            remapping(&format!("{dump}{supported} and enabled.\n")),
            Some(true)
        );
        assert_eq!(remapping(&format!("{dump}{supported}.\n")), Some(false));
        assert_eq!(remapping("Interrupt remapping "), None);
        assert_eq!(remapping(""), None);
    }

    #[test]
    fn capabilities() {
        let text = "release : 7.2\nvirt_caps              : pv hvm hvm_directio\n";
        let words = super::capabilities(text).unwrap();
        assert_eq!(words, ["pv", "hvm", "hvm_directio"]);
        assert_eq!(info(text, "virt"), None);
        assert!(super::capabilities("release : 7.2\nxen_version : 4.22\n").is_err());
    }

    #[test]
    fn interrupts_of_guests() {
        let number = |options: &str| {
            guest_irqs(&format!(
                "xen_version : 4.20\nxen_commandline        : {options}\n"
            ))
        };
        assert_eq!(number("dom0=pvh"), 32);
        assert_eq!(number("extra_guest_irqs=128 dom0=pvh"), 128);
        assert_eq!(number("extra_guest_irqs=64,1024"), 64);
        assert_eq!(number("extra_guest_irqs=,1024"), 32);
        assert_eq!(number("extra_guest_irqs=64 extra_guest_irqs=0"), 32);
        assert_eq!(guest_irqs(""), 32);
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

    #[test]
    fn bound_interrupts() {
        let log = "\
(XEN) IRQ information:
(XEN)    IRQ:  25 vec:51 PCI-MSI/-X      status=010 aff:{0}/{0} in-flight=0 d3: 95(---),
(XEN) IRQ information:
(XEN)    IRQ:   9 vec:40 IO-APIC-level   status=010 aff:{0}/{0} in-flight=0 d0:  9(---),
(XEN)    IRQ:  20 vec:48 IO-APIC-level   status=010 aff:{0}/{0} in-flight=0 d0: 20(---),d3: 20(---)
(XEN)    IRQ:  26 vec:59 PCI-MSI/-X      status=010 aff:{0}/{0} in-flight=0 d3: 94(-M-)
(XEN)    IRQ:  27 vec:61 PCI-MSI/-X      status=010 aff:{0}/{0} in-flight=0 d3: 93(---)
(XEN)    IRQ:  28 vec:69 PCI-MSI/-X      status=010 aff:{0}/{0} in-flight=0 d31: 93(---)
(XEN)    IRQ:  29 vec:71 PCI-MSI         status=010 aff:{0}/{0} mapped, unbound
";
        let bound = |lines, messages| Some(Interrupts { lines, messages });
        assert_eq!(super::interrupts(3, log), bound(1, 2));
        assert_eq!(super::interrupts(31, log), bound(0, 1));
        assert_eq!(super::interrupts(1, log), bound(0, 0));
        assert_eq!(super::interrupts(1, ""), None);
    }

    #[test]
    fn errors_of_backends() {
        let text = "\
/local/domain/0/error/backend/pci/3/0/error = \"22 no such function\"
/local/domain/0/error/backend/vbd/3/0/error = \"2 no disk\"
/local/domain/0/error/backend/pci/31/0/error = \"5 other\"
";
        assert_eq!(super::errors(3, text), ["22 no such function"]);
    }
}
