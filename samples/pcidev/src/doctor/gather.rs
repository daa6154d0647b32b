// SPDX-License-Identifier: GPL-2.0

//! Gathers the facts from sysfs and from Xen's tools.

use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    },
    process::{
        Command,
        Stdio, //
    },
};

use crate::{
    doctor::{
        config::Config,
        facts::{
            Facts,
            Function,
            Guest,
            Pciback,
            Pcidev,
            Probe,
            Resource,
            Xen, //
        },
        guest_config::GuestConfig,
        igd,
        uses::Uses,
        xen, //
    },
    names::Names,
    sbdf::Sbdf,
    sysfs::{
        self,
        Directory, //
    },
    uapi::Region, //
};

/// Time-out of a tool in seconds: some wait for ever if a daemon is dead.
const PATIENCE: &str = "10";

/// The system to examine.
pub struct System<'a> {
    /// Its root directory.
    pub root: &'a Path,
    /// Runs a command there and returns its output.
    pub run: &'a dyn Fn(&[&str]) -> Probe<String>,
    /// Asks xen-pcidev for the memory that firmware reserved for a function.
    pub reserved: &'a dyn Fn(Sbdf) -> Option<Vec<Region>>,
    /// Asks xen-pcidev for the number of entries of a function's MSI-X table.
    pub entries: &'a dyn Fn(Sbdf) -> Option<u32>,
}

/// Runs a command and returns its output.
pub fn run(words: &[&str]) -> Probe<String> {
    let output = Command::new("timeout")
        .arg(PATIENCE)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot run: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.code() {
        Some(0) => Ok(text(&output.stdout)),
        Some(124) => Err(format!("no answer in {PATIENCE} seconds")),
        _ => {
            let errors = text(&output.stderr);
            let last = errors.trim_end().lines().last().unwrap_or_default();
            Err(format!("{}: {last}", output.status))
        }
    }
}

