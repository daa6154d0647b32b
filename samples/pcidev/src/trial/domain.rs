// SPDX-License-Identifier: GPL-2.0

//! The guest, as dom0 sees it: created, listened to, destroyed.

use std::{
    fs,
    io::Read,
    os::{
        fd::AsFd,
        unix::fs::OpenOptionsExt, //
    },
    path::Path,
    thread::sleep,
    time::{
        Duration,
        Instant, //
    },
};

use nix::{
    libc,
    sys::termios::{
        cfmakeraw,
        tcgetattr,
        tcsetattr,
        SetArg, //
    },
};

use super::{
    image::Image,
    init::{
        Outcome,
        MARK,
        OPTION, //
    },
};
use crate::{
    sbdf::Sbdf,
    sysfs,
    tool, //
};

/// What libxl says if it has deleted the socket of its own device model, as it does on slow
/// machines: creating the guest again helps.
const LOST_SOCKET: &str = "Failed to connect to QMP socket";
const ATTEMPTS: usize = 3;
/// Where logs of guests are.
const LOGS: &str = "/var/log/xen";
const STEP: Duration = Duration::from_millis(200);
/// The lines of the console that are shown if the guest says nothing else.
const LAST_LINES: usize = 8;

/// What the guest is made of.
pub struct Guest<'a> {
    /// The name.
    pub name: &'a str,
    /// The function that it gets.
    pub sbdf: Sbdf,
    /// Vendor and device.
    pub id: &'a str,
    /// The kernel.
    pub kernel: &'a Path,
    /// The root file system.
    pub image: &'a Image,
    /// More options of the kernel.
    pub cmdline: &'a str,
    /// More lines of the configuration.
    pub options: &'a [String],
}

impl Guest<'_> {
    fn config(&self) -> String {
        format!(
            "\
type = \"hvm\"
name = \"{}\"
memory = {}
vcpus = 1
kernel = \"{}\"
ramdisk = \"{}\"
cmdline = \"console=hvc0 loglevel=5 panic=-1 {OPTION}{} {}\"
pci = [ \"{}\" ]
vga = \"none\"
vnc = 0
on_poweroff = \"destroy\"
on_reboot = \"destroy\"
on_crash = \"destroy\"
{}
",
            self.name,
            self.image.memory,
            self.kernel.display(),
            self.image.path.display(),
            self.id,
            self.cmdline,
            self.sbdf,
            self.options.join("\n")
        )
    }

    /// Runs the guest until it has said what came of the trial, for `patience` at most, or until
    /// somebody has interrupted that. It is destroyed in the end.
    pub fn run(
        &self,
        scratch: &Path,
        patience: Duration,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Outcome, String> {
        let config = scratch.join("guest.cfg");
        fs::write(&config, self.config()).map_err(|e| format!("{}: {e}", config.display()))?;
        let path = config.to_string_lossy();
        let mut created = Err(String::new());
        for _ in 0..ATTEMPTS {
            created = tool::run(&["xl", "create", "-q", &path]);
            match &created {
                Err(e) if e.contains(LOST_SOCKET) && !interrupted() => self.destroy(),
                _ => break,
            }
        }
        let outcome = match created {
            Ok(_) => self.listen(patience, interrupted),
            Err(e) => Err(format!("xl create: {e}")),
        };
        self.destroy();
        outcome
    }

    /// Ends it, if it is there.
    fn destroy(&self) {
        let _ = tool::run(&["xl", "destroy", self.name]);
    }

    fn listen(
        &self,
        patience: Duration,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Outcome, String> {
        let began = Instant::now();
        let domain =
            tool::run(&["xl", "domid", self.name]).map_err(|_| "the guest is gone at once")?;
        let node = format!("/local/domain/{}/console/tty", domain.trim());
        let mut said = String::new();
        let mut console = None;
        while began.elapsed() < patience {
            if console.is_none() {
                console = tool::run(&["xenstore-read", &node])
                    .ok()
                    .and_then(|path| open(path.trim()).ok());
            }
            if let Some(console) = &mut console {
                read(console, &mut said);
            }
            if let Some(outcome) = outcome(&said) {
                return outcome;
            }
            if interrupted() {
                return Err("interrupted".to_owned());
            }
            if tool::run(&["xl", "domid", self.name]).is_err() {
                return Err(format!(
                    "the guest has ended without a word{}",
                    last_lines(&said)
                ));
            }
            sleep(STEP);
        }
        Err(format!(
            "the guest has said nothing in {} s{}",
            patience.as_secs(),
            last_lines(&said)
        ))
    }
}

/// Whether the device model of the guest has left a log.
pub fn has_log(name: &str) -> bool {
    Path::new(LOGS).join(format!("qemu-dm-{name}.log")).exists()
}

/// Removes what xl and the device model of the guest have logged.
pub fn remove_logs(name: &str) {
    let directory = Path::new(LOGS);
    // There are second ones, of the guest before.
    let own = format!("-{name}.log");
    for file in sysfs::names(directory) {
        if file.contains(&own) {
            let _ = fs::remove_file(directory.join(file));
        }
    }
}

fn open(path: &str) -> std::io::Result<fs::File> {
    let file = fs::File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
        .open(path)?;
    // Else the terminal would send the guest what it says.
    let mut settings = tcgetattr(file.as_fd())?;
    cfmakeraw(&mut settings);
    tcsetattr(file.as_fd(), SetArg::TCSANOW, &settings)?;
    Ok(file)
}

fn read(console: &mut fs::File, said: &mut String) {
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = console.read(&mut bytes) {
        said.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
}

/// What the guest has said of the trial, once its line is complete.
fn outcome(said: &str) -> Option<Result<Outcome, String>> {
    let (_, rest) = said.rsplit_once(MARK)?;
    let (line, _) = rest.split_once('\n')?;
    Some(serde_json::from_str(line.trim_end()).map_err(|e| format!("the guest says nonsense: {e}")))
}

fn last_lines(said: &str) -> String {
    let lines: Vec<_> = said
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    match last {
        [] => "; its console is empty".to_owned(),
        last => format!("; its console:\n  {}", last.join("\n  ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_on_a_console() {
        assert!(outcome("Linux version 7.2\r\n").is_none());
        assert!(outcome("x\npcidev-try: {\"driver\":").is_none());
        let line =
            r#"pcidev-try: {"driver":"nvme","interrupts":{"MSI-X":9},"did":null,"error":null}"#;
        let found = outcome(&format!("[ 1.0] nvme\r\n{line}\r\n"))
            .unwrap()
            .unwrap();
        assert_eq!(found.driver.as_deref(), Some("nvme"));
        assert_eq!(found.interrupts.get("MSI-X"), Some(&9));
        assert!(outcome("pcidev-try: {}\n").unwrap().is_err());
    }

    #[test]
    fn what_is_left_of_a_console() {
        assert_eq!(last_lines("\r\n"), "; its console is empty");
        assert_eq!(last_lines("a\n\nb\n"), "; its console:\n  a\n  b");
    }
}
