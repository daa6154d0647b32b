// SPDX-License-Identifier: GPL-2.0

//! `pcidev try`: does passthrough of a function work on this machine?
//!
//! Gives the function to a tiny guest and takes it back. The guest is the running kernel with the
//! modules that the function needs, and this program as its first process, so nothing has to be
//! installed.
//!
//! * [`device`] takes the function from dom0 and gives it back, whatever [`signals`] come.
//! * [`image`] makes the root file system, with [`firmware`]; [`domain`] runs the guest.
//! * [`init`] is what runs in it, [`exercise`] uses the function, with [`network`].
//! * [`cases`] has the results.

mod cases;
mod device;
mod domain;
mod exercise;
mod firmware;
mod image;
mod init;
mod network;
mod signals;

use std::{
    path::{
        Path,
        PathBuf, //
    },
    time::Duration,
};

pub use init::{
    is_in_guest,
    main as in_guest, //
};
pub use signals::{
    Signal,
    Signals, //
};

use cases::{
    Cases,
    Trial, //
};
use device::Device;

use crate::{
    doctor,
    error::Error,
    sbdf::Sbdf,
    sysfs, //
};

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

/// Tries the function. `told` hears of each step.
pub fn run(
    options: &Options,
    signals: &Signals,
    told: &mut dyn FnMut(&str),
) -> Result<Trial, Error> {
    let sbdf = options.sbdf;
    let device = Device::new(sbdf);
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

    let scratch = image::Scratch::new().map_err(Error::Trial)?;
    let image = image::make(&scratch.0, &device.modalias()).map_err(Error::Trial)?;
    let before = device.driver();
    let name = format!("pcidev-try-{}", std::process::id());
    let mut cases = Cases::new(told);
    let interrupted = || signals.came().is_some();
    if !interrupted() && cases.step("taken from dom0", || device.assign().map(|()| None)) {
        let has_line = patient
            .has_line
            .then_some(("in a guest, INTx", "pci=nomsi"));
        for (case, more) in [Some(("in a guest", "")), has_line].into_iter().flatten() {
            if interrupted() {
                break;
            }
            let guest = domain::Guest {
                name: &name,
                sbdf,
                id: &device.id(),
                kernel: &kernel,
                image: &image,
                cmdline: &format!("{} {more}", options.cmdline),
                options: &patient.options,
            };
            let has_messages = cases.guest(case, || {
                guest.run(&scratch.0, options.patience, &interrupted)
            });
            let is_reset = cases.step("reset", || device.wait_until_reset());
            if !has_messages || !is_reset {
                break;
            }
        }
    }
    // Also if it was only taken from its driver.
    let returned = device.driver() == before
        || cases.step("given back to dom0", || {
            device.give_back(before.as_deref()).map(|()| None)
        });
    if let Some(signal) = signals.came() {
        domain::remove_logs(&name);
        let end = match (returned, before) {
            (true, Some(driver)) => format!("{sbdf} is with {driver} again"),
            (true, None) => format!("{sbdf} has no driver, as before"),
            (false, _) => format!("{sbdf} is not given back: {}", cases.error()),
        };
        return Err(Error::Interrupted(signal, end));
    }
    if cases.passed() {
        domain::remove_logs(&name);
    }
    let see = domain::has_log(&name).then(|| format!("pcidev doctor {name}"));
    Ok(cases.end(sbdf, patient.name, image.left_out, see))
}

fn running_kernel() -> PathBuf {
    let release = sysfs::text(Path::new("/proc/sys/kernel/osrelease")).unwrap_or_default();
    Path::new("/boot").join(format!("vmlinuz-{release}"))
}