impl System<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        sysfs::text(&self.path(name))
    }

    fn parameter(&self, module: &str, name: &str) -> Option<bool> {
        let text = self.text(&format!("sys/module/{module}/parameters/{name}"))?;
        Some(text == "Y")
    }

    /// All facts, and those of these guests. Fails with the name of one that nothing is known of.
    pub fn facts(&self, names: &Names, guests: &[String]) -> Result<Facts, String> {
        let kernel = self.text("proc/sys/kernel/osrelease").unwrap_or_default();
        let entries = sysfs::names(&self.path(sysfs::DEVICES));
        let sbdf = |name: &String| name.parse::<Sbdf>().ok();
        let addresses = (self.run)(&["ip", "-json", "address"]).unwrap_or_default();
        let uses = Uses::find(self.root, &addresses);
        let mut functions: Vec<_> = entries
            .iter()
            .filter_map(sbdf)
            .map(|sbdf| self.function(sbdf, names, &uses))
            .collect();
        functions.sort_by_key(|function| function.sbdf);
        let beyond = entries.iter().filter(|name| sbdf(name).is_none());
        let guests = guests.iter().map(|name| {
            self.guest_in(name)
                .or_else(|| self.guest(name))
                .ok_or(name.clone())
        });
        Ok(Facts {
            privileged: functions.iter().all(|function| function.config.is_some()),
            xen: self.xen(),
            pcidev: self.pcidev(),
            pciback: self.pciback(),
            ours_is_installed: self.ours_is_installed(&kernel),
            beyond: beyond.cloned().collect(),
            functions,
            kernel,
            guests: guests.collect::<Result<_, _>>()?,
        })
    }

    /// A guest that a file describes: its name has a slash, or ends as such files do.
    fn guest_in(&self, file: &str) -> Option<Guest> {
        (file.contains('/') || file.ends_with(".cfg")).then(|| {
            let text = (self.run)(&["xl", "-N", "create", "-q", file]);
            let config = text.and_then(|text| parse_config(&text));
            let name = config.as_ref().map(|config| config.name.clone());
            Guest {
                name: name.unwrap_or_else(|_| file.to_owned()),
                domain: None,
                file: Some(file.to_owned()),
                config: Some(config),
                qemu: None,
                errors: Vec::new(),
                interrupts: Err("it does not run".to_owned()),
            }
        })
    }

    /// A guest that exists, or whose device model has left a log.
    fn guest(&self, name: &str) -> Option<Guest> {
        let ask = |words: &[&str]| (self.run)(words).map(|text| text.trim_end().to_owned());
        let known = match name.parse::<u32>() {
            Ok(domain) => ask(&["xl", "domname", name]).map(|name| (name, domain)),
            Err(_) => ask(&["xl", "domid", name]).and_then(|domain| {
                let domain = domain.parse().map_err(|_| domain)?;
                Ok((name.to_owned(), domain))
            }),
        };
        let domain = known.as_ref().ok().map(|(_, domain)| *domain);
        let name = known.map_or(name.to_owned(), |(name, _)| name);
        let qemu = fs::read(self.path(&format!("var/log/xen/qemu-dm-{name}.log"))).ok();
        if domain.is_none() && qemu.is_none() {
            return None;
        }
        let none = || "it does not run".to_owned();
        let list = domain.map(|_| ask(&["xenstore-ls", "-f", "/local/domain/0"]));
        let log = domain.ok_or_else(none).and_then(|_| self.dump("i"));
        let config = domain.map(|domain| ask(&["xl", "list", "-l", &domain.to_string()]));
        Some(Guest {
            domain,
            file: None,
            config: config.map(|text| text.and_then(|text| parse_config(&text))),
            qemu: qemu.map(|log| String::from_utf8_lossy(&log).into_owned()),
            errors: match (domain, list) {
                (Some(domain), Some(Ok(list))) => xen::errors(domain, &list),
                _ => Vec::new(),
            },
            interrupts: log.and_then(|log| {
                xen::interrupts(domain.unwrap_or_default(), &log).ok_or("no list".to_owned())
            }),
            name,
        })
    }

    /// Xen's log, with what a debug key prints to it.
    fn dump(&self, key: &str) -> Probe<String> {
        (self.run)(&["xl", "debug-keys", key]).and_then(|_| (self.run)(&["xl", "dmesg"]))
    }

    fn pcidev(&self) -> Option<Pcidev> {
        let parameter = |name| self.parameter("xen_pcidev", name);
        Some(Pcidev {
            unmask: parameter("unmask")?,
            lend: parameter("lend").unwrap_or(true),
            reset: parameter("reset")?,
            hold: parameter("hold")?,
            guard: parameter("guard")?,
            vbt: parameter("vbt").unwrap_or(false),
        })
    }

    /// Only the Rust driver has the parameter `tell`.
    fn pciback(&self) -> Option<Pciback> {
        if !self.path("sys/module/xen_pciback").exists() {
            return None;
        }
        Some(match self.parameter("xen_pciback", "tell") {
            Some(tell) => Pciback::Ours {
                tell,
                serves_pv: self.parameter("xen_pciback", "pv") == Some(true),
            },
            None => Pciback::Stock,
        })
    }

    /// Finds the module of "make install" or DKMS, compressed or not.
    fn ours_is_installed(&self, kernel: &str) -> bool {
        let updates = format!("lib/modules/{kernel}/updates");
        let directories = [updates.clone(), updates + "/dkms"];
        let mut files = directories.iter().flat_map(|d| sysfs::names(&self.path(d)));
        files.any(|name| name.starts_with("xen-pciback.ko"))
    }

    fn xen(&self) -> Option<Xen> {
        let text = |name: &str| self.text(&format!("sys/hypervisor/{name}"));
        if text("type")? != "xen" {
            return None;
        }
        let number = |name| text(name)?.parse::<u32>().ok();
        let release = number("version/major").zip(number("version/minor"));
        let (major, minor) = release.unwrap_or_default();
        let dom0 = text("start_flags/initdomain").as_deref() == Some("1")
            || self
                .text("proc/xen/capabilities")
                .is_some_and(|c| c.contains("control_d"));
        let ask = |words: &[&str]| match dom0 {
            true => (self.run)(words),
            false => Err("this is not dom0".to_owned()),
        };
        let info = ask(&["xl", "info"]);
        let dump = |key| match dom0 {
            true => self.dump(key),
            false => Err("this is not dom0".to_owned()),
        };
        let log = dump("Q");
        let remapping = log.as_deref().ok().and_then(xen::remapping);
        Some(Xen {
            version: format!(
                "{major}.{minor}{}",
                text("version/extra").unwrap_or_default()
            ),
            release,
            kind: text("guest_type").unwrap_or_else(|| "HVM".to_owned()),
            dom0,
            // Xen says it when it boots, and its log is short.
            remapping: remapping.or_else(|| xen::remapping(&dump("V").ok()?)),
            guest_irqs: xen::guest_irqs(info.as_deref().unwrap_or_default()),
            capabilities: info.and_then(|info| xen::capabilities(&info)),
            owners: log.and_then(|log| xen::owners(&log).ok_or("no list in its log".to_owned())),
            // xenstore-ls fails if the directory is missing; this one always exists.
            guests: ask(&["xenstore-ls", "-f", "/local/domain/0"]).map(|text| xen::guests(&text)),
        })
    }

    fn function(&self, sbdf: Sbdf, names: &Names, uses: &Uses) -> Function {
        let directory = Directory::new(self.root, sbdf);
        let text = |name: &str| directory.text(name);
        let number = |name: &str| directory.number(name).unwrap_or_default();
        let path = directory.real_path().unwrap_or_default();
        let bridges = path.ancestors().skip(1);
        let bridges = bridges.map_while(|path| path.file_name()?.to_str()?.parse().ok());
        let (vendor, device) = (number("vendor"), number("device"));
        let id = u16::try_from(vendor).ok().zip(u16::try_from(device).ok());
        let bytes = directory.config(Config::EXTENDED_SIZE).unwrap_or_default();
        let entries = (self.entries)(sbdf).unwrap_or_default();
        let group = directory.names("iommu_group/devices");
        Function {
            sbdf,
            name: id
                .and_then(|(vendor, device)| names.name(vendor, device))
                .unwrap_or_else(|| format!("{vendor:04x}:{device:04x}")),
            vendor,
            class: number("class"),
            driver: directory.link("driver"),
            driver_override: text("driver_override").filter(|name| name != "(null)"),
            uses: uses.of(sbdf).to_vec(),
            physfn: directory.physfn(),
            virtual_functions: text("sriov_numvfs")
                .and_then(|n| n.parse().ok())
                .unwrap_or_default(),
            config: Config::parse(&bytes).map(|config| Config {
                // Xen hides the MSI-X capability of a VF from dom0.
                msix_entries: config.msix_entries.max(entries),
                ..config
            }),
            resources: text("resource")
                .unwrap_or_default()
                .lines()
                .map(resource)
                .collect(),
            reset: text("reset_method")
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            gsi: text("xen/gsi").and_then(|gsi| gsi.parse().ok()),
            msix: text("xen/msix"),
            state: text("pciback/state"),
            boot_display: text("boot_vga").as_deref() == Some("1"),
            bridges: bridges.collect(),
            reserved: (self.reserved)(sbdf),
            opregion: text("xen/opregion"),
            stolen_memory: igd::stolen_memory(device, &bytes),
            group: group.iter().filter_map(|name| name.parse().ok()).collect(),
        }
    }
}

fn parse_config(text: &str) -> Probe<GuestConfig> {
    GuestConfig::parse(text).ok_or("its output is not understood".to_owned())
}

/// A line of `resource`; a malformed line counts as an absent resource.
fn resource(line: &str) -> Resource {
    let number = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let numbers: Option<Vec<_>> = line.split_whitespace().map(number).collect();
    match numbers.as_deref() {
        Some(&[start, end, flags]) => Resource { start, end, flags },
        _ => Resource::default(),
    }
}
