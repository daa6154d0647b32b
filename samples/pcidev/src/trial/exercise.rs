// SPDX-License-Identifier: GPL-2.0

//! Uses the function in the guest for what it is for.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::Path,
    thread::sleep,
    time::{
        Duration,
        Instant, //
    },
};

use super::network;
use crate::sysfs;

/// How long a disk may take to be there, and a network to have a link.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long its first interrupt may take after that.
const SILENCE: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(100);
/// The name of the interrupt that is no message.
pub const INTX: &str = "INTx";
/// How much is read of a disk.
const READ: usize = 1 << 20;

/// Waits until something is found.
pub fn until<T>(patience: Duration, found: impl Fn() -> Option<T>) -> Option<T> {
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
pub fn exercise(device: &Path) -> Result<Option<String>, String> {
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

/// How many interrupts of each kind the function has raised. If it has to have raised one, that may
/// take a while.
pub fn interrupts(device: &Path, is_used: bool) -> BTreeMap<String, u64> {
    let came = || Some(counts(device)).filter(|counts| counts.values().any(|n| *n > 0));
    let waited = is_used.then(|| until(SILENCE, came)).flatten();
    waited.unwrap_or_else(|| counts(device))
}

fn counts(device: &Path) -> BTreeMap<String, u64> {
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
        kinds.insert(INTX.to_owned(), count(&table, &line));
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
