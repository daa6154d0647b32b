// SPDX-License-Identifier: GPL-2.0

//! The facts from which findings are derived.

use std::{
    collections::BTreeMap,
    ops::Range, //
};

use crate::{
    doctor::{
        config::Config,
        guest_config::GuestConfig, //
    },
    sbdf::Sbdf,
    uapi::Region, //
};

/// A fact, or why it is not known.
pub type Probe<T> = Result<T, String>;

/// All facts.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The kernel's release, as `uname -r`.
    pub kernel: String,
    /// Whether configuration space can be read in full, as root can.
    pub privileged: bool,
    /// The hypervisor; `None` on a machine without Xen.
    pub xen: Option<Xen>,
    /// The module xen-pcidev, if it is loaded.
    pub pcidev: Option<Pcidev>,
    /// The module xen-pciback, if it is loaded.
    pub pciback: Option<Pciback>,
    /// Whether the Rust xen-pciback is installed where modprobe prefers it.
    pub ours_is_installed: bool,
    /// All PCI functions, in the order of their addresses.
    pub functions: Vec<Function>,
    /// Functions in segments above 0xffff.
    pub beyond: Vec<String>,
    /// The guests that were asked about.
    pub guests: Vec<Guest>,
}

/// The hypervisor.
#[derive(Clone, Debug)]
pub struct Xen {
    /// The version in full.
    pub version: String,
    /// Its first two numbers.
    pub release: Option<(u32, u32)>,
    /// What this domain is: `PV`, `PVH` or `HVM`.
    pub kind: String,
    /// Whether this domain is dom0.
    pub dom0: bool,
    /// What `xl info` calls `virt_caps`.
    pub capabilities: Probe<Vec<String>>,
    /// Whether the IOMMU remaps interrupts; `None` if Xen's log does not say.
    pub remapping: Option<bool>,
    /// The number of interrupts that a guest can have for its functions (`extra_guest_irqs`).
    pub guest_irqs: u32,
    /// The owner of each function in Xen.
    pub owners: Probe<BTreeMap<Sbdf, Owner>>,
    /// The guest of each assigned function in XenStore.
    pub guests: Probe<BTreeMap<Sbdf, u32>>,
}

impl Xen {
    /// Whether this domain is PVH.
    pub fn is_pvh(&self) -> bool {
        self.kind == "PVH"
    }
}

/// The owner of a function in Xen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A domain, 0 for dom0.
    Domain(u32),
    /// Xen's quarantine.
    Quarantine,
    /// Xen itself; dom0 can read it at most.
    Xen,
    /// No owner: Xen refused it.
    Nobody,
}

/// Parameters of xen-pcidev.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "named as the parameters")]
pub struct Pcidev {
    pub unmask: bool,
    pub lend: bool,
    pub reset: bool,
    pub hold: bool,
    pub guard: bool,
    pub vbt: bool,
}

/// Which xen-pciback is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pciback {
    /// The stock driver.
    Stock,
    /// The Rust driver.
    Ours {
        /// Parameter `tell`: whether it tells Xen of resets.
        tell: bool,
        /// Parameter `pv`: whether it serves PV guests.
        serves_pv: bool,
    },
}

