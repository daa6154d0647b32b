// SPDX-License-Identifier: GPL-2.0

//! What was tried, and what came of it.

use std::time::Instant;

use comfy_table::{
    presets,
    Cell,
    CellAlignment,
    Table, //
};
use serde::Serialize;

use super::{
    exercise::INTX,
    init::Outcome, //
};
use crate::sbdf::Sbdf;

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
    /// What the guest lacked, in words.
    left_out: Option<String>,
    /// The command that explains the log of the guest's device model, if there is one.
    see: Option<String>,
    passed: bool,
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
        let mut parts = vec![format!("{} {}", self.sbdf, self.name), lines.join("\n")];
        parts.extend(self.left_out.clone());
        parts.extend(
            { self.see.iter() }
                .map(|command| format!("for the log of the device model: {command}")),
        );
        parts.push(if self.passed { "PASS" } else { "FAIL" }.to_owned());
        parts.join("\n\n")
    }
}

/// The cases so far.
pub struct Cases<'a> {
    all: Vec<Case>,
    told: &'a mut dyn FnMut(&str),
}

impl<'a> Cases<'a> {
    /// None yet. `told` hears of each.
    pub fn new(told: &'a mut dyn FnMut(&str)) -> Self {
        Self {
            all: Vec::new(),
            told,
        }
    }

    /// Whether all of them worked.
    pub fn passed(&self) -> bool {
        self.all.iter().all(|case| case.error.is_none())
    }

    /// All of them.
    pub fn end(
        self,
        sbdf: Sbdf,
        name: String,
        left_out: Option<String>,
        see: Option<String>,
    ) -> Trial {
        Trial {
            sbdf,
            name,
            left_out,
            see,
            passed: self.passed(),
            cases: self.all,
        }
    }

    /// What went wrong in the last one.
    pub fn error(&self) -> &str {
        let error = self.all.last().and_then(|case| case.error.as_deref());
        error.unwrap_or_default()
    }

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
            error: error.or_else(|| of_guest(outcome.as_ref()?)),
            outcome,
            did,
            seconds: began.elapsed().as_secs_f64(),
        });
    }

    /// A step in dom0. Returns whether it worked.
    pub fn step(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<Option<String>, String>,
    ) -> bool {
        self.add(name, || work().map(|did| (None, did)));
        self.all.last().is_some_and(|case| case.error.is_none())
    }

    /// A guest. Returns whether a driver has used the function with MSI or MSI-X.
    pub fn guest(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<Outcome, String>,
    ) -> bool {
        self.add(name, || work().map(|outcome| (Some(outcome), None)));
        let outcome = self.all.last().and_then(|case| case.outcome.as_ref());
        outcome.is_some_and(|outcome| {
            outcome.driver.is_some() && outcome.interrupts.keys().any(|kind| kind != INTX)
        })
    }
}

/// What keeps a guest's outcome from being a success, and may be the reason.
fn of_guest(outcome: &Outcome) -> Option<String> {
    let complaint = complaint(outcome)?;
    Some(match &outcome.firmware {
        Some(message) => format!("{complaint} (the guest's kernel: {message})"),
        None => complaint,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(driver: Option<&str>, interrupts: u64, did: Option<&str>) -> Outcome {
        Outcome {
            driver: driver.map(str::to_owned),
            interrupts: [("MSI".to_owned(), interrupts)].into(),
            did: did.map(str::to_owned),
            error: None,
            firmware: None,
        }
    }

    #[test]
    fn complaints_name_missing_firmware() {
        let mut outcome = outcome(None, 0, None);
        outcome.firmware = Some("failed to load x.bin".to_owned());
        let text = of_guest(&outcome).unwrap();
        assert!(
            text.ends_with("guest (the guest's kernel: failed to load x.bin)"),
            "{text}"
        );
        outcome.driver = Some("x".to_owned());
        assert_eq!(of_guest(&outcome), None);
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
            left_out: Some("the guest has not all firmware".to_owned()),
            see: Some("pcidev doctor pcidev-try-7".to_owned()),
            passed: false,
        };
        let words: Vec<_> = trial.text().split_whitespace().map(str::to_owned).collect();
        assert_eq!(
            words.join(" "),
            "0000:04:00.0 82574L CASE DRIVER INTERRUPTS SECONDS RESULT taken from dom0 - - 1.2 \
             works in a guest e1000e 7 MSI 1.2 eth0 has a link given back to dom0 - - 1.2 fails: \
             its driver is none, not e1000e the guest has not all firmware for the log of the \
             device model: pcidev doctor pcidev-try-7 FAIL"
        );
    }
}
