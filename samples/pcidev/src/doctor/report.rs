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
        facts::Facts,
        finding::{
            Code,
            Finding,
            Level, //
        },
        function,
        patient::Patient,
        system, //
    },
    sbdf::Sbdf, //
};

/// How wide text is.
const WIDTH: u16 = 100;

/// All that was found.
#[derive(Debug, Serialize)]
pub struct Report {
    system: System,
    functions: Vec<Function>,
}

#[derive(Debug, Serialize)]
struct System {
    title: String,
    works: Vec<String>,
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Function {
    sbdf: Sbdf,
    name: String,
    holder: String,
    /// Its findings count.
    counts: bool,
    works: Vec<String>,
    findings: Vec<Finding>,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was found.
    Well,
    /// A warning, or something that fails.
    Findings,
    /// Nothing was found, but not everything could be looked at.
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
    /// About the system and about `wanted`, or about everything if that is empty.
    pub fn new(facts: &Facts, wanted: &[Sbdf], ignored: &[Code]) -> Self {
        let kept = |mut findings: Vec<Finding>| {
            findings.retain(|finding| !ignored.contains(&finding.code));
            findings
        };
        let (findings, xen) = system::examine(facts);
        let report = |function| {
            let patient = Patient {
                facts,
                xen: xen?,
                function,
            };
            let named = wanted.contains(&function.sbdf);
            // A bridge has nothing to say, and there are many.
            let shown = named || wanted.is_empty() && !function.is_bridge();
            let (works, findings) = function::examine(&patient);
            shown.then(|| Function {
                sbdf: function.sbdf,
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
            functions: facts.functions.iter().filter_map(report).collect(),
        }
    }

    /// The findings that the exit status depends on.
    pub fn counted(&self) -> impl Iterator<Item = &Finding> {
        let functions = self.functions.iter().filter(|function| function.counts);
        let findings = functions.flat_map(|function| &function.findings);
        self.system.findings.iter().chain(findings)
    }

    /// How it ends.
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
            Verdict::Unknown => format!("Not to be told: {}", count(Level::Unknown)),
            Verdict::Findings => format!(
                "Fails: {}, warnings: {}",
                count(Level::Fails),
                count(Level::Warning)
            ),
        };
        found + ", of the system and of functions that are for guests or named."
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut parts = vec![section(
            &self.system.title,
            &self.system.works,
            &self.system.findings,
        )];
        parts.extend(self.functions.iter().map(|function| {
            let title = format!("{} {}: {}", function.sbdf, function.name, function.holder);
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