/// A PCI function.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// The address.
    pub sbdf: Sbdf,
    /// The vendor's and the device's name, or their numbers.
    pub name: String,
    /// The vendor's number.
    pub vendor: u32,
    /// The class code.
    pub class: u32,
    /// The driver's name.
    pub driver: Option<String>,
    /// The only driver that may have it, if somebody has chosen one.
    pub driver_override: Option<String>,
    /// What dom0 itself uses it for, in words.
    pub uses: Vec<String>,
    /// The physical function of an SR-IOV virtual function.
    pub physfn: Option<Sbdf>,
    /// The number of its virtual functions.
    pub virtual_functions: u32,
    /// Configuration space, if all of it can be read.
    pub config: Option<Config>,
    /// The BARs and the ROM, with holes.
    pub resources: Vec<Resource>,
    /// The reset methods of Linux, best first.
    pub reset: Vec<String>,
    /// The GSI of its INTx pin, if xen-pcidev knows one.
    pub gsi: Option<u32>,
    /// State of the MSI-X table in xen-pcidev: `free`, `held` or `refused`.
    pub msix: Option<String>,
    /// Its state in the Rust xen-pciback, such as `clean`.
    pub state: Option<String>,
    /// Whether firmware started on this display.
    pub boot_display: bool,
    /// The bridges above it, nearest first.
    pub bridges: Vec<Sbdf>,
    /// The memory that firmware reserved for it, if xen-pcidev can tell.
    pub reserved: Option<Vec<Region>>,
    /// What xen-pcidev says of the OpRegion of Intel graphics: version and size of the extended
    /// VBT, or `invalid: ` and the reason. Only root is told.
    pub opregion: Option<String>,
    /// The stolen memory of Intel graphics, if its registers can be read.
    pub stolen_memory: Option<Range<u64>>,
    /// Others in its IOMMU group, where Linux has the IOMMU.
    pub group: Vec<Sbdf>,
}

impl Function {
    /// Whether it is bound to xen-pciback.
    pub fn seized(&self) -> bool {
        self.driver.as_deref() == Some("pciback")
    }

    /// Whether it is a bridge. "Other" bridges (class 0680) are functions like others, such as
    /// switches between GPUs; xen-pciback has the same rule.
    pub fn is_bridge(&self) -> bool {
        self.class >> 16 == 0x06 && self.class >> 8 != 0x0680
    }
}

/// A BAR or the ROM, as a line of `resource`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// The first address.
    pub start: u64,
    /// The last address.
    pub end: u64,
    /// Linux' `IORESOURCE_*`.
    pub flags: u64,
}

impl Resource {
    /// Index of the ROM, after the BARs.
    pub const ROM: usize = 6;

    const MEMORY: u64 = 0x200;
    const WIDE: u64 = 0x10_0000;
    const UNSET: u64 = 0x2000_0000;
    const SHADOW: u64 = 0x2;

    /// Whether it is memory with an address.
    pub fn is_memory(self) -> bool {
        self.flags & Self::MEMORY != 0 && !self.is_unset()
    }

    /// Whether it can be above 4 GiB.
    pub fn is_wide(self) -> bool {
        self.flags & Self::WIDE != 0
    }

    /// Its bytes.
    pub fn size(self) -> u64 {
        self.end.saturating_sub(self.start).saturating_add(1)
    }

    /// Whether Linux found no address for it.
    pub fn is_unset(self) -> bool {
        self.flags & Self::UNSET != 0
    }

    /// For the ROM: whether it is firmware's copy in memory.
    pub fn is_shadow(self) -> bool {
        self.flags & Self::SHADOW != 0
    }
}

/// What is known of a guest.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Its name.
    pub name: String,
    /// Its number, if it exists.
    pub domain: Option<u32>,
    /// The file that it was described by, if it was not asked for by its name.
    pub file: Option<String>,
    /// Its configuration, if it runs or there is a file.
    pub config: Option<Probe<GuestConfig>>,
    /// The log of its device model, of this run or the last one.
    pub qemu: Option<String>,
    /// What backends could not do for it, as XenStore has it.
    pub errors: Vec<String>,
    /// The interrupts of its functions that are bound in Xen.
    pub interrupts: Probe<Interrupts>,
}

/// Numbers of bound interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interrupts {
    /// INTx lines.
    pub lines: usize,
    /// MSI and MSI-X.
    pub messages: usize,
}

impl Guest {
    /// Its functions: as XenStore has it, or as its file says.
    pub fn functions(&self, guests: &Probe<BTreeMap<Sbdf, u32>>) -> Vec<Sbdf> {
        if let (Some(_), Some(Ok(config))) = (&self.file, &self.config) {
            return config.functions.iter().map(|named| named.sbdf).collect();
        }
        let guests = guests.iter().flatten();
        let own = guests.filter(|(_, domain)| Some(**domain) == self.domain);
        own.map(|(sbdf, _)| *sbdf).collect()
    }
}
