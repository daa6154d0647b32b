// SPDX-License-Identifier: GPL-2.0

//! The function, as dom0 sees it: taken, reset, given back.

use std::{
    path::Path,
    time::{
        Duration,
        Instant, //
    },
};

use crate::{
    sbdf::Sbdf,
    sysfs::Directory,
    tool, //
};

const PCIBACK: &str = "pciback";
/// How long a returned function may take to be reset.
const RESET: Duration = Duration::from_secs(70);
const STEP: Duration = Duration::from_millis(200);

/// The function in sysfs.
pub struct Device {
    sbdf: Sbdf,
    directory: Directory,
}

impl Device {
    /// The function with this address.
    pub fn new(sbdf: Sbdf) -> Self {
        Self {
            sbdf,
            directory: Directory::new(Path::new("/"), sbdf),
        }
    }

    /// Vendor and device.
    pub fn id(&self) -> String {
        let number = |name| self.directory.number(name).unwrap_or_default();
        format!("{:04x}:{:04x}", number("vendor"), number("device"))
    }

    /// What its drivers know it by.
    pub fn modalias(&self) -> String {
        self.directory.text("modalias").unwrap_or_default()
    }

    /// Its driver, if it has one.
    pub fn driver(&self) -> Option<String> {
        self.directory.link("driver")
    }

    fn is_seized(&self) -> bool {
        self.driver().as_deref() == Some(PCIBACK)
    }

    /// Makes it assignable.
    pub fn assign(&self) -> Result<(), String> {
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
    pub fn wait_until_reset(&self) -> Result<Option<String>, String> {
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
    pub fn give_back(&self, driver: Option<&str>) -> Result<(), String> {
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
