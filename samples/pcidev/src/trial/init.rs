// SPDX-License-Identifier: GPL-2.0

//! What runs in the guest: this program itself, as its first process. It loads the drivers of the
//! function, tries what the function is for, says what came of it on the console, and ends the
//! guest.

use std::{
    collections::BTreeMap,
    fs,
    io::{
        self,
        Read,
        Write, //
    },
    path::{
        Path,
        PathBuf, //
    },
    thread::sleep,
    time::{
        Duration,
        Instant, //
    },
};

use nix::{
    kmod::{
        finit_module,
        ModuleInitFlags, //
    },
    mount::{
        mount,
        MsFlags, //
    },
    sys::reboot::{
        reboot,
        RebootMode, //
    },
};
use serde::{
    Deserialize,
    Serialize, //
};

use super::network;
use crate::sysfs;

/// What stands before the outcome on the console.
pub const MARK: &str = "pcidev-try: ";
/// The option of the kernel that names the function: `pcidev.try=8086:10d3`.
pub const OPTION: &str = "pcidev.try=";
/// The directory of the modules, and the file that has their names in the order of their loading.
pub const MODULES: &str = "modules";
/// See [`MODULES`].
pub const ORDER: &str = "modules/order";

/// How long a driver may take to be bound, and a network to have a link.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a driver without a module may take.
const BUILT_IN: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(100);
/// How much is read of a disk.
const READ: usize = 1 << 20;

/// What came of the trial in a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The driver that was bound to the function.
    pub driver: Option<String>,
    /// How many interrupts of each kind came: `INTx`, `MSI`, `MSI-X`.
    pub interrupts: BTreeMap<String, u64>,
    /// What the function did.
    pub did: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Whether this is the first process of such a guest.
pub fn is_in_guest() -> bool {
    std::process::id() == 1
}

/// Does all of it, and does not return.
pub fn main() -> ! {
    let outcome = tried().unwrap_or_else(|e| Outcome {
        error: Some(format!("the trial itself failed: {e}")),
        ..Outcome::default()
    });
    if let Ok(text) = serde_json::to_string(&outcome) {
        say(&format!("\n{MARK}{text}\n"));
    }
    // For the console to hear it.
    sleep(Duration::from_secs(1));
    let _ = reboot(RebootMode::RB_POWER_OFF);
    loop {
        sleep(PATIENCE);
    }
}

fn say(text: &str) {
    if let Ok(mut console) = fs::File::options().write(true).open("/dev/console") {
        let _ = console.write_all(text.as_bytes());
    }
}

fn tried() -> io::Result<Outcome> {
    for (kind, place) in [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys")] {
        fs::create_dir_all(place)?;
        mount(
            Some(kind),
            place,
            Some(kind),
            MsFlags::empty(),
            None::<&str>,
        )?;
    }
    let cmdline = fs::read_to_string("/proc/cmdline")?;
    let wanted = cmdline
        .split_whitespace()
        .find_map(|word| word.strip_prefix(OPTION));
    let wanted = wanted.ok_or(io::Error::other(
        "the kernel's command line names no function",
    ))?;
    let Some(device) = until(PATIENCE, || find(wanted)) else {
        return Ok(Outcome {
            error: Some(format!("the guest does not see {wanted}")),
            ..Outcome::default()
        });
    };
    let (loaded, error) = load_modules();
    let patience = if loaded > 0 { PATIENCE } else { BUILT_IN };
    let driver = until(patience, || link_name(&device.join("driver")));
    let done = driver.as_ref().map(|_| exercise(&device));
    let (did, error) = match done {
        // That of a module does not matter if another one has the function.
        Some(Ok(did)) => (did, None),
        Some(Err(e)) => (None, Some(e)),
        None => (None, error),
    };
    Ok(Outcome {
        driver,
        interrupts: interrupts(&device),
        did,
        error,
    })
}

fn until<T>(patience: Duration, found: impl Fn() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = found() {
            return Some(found);
        }
        if began.elapsed() > patience {
            return None;
        }
        sleep(STEP);
    }
}

