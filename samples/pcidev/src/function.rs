// SPDX-License-Identifier: GPL-2.0

//! What is known of a PCI function.

use std::path::Path;

use serde::Serialize;

use crate::{
    names::Names,
    sbdf::Sbdf,
    sysfs::Directory,
    uapi, //
};

/// What is known of a PCI function; what is absent is `None`, in JSON `null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Function {
    /// The address.
    pub sbdf: Sbdf,
    /// The global system interrupt of the INTx pin.
    pub gsi: Option<u32>,
    /// The Linux irq of that line.
    pub irq: Option<u32>,
    /// The INTx pin, `A` to `D`.
    pub pin: Option<char>,
    /// `edge` or `level`.
    pub trigger: Option<&'static str>,
    /// `high` or `low`.
    pub polarity: Option<&'static str>,
    /// `none`, `driver` or `pciback`.
    pub holder: &'static str,
    /// The driver's name.
    pub driver: Option<String>,
    /// The guest that the toolstack gave the function to.
    pub domid: Option<u32>,
    /// Entries of the MSI-X table.
    pub msix_entries: u32,
    /// `free`, `held` or `refused`; `None` without MSI-X.
    pub msix: Option<&'static str>,
    /// What our xen-pciback says of it, such as `clean`.
    pub state: Option<String>,
    /// How Linux can reset it, best first.
    pub reset: Option<String>,
    /// The physical function of a virtual function.
    pub physfn: Option<Sbdf>,
    /// The vendor's number.
    pub vendor: Option<u16>,
    /// The device's number.
    pub device: Option<u16>,
    /// The class code: base class, subclass, interface.
    pub class: Option<u32>,
    /// The vendor's and the device's name.
    pub name: Option<String>,
}

/// The name of a function, with its physical function if it is virtual.
pub fn full_name(name: &str, physfn: Option<Sbdf>) -> String {
    match physfn {
        Some(physfn) => format!("{name}, VF of {physfn}"),
        None => name.to_owned(),
    }
}

/// The answer of the kernel, from the words that it consists of.
pub fn info(words: [u32; uapi::Info::SIZE / 4]) -> uapi::Info {
    let [argsz, flags, sbdf, valid, outputs @ ..] = words;
    let [gsi, irq, pin, trigger, polarity, holder, domid, msix_entries, msix] = outputs;
    uapi::Info {
        argsz,
        flags,
        sbdf,
        valid,
        gsi,
        irq,
        pin,
        trigger,
        polarity,
        holder,
        domid,
        msix_entries,
        msix,
    }
}

/// Values that a later kernel module may add.
const UNKNOWN: &str = "unknown";

fn trigger(info: &uapi::Info) -> &'static str {
    if info.trigger == uapi::TRIGGER_LEVEL {
        "level"
    } else {
        "edge"
    }
}

fn polarity(info: &uapi::Info) -> &'static str {
    if info.polarity == uapi::POLARITY_LOW {
        "low"
    } else {
        "high"
    }
}

fn holder(info: &uapi::Info) -> &'static str {
    match info.holder {
        uapi::HOLDER_NONE => "none",
        uapi::HOLDER_DRIVER => "driver",
        uapi::HOLDER_PCIBACK => "pciback",
        _ => UNKNOWN,
    }
}

fn msix(info: &uapi::Info) -> &'static str {
    match info.msix {
        uapi::MSIX_FREE => "free",
        uapi::MSIX_HELD => "held",
        uapi::MSIX_REFUSED => "refused",
        _ => UNKNOWN,
    }
}

impl Function {
    /// Completes what the kernel module knows with what sysfs and the list of names know.
    pub fn new(info: &uapi::Info, names: &Names) -> Self {
        let sbdf = Sbdf::from_u32(info.sbdf);
        let directory = Directory::new(Path::new("/"), sbdf);
        let id = |name| directory.number(name)?.try_into().ok();
        let (vendor, device) = (id("vendor"), id("device"));
        Self {
            driver: directory.link("driver"),
            state: directory.text("pciback/state"),
            reset: directory.text("reset_method"),
            physfn: directory.physfn(),
            vendor,
            device,
            class: directory.number("class"),
            name: vendor.zip(device).and_then(|(v, d)| names.name(v, d)),
            ..Self::from(info)
        }
    }
}

impl From<&uapi::Info> for Function {
    fn from(info: &uapi::Info) -> Self {
        let has = |bit| info.valid & bit != 0;
        Self {
            sbdf: Sbdf::from_u32(info.sbdf),
            gsi: has(uapi::VALID_GSI).then_some(info.gsi),
            irq: has(uapi::VALID_IRQ).then_some(info.irq),
            pin: match info.pin {
                1 => Some('A'),
                2 => Some('B'),
                3 => Some('C'),
                4 => Some('D'),
                _ => None,
            },
            trigger: has(uapi::VALID_GSI).then(|| trigger(info)),
            polarity: has(uapi::VALID_GSI).then(|| polarity(info)),
            holder: holder(info),
            driver: None,
            domid: has(uapi::VALID_DOMID).then_some(info.domid),
            msix_entries: info.msix_entries,
            msix: (info.msix_entries > 0).then(|| msix(info)),
            state: None,
            reset: None,
            physfn: None,
            vendor: None,
            device: None,
            class: None,
            name: None,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A NIC that xen-pciback has.
    pub const NIC: uapi::Info = uapi::Info {
        argsz: 52,
        flags: 0,
        sbdf: 0x20,
        valid: uapi::VALID_GSI | uapi::VALID_IRQ | uapi::VALID_DOMID,
        gsi: 20,
        irq: 24,
        pin: 1,
        trigger: uapi::TRIGGER_LEVEL,
        polarity: uapi::POLARITY_LOW,
        holder: uapi::HOLDER_PCIBACK,
        domid: 3,
        msix_entries: 5,
        msix: uapi::MSIX_HELD,
    };

    #[test]
    fn words_are_the_fields_in_order() {
        assert_eq!(info(NIC.to_words()), NIC);
    }

    #[test]
    fn fields_are_valid_by_their_bits() {
        let all = Function::from(&NIC);
        assert_eq!((all.gsi, all.irq, all.domid), (Some(20), Some(24), Some(3)));
        assert_eq!(
            (all.pin, all.trigger, all.polarity),
            (Some('A'), Some("level"), Some("low"))
        );
        assert_eq!((all.holder, all.msix), ("pciback", Some("held")));

        let none = Function::from(&uapi::Info { valid: 0, ..NIC });
        assert_eq!((none.gsi, none.irq, none.domid), (None, None, None));
        assert_eq!(
            (none.pin, none.trigger, none.polarity),
            (Some('A'), None, None)
        );
    }

    #[test]
    fn a_function_without_anything() {
        let function = Function::from(&uapi::Info::default());
        assert_eq!(
            (function.pin, function.msix, function.holder),
            (None, None, "none")
        );
    }

    #[test]
    fn values_of_a_later_kernel_module() {
        let later = uapi::Info {
            valid: u32::MAX,
            pin: 9,
            holder: 9,
            msix: 9,
            ..NIC
        };
        let function = Function::from(&later);
        assert_eq!((function.pin, function.holder), (None, UNKNOWN));
        assert_eq!(function.msix, Some(UNKNOWN));
    }

    #[test]
    fn json_names_what_is_absent() {
        let json = serde_json::to_value(Function::from(&uapi::Info::default())).unwrap();
        assert_eq!(json["sbdf"], "0000:00:00.0");
        assert!(json["gsi"].is_null());
        assert_eq!(json["holder"], "none");
    }
}
