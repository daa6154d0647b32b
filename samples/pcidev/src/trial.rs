// SPDX-License-Identifier: GPL-2.0

//! `pcidev try`: does passthrough of a function work on this machine?
//!
//! Gives the function to a tiny guest and takes it back. The guest is the running kernel with the
//! modules that the function needs, and this program as its first process, so nothing has to be
//! installed.
//!
//! * [`image`] makes the root file system, [`domain`] runs the guest.
//! * [`init`] is what runs in it, with [`network`].

mod domain;
mod image;
mod init;
mod network;

use std::{
    path::{
        Path,
        PathBuf, //
    },
    time::{
        Duration,
        Instant, //
    },
};

use comfy_table::{
    presets,
    Cell,
    CellAlignment,
    Table, //
};
use serde::Serialize;

pub use init::{
    is_in_guest,
    main as in_guest,
    Outcome, //
};

use crate::{
    doctor,
    error::Error,
    sbdf::Sbdf,
    sysfs::{
        self,
        Directory, //
    },
    tool, //
};

const PCIBACK: &str = "pciback";
/// How long a returned function may take to be reset.
const RESET: Duration = Duration::from_secs(70);
const STEP: Duration = Duration::from_millis(200);

/// What to try, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The function.
    pub sbdf: Sbdf,
    /// Whether to take it from dom0 although that uses it.
    pub force: bool,
    /// The guest's kernel, if not the running one.
    pub kernel: Option<PathBuf>,
    /// More options of the guest's kernel.
    pub cmdline: String,
    /// How long a guest may take.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sbdf: Sbdf::default(),
            force: false,
            kernel: None,
            cmdline: String::new(),
            patience: Duration::from_secs(180),
        }
    }
}

/// One case of the trial.
#[derive(Debug, Serialize)]
struct Case {
    name: &'static str,
    /// What the guest says; `null` if it could not be asked.
    outcome: Option<Outcome>,
    /// What was done in dom0.
    did: Option<String>,
    /// What went wrong.
    error: Option<String>,
    seconds: f64,
}

/// The whole trial.
#[derive(Debug, Serialize)]
pub struct Trial {
    sbdf: Sbdf,
    name: String,
    cases: Vec<Case>,
    passed: bool,
}

/// The function in sysfs.
struct Device {
    sbdf: Sbdf,
    directory: Directory,
}

impl Device {
    fn driver(&self) -> Option<String> {
        self.directory.link("driver")
    }

    fn is_seized(&self) -> bool {
        self.driver().as_deref() == Some(PCIBACK)
    }

    fn assign(&self) -> Result<(), String> {
        if self.is_seized() {
            return Ok(());
        }
        tool::run(&["xl", "pci-assignable-add", &self.sbdf.to_string()])?;
        if self.is_seized() {
            return Ok(());
        }
        Err("xl has not bound it to pciback".to_owned())
    }

    /// Waits until it is ready for the next guest, and says how it was reset. Only the Rust
    /// xen-pciback tells.
    fn wait_until_reset(&self) -> Result<Option<String>, String> {
        let began = Instant::now();
        loop {
            match self.directory.text("pciback/state").as_deref() {
                None | Some("clean" | "touched") => {
                    let method = self.directory.text("pciback/reset");
                    return Ok(method.map(|method| match method.as_str() {
                        "none" => "not reset: no method".to_owned(),
                        method => format!("by {method}"),
                    }));
                }
                Some("broken") => return Err("its reset failed".to_owned()),
                Some(state) if began.elapsed() > RESET => {
                    return Err(format!("still {state} after {} s", RESET.as_secs()))
                }
                Some(_) => std::thread::sleep(STEP),
            }
        }
    }

    /// Gives it back to the driver that it had.
    fn give_back(&self, driver: Option<&str>) -> Result<(), String> {
        let sbdf = self.sbdf.to_string();
        tool::run(&["xl", "pci-assignable-remove", "-r", &sbdf])?;
        match (driver, self.driver()) {
            (wanted, found) if wanted == found.as_deref() => Ok(()),
            (wanted, found) => Err(format!(
                "its driver is {}, not {}",
                found.as_deref().unwrap_or("none"),
                wanted.unwrap_or("none")
            )),
        }
    }
}

