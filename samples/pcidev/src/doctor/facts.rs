// SPDX-License-Identifier: GPL-2.0

//! What the doctor knows before it concludes anything.

use std::collections::BTreeMap;

use crate::{
    doctor::config::Config,
    sbdf::Sbdf, //
};

/// A fact, or why it is not known.
pub type Known<T> = Result<T, String>;

/// Everything.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The kernel's release, as `uname -r`.
    pub kernel: String,
    /// Configuration space can be read in full, as root can.
    pub privileged: bool,
    /// The hypervisor; `None` on a machine without Xen.
    pub xen: Option<Xen>,
    /// The module xen-pcidev, if it is loaded.
    pub pcidev: Option<Pcidev>,
    /// The module xen-pciback, if it is loaded.
    pub pciback: Option<Pciback>,
    /// Ours is where modprobe prefers it to the kernel's own.
    pub ours_is_installed: bool,
    /// All PCI functions, in the order of their addresses.
    pub functions: Vec<Function>,
    /// Functions in segments that Xen has no numbers for.
    pub beyond: Vec<String>,
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
    /// This domain is dom0.
    pub dom0: bool,
    /// What `xl info` calls `virt_caps`.
    pub capabilities: Known<Vec<String>>,
    /// Interrupts of functions go through the IOMMU; `None` if Xen's log does not say.
    pub remapping: Option<bool>,
    /// Who has which function, as Xen sees it.
    pub owners: Known<BTreeMap<Sbdf, Owner>>,
    /// Which guest has which function, as the toolstack sees it.
    pub guests: Known<BTreeMap<Sbdf, u32>>,
}

impl Xen {
    /// This domain is PVH, which is what all of this is for.
    pub fn is_pvh(&self) -> bool {
        self.kind == "PVH"
    }
}

/// Who has a function, as Xen sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A domain, 0 for dom0.
    Domain(u32),
    /// Nobody: it is in quarantine.
    Quarantine,
    /// Xen itself, which lets dom0 read it at most.
    Xen,
    /// Xen refused it.
    Nobody,
}

/// Parameters of xen-pcidev.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "named as the parameters")]
pub struct Pcidev {
    pub unmask: bool,
    pub reset: bool,
    pub hold: bool,
}

/// Which xen-pciback is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pciback {
    /// The kernel's own.
    Stock,
    /// Ours, with its parameter `tell`.
    Ours {
        /// Xen is told of resets.
        tell: bool,
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
    /// An SR-IOV virtual function.
    pub is_virtual: bool,
    /// How many virtual functions it has.
    pub virtual_functions: u32,
    /// Configuration space, if all of it can be read.
    pub config: Option<Config>,
    /// The BARs and the ROM, with holes.
    pub resources: Vec<Resource>,
    /// How Linux can reset it, best first.
    pub reset: Vec<String>,
    /// The GSI of its INTx pin, if xen-pcidev knows one.
    pub gsi: Option<u32>,
    /// What xen-pcidev says of the MSI-X table: `free`, `held` or `refused`.
    pub msix: Option<String>,
    /// What our xen-pciback says of it, such as `clean`.
    pub state: Option<String>,
    /// The display that the firmware used.
    pub boot_display: bool,
    /// The bridges above it, nearest first.
    pub bridges: Vec<Sbdf>,
    /// Others in its IOMMU group, where Linux has the IOMMU.
    pub group: Vec<Sbdf>,
}

impl Function {
    /// It is bound to xen-pciback.
    pub fn seized(&self) -> bool {
        self.driver.as_deref() == Some("pciback")
    }

    /// It leads to a bus.
    pub fn is_bridge(&self) -> bool {
        self.class >> 16 == 0x06
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
    /// The place of the ROM, after the BARs.
    pub const ROM: usize = 6;

    const MEMORY: u64 = 0x200;
    const UNSET: u64 = 0x2000_0000;
    const SHADOW: u64 = 0x2;

    /// Memory, with an address.
    pub fn is_memory(self) -> bool {
        self.flags & Self::MEMORY != 0 && !self.is_unset()
    }

    /// No address was found for it.
    pub fn is_unset(self) -> bool {
        self.flags & Self::UNSET != 0
    }

    /// Of the ROM: it is the firmware's copy.
    pub fn is_shadow(self) -> bool {
        self.flags & Self::SHADOW != 0
    }
}
