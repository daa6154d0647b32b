// SPDX-License-Identifier: GPL-2.0

//! The doctor's report.

use comfy_table::{
    presets,
    ContentArrangement,
    Table, //
};
use serde::Serialize;

use crate::{
    doctor::{
        facts::{
            self,
            Facts, //
        },
        finding::{
            Code,
            Finding,
            Level, //
        },
        function,
        patient::Patient,
        system, //
    },
    function::full_name,
    sbdf::Sbdf, //
};

/// Columns of the text.
const WIDTH: u16 = 100;

/// The whole report.
#[derive(Debug, Serialize)]
pub struct Report {
    system: System,
    guests: Vec<Guest>,
    functions: Vec<Function>,
}

#[derive(Debug, Serialize)]
struct System {
    title: String,
    works: Vec<String>,
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Guest {
    name: String,
    domain: Option<u32>,
    #[serde(skip)]
    title: String,
    works: Vec<String>,
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Function {
    sbdf: Sbdf,
    /// The physical function of a virtual function.
    physfn: Option<Sbdf>,
    name: String,
    holder: String,
    /// Whether its findings count for the exit status.
    counts: bool,
    works: Vec<String>,
    findings: Vec<Finding>,
}

/// The result, which decides the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No finding above a note.
    Well,
    /// A warning or a failure.
    Findings,
    /// No warning or failure, but some checks were inconclusive.
    Unknown,
}

fn title(facts: &Facts) -> String {
    let Some(xen) = &facts.xen else {
        return format!("no Xen, Linux {}", facts.kernel);
    };
    let what = if xen.dom0 { "dom0" } else { "guest" };
    let (version, kind) = (&xen.version, &xen.kind);
    format!("Xen {version}, {kind} {what}, Linux {}", facts.kernel)
}

impl Report {
    /// Reports on the system, on the guests that were asked about and their functions, and on
    /// `wanted`; if nothing was asked about, on all functions but bridges.
    pub fn new(facts: &Facts, wanted: &[Sbdf], ignored: &[Code]) -> Self {
        let kept = |mut findings: Vec<Finding>| {
            findings.retain(|finding| !ignored.contains(&finding.code));
            findings
        };
        let (findings, xen) = system::examine(facts);
        let of_guest = |guest: &facts::Guest| {
            let (works, findings) = guest.examine(facts);
            Guest {
                name: guest.name.clone(),
                domain: guest.domain,
                title: guest.title(),
                works,
                findings: kept(findings),
            }
        };
        let mut wanted = wanted.to_vec();
        if let Some(xen) = xen {
            let of_guests = facts
                .guests
                .iter()
                .map(|guest| guest.functions(&xen.guests));
            wanted.extend(of_guests.flatten());
        }
        let shows_all = wanted.is_empty() && facts.guests.is_empty();
        let report = |function| {
            let patient = Patient {
                facts,
                xen: xen?,
                function,
            };
            let named = wanted.contains(&function.sbdf);
            // There are many bridges, and nothing to report of them.
            let shown = named || shows_all && !function.is_bridge();
            let (works, findings) = function::examine(&patient);
            shown.then(|| Function {
                sbdf: function.sbdf,
                physfn: function.physfn,
                name: function.name.clone(),
                holder: patient.holder(),
                counts: named || patient.is_for_guests(),
                works,
                findings: kept(findings),
            })
        };
        Self {
            system: System {
                title: title(facts),
                works: xen.map_or_else(Vec::new, |xen| system::works(facts, xen)),
                findings: kept(findings),
            },
            guests: facts.guests.iter().map(of_guest).collect(),
            functions: facts.functions.iter().filter_map(report).collect(),
        }
    }

    /// The functions whose findings count.
    pub fn counted_functions(&self) -> Vec<Sbdf> {
        let functions = self.functions.iter().filter(|function| function.counts);
        functions.map(|function| function.sbdf).collect()
    }

    /// The names of the guests.
    pub fn guests(&self) -> impl Iterator<Item = &str> {
        self.guests.iter().map(|guest| guest.name.as_str())
    }

    /// The findings that the exit status depends on.
    pub fn counted(&self) -> impl Iterator<Item = &Finding> {
        let functions = self.functions.iter().filter(|function| function.counts);
        let findings = functions.flat_map(|function| &function.findings);
        let of_guests = self.guests.iter().flat_map(|guest| &guest.findings);
        self.system.findings.iter().chain(of_guests).chain(findings)
    }

    /// The result.
    pub fn verdict(&self) -> Verdict {
        match self.counted().map(|finding| finding.level).max() {
            Some(Level::Fails | Level::Warning) => Verdict::Findings,
            Some(Level::Unknown) => Verdict::Unknown,
            Some(Level::Note) | None => Verdict::Well,
        }
    }

    fn summary(&self) -> String {
        let count = |level| self.counted().filter(|f| f.level == level).count();
        let found = match self.verdict() {
            Verdict::Well => "All is well".to_owned(),
            Verdict::Unknown => match count(Level::Unknown) {
                1 => "1 check inconclusive".to_owned(),
                many => format!("{many} checks inconclusive"),
            },
            Verdict::Findings => format!(
                "Fails: {}, warnings: {}",
                count(Level::Fails),
                count(Level::Warning)
            ),
        };
        found + " (system, functions for guests, what was named)."
    }

    /// The report as text.
    pub fn text(&self) -> String {
        let mut parts = vec![section(
            &self.system.title,
            &self.system.works,
            &self.system.findings,
        )];
        let guests = self.guests.iter();
        parts.extend(guests.map(|guest| section(&guest.title, &guest.works, &guest.findings)));
        parts.extend(self.functions.iter().map(|function| {
            let name = full_name(&function.name, function.physfn);
            let title = format!("{} {name}: {}", function.sbdf, function.holder);
            section(&title, &function.works, &function.findings)
        }));
        parts.push(self.summary());
        parts.join("\n\n")
    }
}

fn section(title: &str, works: &[String], findings: &[Finding]) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    if !works.is_empty() {
        table.add_row(["works", &works.join("; ")]);
    }
    for finding in findings {
        let text = format!("{}: {}", finding.code.name(), finding.text);
        table.add_row([finding.level.name(), &text]);
        if let Some(remedy) = &finding.remedy {
            table.add_row(["", &format!("-> {remedy}")]);
        }
    }
    let mut lines = vec![title.to_owned()];
    lines.extend(table.lines().map(|line| format!(" {}", line.trim_end())));
    lines.join("\n").trim_end().to_owned()
}
