// SPDX-License-Identifier: GPL-2.0

//! Takes out what tells whose machine it is: serial numbers, MAC and IP addresses, UUIDs, host
//! names.

use std::collections::BTreeMap;

use regex::{
    Captures,
    Regex, //
};

/// What is replaced, with its name. What is in the group `before` stays.
const RULES: [(&str, &str); 6] = [
    (
        "serial numbers",
        r"(?i)(?P<before>(?:serial number|serial)\b[^\n:=]*?[:= ] *)(?P<secret>\w[^\s,;]*)",
    ),
    (
        "MAC addresses",
        r"(?i)(?P<secret>\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b)",
    ),
    (
        "UUIDs",
        r"(?i)(?P<secret>\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)",
    ),
    (
        "IP addresses",
        r"(?P<secret>\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b)",
    ),
    (
        "IP addresses",
        r"(?i)(?P<secret>\b(?:fe80|f[cd][0-9a-f]{2}|[23][0-9a-f]{3}):[0-9a-f:]*:[0-9a-f]{1,4}\b)",
    ),
    // The numbers in the hexadecimal dump of a function are removed by its own rule.
    ("WWNs", r"(?i)(?P<secret>\b(?:eui|naa)\.[0-9a-f]{16,32}\b)"),
];

const INSTEAD: &str = "REMOVED";

/// What was taken out, and how often.
#[derive(Debug, Default)]
pub struct Redactor {
    host: Option<Regex>,
    removed: BTreeMap<&'static str, usize>,
}

impl Redactor {
    /// One that also takes out the name of this host.
    pub fn new(host: &str) -> Self {
        let short = host.split('.').next().unwrap_or_default();
        // A name such as "xen" is in every second line, and tells nothing.
        let is_telling = short.len() > 3 && !["localhost", "debian", "dom0"].contains(&short);
        let pattern = format!(r"(?i)\b{}(?:\.[\w.-]+)?\b", regex::escape(short));
        Self {
            host: is_telling.then(|| Regex::new(&pattern).ok()).flatten(),
            removed: BTreeMap::new(),
        }
    }

    fn count(&mut self, what: &'static str, number: usize) {
        if number > 0 {
            *self.removed.entry(what).or_default() += number;
        }
    }

    /// Takes it out of a text.
    pub fn redact(&mut self, text: &str) -> String {
        let mut text = self.without_dumped_serials(text);
        for (what, pattern) in RULES {
            let Ok(rule) = Regex::new(pattern) else {
                continue;
            };
            self.count(what, rule.find_iter(&text).count());
            let keep = |found: &Captures<'_>| {
                let before = found.name("before").map_or("", |before| before.as_str());
                format!("{before}{INSTEAD}")
            };
            text = rule.replace_all(&text, keep).into_owned();
        }
        if let Some(host) = self.host.clone() {
            self.count("host names", host.find_iter(&text).count());
            text = host.replace_all(&text, "HOST").into_owned();
        }
        text
    }

    /// `lspci -vvvxxxx` prints a device's serial number once more, in the dump: eight bytes after
    /// the header of the capability.
    fn without_dumped_serials(&mut self, text: &str) -> String {
        let (Ok(title), Ok(row)) = (
            Regex::new(r"Capabilities: \[([0-9a-f]+)[^\]]*\] Device Serial Number"),
            Regex::new(r"^([0-9a-f]{2,3}):((?: [0-9a-f]{2}){16})\s*$"),
        ) else {
            return String::new();
        };
        let mut secret = 0..0;
        let mut lines = Vec::new();
        for line in text.lines() {
            let number = |text: &str| usize::from_str_radix(text, 16).unwrap_or_default();
            if line.trim().is_empty() {
                secret = 0..0;
            } else if let Some(found) = title.captures(line) {
                let at = number(&found[1]);
                secret = at + 4..at + 12;
            }
            let Some(found) = row.captures(line) else {
                lines.push(line.to_owned());
                continue;
            };
            let start = number(&found[1]);
            let bytes = found[2]
                .split_whitespace()
                .enumerate()
                .map(|(index, byte)| {
                    let is_secret = secret.contains(&(start + index));
                    if is_secret { "--" } else { byte }.to_owned()
                });
            lines.push(format!(
                "{}: {}",
                &found[1],
                bytes.collect::<Vec<_>>().join(" ")
            ));
        }
        lines.join("\n") + "\n"
    }

    /// What was taken out, in words.
    pub fn removed(&self) -> String {
        let parts = self
            .removed
            .iter()
            .map(|(what, number)| format!("{what}: {number}"));
        match parts.collect::<Vec<_>>() {
            parts if parts.is_empty() => "nothing".to_owned(),
            parts => parts.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        Redactor::new("falcon.example.org").redact(text)
    }

    #[test]
    fn what_tells_whose_machine_it_is() {
        for (text, wanted) in [
            (
                "\tCapabilities: [140 v1] Device Serial Number 52-54-00-ff-ff-12-34-56",
                "\tCapabilities: [140 v1] Device Serial Number REMOVED",
            ),
            (
                "[SN] Serial number: 5CG1234XYZ",
                "[SN] Serial number: REMOVED",
            ),
            ("eth0: MAC 52:54:00:12:34:56 up", "eth0: MAC REMOVED up"),
            ("inet 192.168.1.17/24", "inet REMOVED/24"),
            ("inet6 fe80::5054:ff:fe12:3456/64", "inet6 REMOVED/64"),
            ("host falcon.example.org, FALCON", "host HOST, HOST"),
            ("uuid 6b29fc40-ca47-1067-b31d-00dd010662da", "uuid REMOVED"),
            ("wwid eui.0025388b910b1234", "wwid REMOVED"),
        ] {
            assert_eq!(redacted(text).trim_end(), wanted);
        }
    }

    /// Addresses of functions, versions, numbers.
    #[test]
    fn what_is_needed_stays() {
        for text in [
            "pciback 0000:03:00.0: 8086:10d3 seized, reset by flr",
            "Xen 4.20.5-pre, PVH dom0, Linux 7.2.12+deb13-amd64",
            "(XEN) 0000:00:12.0 - d0 - node -1  - MSIs < 26 >",
            "serial8250: ttyS0 at I/O 0x3f8",
            "BAR 0: 0xfea80000-0xfea9ffff",
            "00:04.0 Ethernet controller [0200]: Intel 82574L [8086:10d3]",
            "[   12.345678] QEMU 10.0.3",
        ] {
            assert_eq!(redacted(text).trim_end(), text);
        }
    }

    #[test]
    fn serials_in_dumps() {
        let text = "\
04:00.0 Ethernet controller
\tCapabilities: [13c v1] Device Serial Number 52-54-00-ff-ff-12-34-56
130: 00 01 02 03 04 05 06 07 08 09 0a 0b 03 00 01 00
140: 56 34 12 ff ff 00 54 52 08 09 0a 0b 0c 0d 0e 0f

05:00.0 other
140: 56 34 12 ff ff 00 54 52 08 09 0a 0b 0c 0d 0e 0f
";
        let mut redactor = Redactor::new("falcon");
        let text = redactor.redact(text);
        assert!(text.contains(
            "130: 00 01 02 03 04 05 06 07 08 09 0a 0b 03 00 01 00\n140: -- -- -- -- -- -- -- -- 08"
        ));
        assert!(text.contains("05:00.0 other\n140: 56 34 12"));
        assert_eq!(redactor.removed(), "serial numbers: 1");
    }
}
