// SPDX-License-Identifier: GPL-2.0

//! A guest, running or not: why a function does not work in it.

use crate::{
    doctor::{
        facts::{
            Facts,
            Guest,
            Interrupts, //
        },
        finding::{
            Code,
            Finding, //
        },
        guest_config::Named,
        limits,
        patient::list,
    },
    sbdf::Sbdf,
};

/// What QEMU says, what it means, and what to do.
const QEMU: [(&str, &str, &str); 5] = [
    (
        "Mapping of MSI-X (err: 28",
        "its driver wants more interrupts than Xen allows a guest",
        "boot Xen with a larger extra_guest_irqs=, or limit the queues of the guest's driver",
    ),
    (
        "Mapping of MSI-X (err: 61",
        "Xen does not know the MSI-X table of its function",
        "destroy the guest, load xen-pcidev, then xl pci-assignable-remove and \
         pci-assignable-add the function",
    ),
    (
        "Need to enable igd-passthru",
        "the function is at 0000:00:02.0 of the host, where QEMU takes only Intel graphics, with \
         gfx_passthru=\"igd\"",
        "pcidev doctor 00:02.0",
    ),
    (
        "VBIOS image corrupt",
        "QEMU could not read the ROM of the graphics",
        "load xen-pcidev before the function is made assignable",
    ),
    (
        "Assertion `!r->size' failed",
        "QEMU registers the ROM of the graphics twice",
        "load xen-pcidev before the function is made assignable",
    ),
];

/// What QEMU says of all that it could not do for a function.
const QEMU_ERROR: &str = "(err: ";

/// A function that a file names, and that xl does not find among the assignable ones.
fn absent(facts: &Facts, named: &Named) -> Option<Finding> {
    let sbdf = named.sbdf;
    let Some(function) = facts.functions.iter().find(|f| f.sbdf == sbdf) else {
        let text = format!("there is no {sbdf}");
        return Some(Finding::fails(Code::NoFunction, text).remedy("see pcidev list"));
    };
    (!function.seized() && !named.is_seized).then(|| {
        let text = format!("{sbdf} is not assignable: xl refuses it");
        Finding::fails(Code::NoFunction, text).remedy(format!("xl pci-assignable-add {sbdf}"))
    })
}

impl Guest {
    /// Its title in the report.
    pub fn title(&self) -> String {
        match (self.domain, &self.file) {
            (Some(domain), _) => format!("guest {} (domain {domain})", self.name),
            (None, Some(file)) => format!("guest {}, as in {file}", self.name),
            (None, None) => format!("guest {}: does not run", self.name),
        }
    }

    /// What works, and all findings.
    pub fn examine(&self, facts: &Facts) -> (Vec<String>, Vec<Finding>) {
        let unknown = Err(String::new());
        let guests = facts.xen.as_ref().map_or(&unknown, |xen| &xen.guests);
        let functions = self.functions(guests);
        let mut works = Vec::new();
        if !functions.is_empty() {
            works.push(format!("has {}", list(functions.clone())));
        }
        if let Ok(Interrupts { lines, messages }) = self.interrupts {
            works.extend((lines > 0).then(|| format!("INTx lines bound: {lines}")));
            works.extend((messages > 0).then(|| format!("MSI and MSI-X bound: {messages}")));
        }
        let mut findings = Vec::new();
        if self.file.is_none() {
            findings.extend(self.of_qemu());
        }
        match &self.config {
            Some(Ok(config)) => {
                if self.file.is_some() {
                    findings.extend(
                        config
                            .functions
                            .iter()
                            .filter_map(|named| absent(facts, named)),
                    );
                }
                let own = facts
                    .functions
                    .iter()
                    .filter(|f| functions.contains(&f.sbdf));
                findings.extend(limits::of_config(
                    facts,
                    self,
                    config,
                    &own.collect::<Vec<_>>(),
                ));
            }
            Some(Err(why)) if self.file.is_some() => {
                let text = format!("xl does not accept this configuration: {why}");
                findings.push(Finding::fails(Code::GuestConfig, text).remedy("xl -N create FILE"));
            }
            _ => {}
        }
        for error in &self.errors {
            let text = format!("xen-pciback did not give it a function: {error}");
            findings.push(Finding::fails(Code::BackendError, text).remedy("see the kernel log"));
        }
        findings.extend(self.without_function(&functions));
        findings.extend(self.without_interrupt(&functions));
        (works, findings)
    }

    fn of_qemu(&self) -> Vec<Finding> {
        let Some(log) = &self.qemu else {
            let text = "no log of its device model: QEMU was not started, or the log is gone";
            return vec![Finding::unknown(Code::QemuLog, text).remedy(format!(
                "xl -vvv create, and look at /var/log/xen/qemu-dm-{}.log",
                self.name
            ))];
        };
        let said = |words: &str| log.lines().any(|line| line.contains(words));
        let known = QEMU.iter().filter(|(words, ..)| said(words));
        let mut findings: Vec<_> = known
            .map(|(words, text, remedy)| {
                let text = format!("{text} (QEMU: \"{words}\")");
                Finding::fails(Code::QemuLog, text).remedy(*remedy)
            })
            .collect();
        let is_new = |line: &&str| {
            line.contains(QEMU_ERROR) && !QEMU.iter().any(|(words, ..)| line.contains(words))
        };
        if let Some(line) = log.lines().find(is_new) {
            let text = format!(
                "QEMU could not do something for a function: {}",
                line.trim()
            );
            findings.push(Finding::fails(Code::QemuLog, text).remedy("see xl dmesg"));
        }
        findings
    }

    fn without_function(&self, functions: &[Sbdf]) -> Option<Finding> {
        (self.domain.is_some() && functions.is_empty()).then(|| {
            Finding::warning(Code::NoFunction, "it has no function, as XenStore has it")
                .remedy("pci = [ \"SBDF\" ] in its configuration, or xl pci-attach")
        })
    }

    fn without_interrupt(&self, functions: &[Sbdf]) -> Option<Finding> {
        let none = self.interrupts == Ok(Interrupts::default());
        (self.domain.is_some() && !functions.is_empty() && none).then(|| {
            Finding::warning(
                Code::NotBound,
                "no interrupt of its functions is bound: no driver in the guest has enabled one",
            )
            .remedy("look whether the guest has a driver for the function, and what that logs")
        })
    }
}