/// Tries the function. `told` hears of each step.
pub fn run(options: &Options, told: &mut dyn FnMut(&str)) -> Result<Trial, Error> {
    let sbdf = options.sbdf;
    let device = Device {
        sbdf,
        directory: Directory::new(Path::new("/"), sbdf),
    };
    let patient = doctor::for_trial(sbdf)?;
    if !patient.uses.is_empty() && !options.force {
        let uses = patient.uses.join(", ");
        let text = format!("dom0 uses {sbdf} for {uses}: --force takes it all the same");
        return Err(Error::Trial(text));
    }
    let kernel = options.kernel.clone().unwrap_or_else(running_kernel);
    if !kernel.exists() {
        let text = format!("{}: no such kernel: name one by --kernel", kernel.display());
        return Err(Error::Trial(text));
    }
    let id = |name| device.directory.number(name).unwrap_or_default();
    let id = format!("{:04x}:{:04x}", id("vendor"), id("device"));
    let modalias = device.directory.text("modalias").unwrap_or_default();

    let scratch = image::Scratch::new().map_err(Error::Trial)?;
    let image = image::make(&scratch.0, &modalias).map_err(Error::Trial)?;
    let before = device.driver();
    let name = format!("pcidev-try-{}", std::process::id());
    let mut cases = Cases {
        all: Vec::new(),
        told,
    };
    if cases.step("taken from dom0", || device.assign().map(|()| None)) {
        let has_line = patient
            .has_line
            .then_some(("in a guest, INTx", "pci=nomsi"));
        for (case, more) in [Some(("in a guest", "")), has_line].into_iter().flatten() {
            let guest = domain::Guest {
                name: &name,
                sbdf,
                id: &id,
                kernel: &kernel,
                image: &image,
                cmdline: &format!("{} {more}", options.cmdline),
                options: &patient.options,
            };
            let has_driver = cases.guest(case, || guest.run(&scratch.0, options.patience));
            let is_reset = cases.step("reset", || device.wait_until_reset());
            if !has_driver || !is_reset {
                break;
            }
        }
    }
    // Also if it was only taken from its driver.
    if device.driver() != before {
        cases.step("given back to dom0", || {
            device.give_back(before.as_deref()).map(|()| None)
        });
    }
    let cases = cases.all;
    let passed = cases.iter().all(|case| case.error.is_none());
    Ok(Trial {
        sbdf,
        name: patient.name,
        cases,
        passed,
    })
}

/// The cases so far.
struct Cases<'a> {
    all: Vec<Case>,
    told: &'a mut dyn FnMut(&str),
}

impl Cases<'_> {
    fn add(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<(Option<Outcome>, Option<String>), String>,
    ) {
        (self.told)(name);
        let began = Instant::now();
        let ((outcome, did), error) = match work() {
            Ok(done) => (done, None),
            Err(e) => ((None, None), Some(e)),
        };
        self.all.push(Case {
            name,
            error: error.or_else(|| complaint(outcome.as_ref()?)),
            outcome,
            did,
            seconds: began.elapsed().as_secs_f64(),
        });
    }

    /// Returns whether it worked.
    fn step(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<Option<String>, String>,
    ) -> bool {
        self.add(name, || work().map(|did| (None, did)));
        self.all.last().is_some_and(|case| case.error.is_none())
    }

    /// Returns whether a driver had the function.
    fn guest(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<Outcome, String>,
    ) -> bool {
        self.add(name, || work().map(|outcome| (Some(outcome), None)));
        let outcome = self.all.last().and_then(|case| case.outcome.as_ref());
        outcome.is_some_and(|outcome| outcome.driver.is_some())
    }
}

/// What keeps a guest's outcome from being a success.
fn complaint(outcome: &Outcome) -> Option<String> {
    let is_silent = outcome.interrupts.values().sum::<u64>() == 0;
    match (&outcome.error, &outcome.driver) {
        (Some(error), Some(_)) if is_silent => Some(format!("{error}; and no interrupt came")),
        (Some(error), _) => Some(error.clone()),
        (None, None) => Some("no driver of this kernel takes it in the guest".to_owned()),
        (None, Some(_)) => {
            let has_to = outcome.did.is_some() && is_silent;
            has_to.then(|| "no interrupt came in the guest".to_owned())
        }
    }
}

