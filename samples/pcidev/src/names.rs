// SPDX-License-Identifier: GPL-2.0

//! The names of vendors and devices, from the list that comes with lspci.

use std::fs;

const PATH: &str = "/usr/share/misc/pci.ids";

/// The list: a line for each vendor, followed by a line for each device, after a tab; subsystems
/// follow after two tabs.
pub struct Names(String);

impl Names {
    /// Reads the list. If it is missing, no device has a name.
    pub fn load() -> Self {
        let bytes = fs::read(PATH).unwrap_or_default();
        Self(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// An empty list.
    pub const fn none() -> Self {
        Self(String::new())
    }

    /// The name of a device, with its vendor's; the vendor's alone if the device has none.
    pub fn name(&self, vendor: u16, device: u16) -> Option<String> {
        let vendor = format!("{vendor:04x}  ");
        let device = format!("\t{device:04x}  ");
        let mut lines = self.0.lines();
        let vendor = lines.find_map(|line| line.strip_prefix(&vendor))?;
        let device = lines
            .take_while(|line| line.is_empty() || line.starts_with(['\t', '#']))
            .find_map(|line| line.strip_prefix(&device));
        Some(match device {
            Some(device) => format!("{vendor} {device}"),
            None => vendor.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_names() {
        let names = Names(
            "# comment\n\
             1af4  Red Hat\n\
             \t1000  Net\n\
             \t\t1af4 0001  Subsystem\n\
             # comment\n\
             \t1001  Block\n\
             8086  Intel\n\
             \t10d3  82574L\n\
             \n\
             C 02  Network controller\n"
                .to_owned(),
        );
        let name = |vendor, device| names.name(vendor, device);
        assert_eq!(name(0x1af4, 0x1001).as_deref(), Some("Red Hat Block"));
        assert_eq!(name(0x8086, 0x10d3).as_deref(), Some("Intel 82574L"));
        assert_eq!(name(0x1af4, 0x10d3).as_deref(), Some("Red Hat"));
        assert_eq!(name(0x1234, 0x1000), None);
        assert_eq!(Names::none().name(0x8086, 0x10d3), None);
    }
}