fn link_name(link: &Path) -> Option<String> {
    let target = fs::read_link(link).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

/// The function with this vendor and device.
fn find(wanted: &str) -> Option<PathBuf> {
    let devices = Path::new("/").join(sysfs::DEVICES);
    let hex = |path: &Path, name| {
        let text = sysfs::text(&path.join(name)).unwrap_or_default();
        text.trim_start_matches("0x").to_owned()
    };
    let paths = sysfs::names(&devices)
        .into_iter()
        .map(|name| devices.join(name));
    { paths }.find(|path| format!("{}:{}", hex(path, "vendor"), hex(path, "device")) == wanted)
}

/// Loads all modules. Returns how many there are, and the first error.
fn load_modules() -> (usize, Option<String>) {
    let load = |name: &str| {
        let path = Path::new("/").join(MODULES).join(name);
        let file = fs::File::open(&path).map_err(|e| format!("{name}: {e}"))?;
        match finit_module(file, c"", ModuleInitFlags::empty()) {
            Ok(()) | Err(nix::Error::EEXIST) => Ok(()),
            Err(e) => Err(format!("module {name} cannot be loaded: {e}")),
        }
    };
    let order = sysfs::text(&Path::new("/").join(ORDER)).unwrap_or_default();
    let results: Vec<_> = order.lines().map(load).collect();
    (results.len(), results.into_iter().find_map(Result::err))
}

/// Names in a class of devices that are on the function.
fn on(device: &Path, class: &str) -> Vec<String> {
    let class = Path::new("/sys/class").join(class);
    let device = fs::canonicalize(device).unwrap_or_default();
    let is_on = |name: &String| {
        fs::canonicalize(class.join(name)).is_ok_and(|path| path.starts_with(&device))
    };
    sysfs::names(&class).into_iter().filter(is_on).collect()
}

/// Uses the function for what it is for, and says what it did.
fn exercise(device: &Path) -> Result<Option<String>, String> {
    let class = sysfs::text(&device.join("class")).unwrap_or_default();
    match class.get(2..4) {
        Some("01") => read_disks(device).map(Some),
        Some("02") => has_link(device).map(Some),
        _ => Ok(None),
    }
}

fn read_disks(device: &Path) -> Result<String, String> {
    let is_whole = |name: &String| {
        !Path::new("/sys/class/block")
            .join(name)
            .join("partition")
            .exists()
    };
    let disks = until(PATIENCE, || {
        let disks: Vec<_> = on(device, "block").into_iter().filter(is_whole).collect();
        (!disks.is_empty()).then_some(disks)
    });
    let disks = disks.ok_or("it has no disk")?;
    for disk in &disks {
        let mut file =
            fs::File::open(Path::new("/dev").join(disk)).map_err(|e| format!("{disk}: {e}"))?;
        let mut bytes = vec![0; READ];
        file.read_exact(&mut bytes)
            .map_err(|e| format!("{disk} cannot be read: {e}"))?;
    }
    Ok(format!("1 MiB of {} was read", disks.join(", ")))
}

fn has_link(device: &Path) -> Result<String, String> {
    let nics = until(PATIENCE, || {
        let nics = on(device, "net");
        (!nics.is_empty()).then_some(nics)
    });
    let nics = nics.ok_or("its driver has made no network interface")?;
    let file =
        |nic: &str, name: &str| sysfs::text(&Path::new("/sys/class/net").join(nic).join(name));
    for nic in &nics {
        let index = file(nic, "ifindex").and_then(|index| index.parse().ok());
        network::bring_up(index.unwrap_or_default())
            .map_err(|e| format!("{nic} cannot be brought up: {e}"))?;
    }
    let linked = until(PATIENCE, || {
        nics.iter()
            .find(|nic| file(nic, "carrier").as_deref() == Some("1"))
    });
    match linked {
        Some(nic) => Ok(format!("{nic} has a link")),
        None => Err(format!(
            "no link on {} (is a cable plugged in?)",
            nics.join(", ")
        )),
    }
}

/// How many interrupts of each kind the function has raised.
fn interrupts(device: &Path) -> BTreeMap<String, u64> {
    let table = sysfs::text(Path::new("/proc/interrupts")).unwrap_or_default();
    let mut kinds = BTreeMap::new();
    let messages = sysfs::names(&device.join("msi_irqs"));
    for irq in &messages {
        let kind = match sysfs::text(&device.join("msi_irqs").join(irq)).as_deref() {
            Some("msix") => "MSI-X",
            _ => "MSI",
        };
        *kinds.entry(kind.to_owned()).or_default() += count(&table, irq);
    }
    if messages.is_empty() {
        let line = sysfs::text(&device.join("irq")).unwrap_or_default();
        kinds.insert("INTx".to_owned(), count(&table, &line));
    }
    kinds
}

/// The interrupts of all processors in the line of an irq of `/proc/interrupts`.
fn count(table: &str, irq: &str) -> u64 {
    let line = table.lines().find_map(|line| {
        let (number, rest) = line.split_once(':')?;
        (number.trim() == irq).then_some(rest)
    });
    let numbers = line.unwrap_or_default().split_whitespace();
    numbers.map_while(|word| word.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupts_are_added_up() {
        let table = "\
           CPU0       CPU1
  5:          1          2   IO-APIC   5-edge      eth0
 55:         10         20   PCI-MSIX-0000:00:05.0    0-edge      eth0-rx-0
ERR:          7
";
        assert_eq!(count(table, "5"), 3);
        assert_eq!(count(table, "55"), 30);
        assert_eq!(count(table, "6"), 0);
        assert_eq!(count(table, ""), 0);
    }
}