fn running_kernel() -> PathBuf {
    let release = sysfs::text(Path::new("/proc/sys/kernel/osrelease")).unwrap_or_default();
    Path::new("/boot").join(format!("vmlinuz-{release}"))
}

impl Trial {
    /// Whether all of it worked.
    pub fn passed(&self) -> bool {
        self.passed
    }

    /// As text.
    pub fn text(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(["CASE", "DRIVER", "INTERRUPTS", "SECONDS", "RESULT"]);
        for case in &self.cases {
            let outcome = case.outcome.clone().unwrap_or_default();
            let interrupts: Vec<_> = outcome
                .interrupts
                .iter()
                .map(|(kind, count)| format!("{count} {kind}"))
                .collect();
            let did = outcome.did.or_else(|| case.did.clone());
            let result = match (&case.error, did) {
                (Some(error), _) => format!("fails: {error}"),
                (None, Some(did)) => did,
                (None, None) => "works".to_owned(),
            };
            table.add_row([
                Cell::new(case.name),
                Cell::new(outcome.driver.as_deref().unwrap_or("-")),
                Cell::new(if interrupts.is_empty() {
                    "-".to_owned()
                } else {
                    interrupts.join(", ")
                }),
                Cell::new(format!("{:.1}", case.seconds)).set_alignment(CellAlignment::Right),
                Cell::new(result),
            ]);
        }
        let lines: Vec<_> = table.lines().map(|line| line.trim().to_owned()).collect();
        let verdict = if self.passed { "PASS" } else { "FAIL" };
        format!(
            "{} {}\n\n{}\n\n{verdict}",
            self.sbdf,
            self.name,
            lines.join("\n")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(driver: Option<&str>, interrupts: u64, did: Option<&str>) -> Outcome {
        Outcome {
            driver: driver.map(str::to_owned),
            interrupts: [("MSI".to_owned(), interrupts)].into(),
            did: did.map(str::to_owned),
            error: None,
        }
    }

    #[test]
    fn complaints() {
        assert_eq!(complaint(&outcome(Some("nvme"), 9, Some("read"))), None);
        // Nothing had to interrupt.
        assert_eq!(complaint(&outcome(Some("xhci"), 0, None)), None);
        assert!(complaint(&outcome(Some("nvme"), 0, Some("read"))).is_some());
        assert!(complaint(&outcome(None, 0, None)).is_some());
        let unplugged = |interrupts| {
            let error = Some("no link".to_owned());
            let driver = outcome(Some("e1000e"), interrupts, None);
            complaint(&Outcome { error, ..driver })
        };
        assert_eq!(unplugged(1).as_deref(), Some("no link"));
        assert_eq!(
            unplugged(0).as_deref(),
            Some("no link; and no interrupt came")
        );
    }

    #[test]
    fn a_table() {
        let case = |name, outcome, error: Option<&str>| Case {
            name,
            outcome,
            did: None,
            error: error.map(str::to_owned),
            seconds: 1.25,
        };
        let trial = Trial {
            sbdf: "04:00.0".parse().unwrap(),
            name: "82574L".to_owned(),
            cases: vec![
                case("taken from dom0", None, None),
                case(
                    "in a guest",
                    Some(outcome(Some("e1000e"), 7, Some("eth0 has a link"))),
                    None,
                ),
                case(
                    "given back to dom0",
                    None,
                    Some("its driver is none, not e1000e"),
                ),
            ],
            passed: false,
        };
        let words: Vec<_> = trial.text().split_whitespace().map(str::to_owned).collect();
        assert_eq!(
            words.join(" "),
            "0000:04:00.0 82574L CASE DRIVER INTERRUPTS SECONDS RESULT taken from dom0 - - 1.2 \
             works in a guest e1000e 7 MSI 1.2 eth0 has a link given back to dom0 - - 1.2 fails: \
             its driver is none, not e1000e FAIL"
        );
    }
}
