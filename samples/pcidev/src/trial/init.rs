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
    os::unix::fs::OpenOptionsExt,
    path::{
        Path,
        PathBuf, //
    },
    thread::sleep,
    time::Duration,
};

use nix::{
    kmod::{
        finit_module,
        ModuleInitFlags, //
    },
    libc,
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

use super::exercise::{
    exercise,
    interrupts,
    until, //
};
use crate::sysfs;

/// What stands before the outcome on the console.
pub const MARK: &str = "pcidev-try: ";
/// The option of the kernel that names the function: `pcidev.try=8086:10d3`.
pub const OPTION: &str = "pcidev.try=";
/// The directory of the modules, and the file that has their names in the order of their loading.
pub const MODULES: &str = "modules";
/// See [`MODULES`].
pub const ORDER: &str = "modules/order";

/// How long a driver may take to be bound.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a driver without a module may take.
const BUILT_IN: Duration = Duration::from_secs(5);

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
    /// What the guest's kernel says of firmware that it has not found.
    #[serde(default)]
    pub firmware: Option<String>,
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
    let interrupts = interrupts(&device, did.is_some());
    let is_silent = driver.is_none() || error.is_some() || interrupts.values().all(|n| *n == 0);
    Ok(Outcome {
        firmware: is_silent.then(missing_firmware).flatten(),
        driver,
        interrupts,
        did,
        error,
    })
}

/// What the kernel says of firmware that it has not found.
fn missing_firmware() -> Option<String> {
    let options = { fs::File::options() }
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/kmsg");
    let mut log = options.ok()?;
    let mut line = [0; 8192];
    // Each read is a line, and fails at the end.
    while let Ok(length) = log.read(&mut line) {
        let text = String::from_utf8_lossy(line.get(..length)?);
        if let Some(message) = of_firmware(&text) {
            return Some(message.to_owned());
        }
    }
    None
}

/// The message in a line of `/dev/kmsg`, if it is one of missing firmware.
fn of_firmware(line: &str) -> Option<&str> {
    let (_, message) = line.lines().next()?.split_once(';')?;
    let missing = ["Direct firmware load for ", "firmware: failed to load "];
    missing
        .iter()
        .any(|words| message.contains(words))
        .then_some(message)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_missing_firmware() {
        let line =
            "3,401,1234,-;e100 0000:00:05.0: firmware: failed to load e100/x.bin (-2)\n S=pci\n";
        let message = "e100 0000:00:05.0: firmware: failed to load e100/x.bin (-2)";
        assert_eq!(of_firmware(line), Some(message));
        let other = "4,1,1,-;iwlwifi: Direct firmware load for a failed with error -2\n";
        assert!(of_firmware(other).is_some());
        assert_eq!(
            of_firmware("6,1,1,-;firmware: direct-loading firmware a\n"),
            None
        );
        assert_eq!(of_firmware("nonsense"), None);
    }
}
