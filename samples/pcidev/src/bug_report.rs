// SPDX-License-Identifier: GPL-2.0

//! `pcidev report`: one file with all that a bug report needs, without what tells whose machine it
//! is.

mod redact;

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{
        Path,
        PathBuf, //
    },
};

use crate::{
    doctor,
    error::Error,
    sbdf::Sbdf,
    sysfs,
    tool,
    trial, //
};

use redact::Redactor;

/// The lines of the kernel's log that concern the functions.
const OF_KERNEL: [&str; 9] = [
    "pciback", "pcidev", "xen", "Xen", "DMAR", "AMD-Vi", "AER", "BAR ", "BUG",
];
/// How much of a long log is kept: the end.
const LINES: usize = 2000;

/// A part of the report.
struct Section {
    title: String,
    text: String,
}

/// What to report, and where.
#[derive(Debug)]
pub struct Options {
    /// The functions; by default those for guests, and those that were tried.
    pub functions: Vec<Sbdf>,
    /// The guests, by name or number.
    pub guests: Vec<String>,
    /// Where the report goes to.
    pub file: PathBuf,
    /// Whether each function is to be tried before.
    pub tries: Option<trial::Options>,
}

fn section(title: &str, text: Result<String, String>) -> Section {
    Section {
        title: title.to_owned(),
        text: text.unwrap_or_else(|e| format!("not to be had: {e}\n")),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n") + "\n"
}

fn kernel_log(functions: &[Sbdf]) -> Result<String, String> {
    let concerns = |line: &&str| {
        let of_function = |sbdf: &Sbdf| line.contains(&sbdf.to_string());
        OF_KERNEL.iter().any(|word| line.contains(word)) || functions.iter().any(of_function)
    };
    let log = tool::run(&["dmesg"])?;
    let lines: Vec<_> = log.lines().filter(concerns).collect();
    Ok(last_lines(&lines.join("\n")))
}

fn modules() -> String {
    let mut text = String::new();
    for module in ["xen_pcidev", "xen_pciback"] {
        let directory = Path::new("/sys/module").join(module);
        let file = |name: &str| sysfs::text(&directory.join(name)).unwrap_or_default();
        text += &match directory.exists() {
            true => format!("{module}: {} {}\n", file("version"), file("srcversion")),
            false => format!("{module}: not loaded\n"),
        };
        for name in sysfs::names(&directory.join("parameters")) {
            text += &format!("  {name}={}\n", file(&format!("parameters/{name}")));
        }
    }
    text
}

fn sections(options: &Options, told: &mut dyn FnMut(&str)) -> Result<Vec<Section>, Error> {
    let mut sections = Vec::new();
    if let Some(tries) = &options.tries {
        let signals = trial::Signals::watch().map_err(Error::Signals)?;
        for sbdf in &options.functions {
            let tries = trial::Options {
                sbdf: *sbdf,
                ..tries.clone()
            };
            told(&format!("trying {sbdf}"));
            let text = match trial::run(&tries, &signals, told) {
                Ok(trial) => trial.text() + "\n",
                Err(interrupted @ Error::Interrupted(..)) => return Err(interrupted),
                Err(e) => format!("{e}\n"),
            };
            sections.push(section(&format!("pcidev try {sbdf}"), Ok(text)));
        }
    }
    let mut subjects: Vec<_> = { options.functions.iter() }
        .map(|sbdf| doctor::Subject::Function(*sbdf))
        .collect();
    subjects.extend(options.guests.iter().cloned().map(doctor::Subject::Guest));
    let report = doctor::examine(&subjects, &[])?;
    let functions = match options.functions.as_slice() {
        [] => report.counted_functions(),
        named => named.to_vec(),
    };
    sections.insert(0, section("pcidev doctor", Ok(report.text() + "\n")));
    let groups = doctor::groups(&[]).map(|groups| doctor::text(&groups) + "\n");
    sections.push(section("pcidev groups", groups.map_err(|e| e.to_string())));
    sections.push(section("uname -a", tool::run(&["uname", "-srvm"])));
    sections.push(section("modules and their parameters", Ok(modules())));
    let cmdline = sysfs::text(Path::new("/proc/cmdline")).unwrap_or_default();
    sections.push(section("/proc/cmdline", Ok(cmdline + "\n")));
    sections.push(section("xl info", tool::run(&["xl", "info"])));
    sections.push(section("xl list", tool::run(&["xl", "list"])));
    for sbdf in &functions {
        let sbdf = sbdf.to_string();
        let text = tool::run(&["lspci", "-D", "-vvv", "-nn", "-xxxx", "-s", &sbdf]);
        sections.push(section(&format!("lspci -vvv -nn -xxxx -s {sbdf}"), text));
    }
    sections.push(section("dmesg, in part", kernel_log(&functions)));
    sections.push(section(
        "xl dmesg",
        tool::run(&["xl", "dmesg"]).map(|log| last_lines(&log)),
    ));
    let store = tool::run(&["xenstore-ls", "-f", "/local/domain/0/backend/pci"]);
    sections.push(section("backend/pci in XenStore", store));
    // By their names, also if numbers were given: so the logs are called.
    for guest in report.guests() {
        let path = format!("/var/log/xen/qemu-dm-{guest}.log");
        let log = fs::read(&path).map(|log| last_lines(&String::from_utf8_lossy(&log)));
        sections.push(section(&path, log.map_err(|e| e.to_string())));
    }
    Ok(sections)
}

/// Writes the report, after `told` has heard what is in it.
pub fn write(options: &Options, told: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let host = sysfs::text(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
    let mut redactor = Redactor::new(&host);
    let mut text = String::new();
    told(&format!("{} is going to have:", options.file.display()));
    for section in sections(options, told)? {
        let redacted = redactor.redact(&section.text);
        told(&format!(
            "  {} ({} lines)",
            section.title,
            redacted.lines().count()
        ));
        text += &format!("===== {}\n{}\n", section.title, redacted.trim_end());
    }
    told(&format!("removed: {}", redactor.removed()));
    told("look through it before you send it: names of guests stay, and what else is in the logs");
    // Nobody else is to read it, and nothing that exists is overwritten.
    let file = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&options.file);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|e| Error::Report(options.file.clone(), e))
}
