// SPDX-License-Identifier: GPL-2.0

//! What the doctor may find.

use clap::ValueEnum;
use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Note,
    /// It cannot be told whether something works.
    Unknown,
    /// It works, but.
    Warning,
    /// Something does not work.
    Fails,
}

impl Level {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Fails => "fails",
        }
    }
}

/// The name of a finding, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// There is no Xen below this kernel
    NoXen,
    /// This is a guest, not dom0
    Guest,
    /// A PV dom0
    PvDom0,
    /// Xen cannot be told of resets
    OldXen,
    /// Xen is later than those that xen-pcidev knows
    NewXen,
    /// Xen has no IOMMU to use
    NoIommu,
    /// The IOMMU does not remap interrupts
    NoRemapping,
    /// Not everything can be seen
    NotRoot,
    /// xl does not answer
    NoXl,
    /// Xen's log does not say who has which function
    NoOwners,
    /// XenStore does not answer
    NoXenstore,
    /// The module xen-pcidev is not loaded
    NoXenPcidev,
    /// The module xen-pciback is not loaded
    NoXenPciback,
    /// The kernel's own xen-pciback is loaded
    StockXenPciback,
    /// A parameter of a module switches something off
    Parameter,
    /// A function in a segment that Xen has no number for
    Segment,
    /// A bridge
    Bridge,
    /// The function does not answer
    Gone,
    /// Xen refuses the function
    Refused,
    /// Xen uses the function itself
    XenUses,
    /// In quarantine, but not with xen-pciback
    Quarantine,
    /// A guest has it, but not by xen-pciback, or not by the toolstack
    Stray,
    /// Its reset failed
    Broken,
    /// The kernel's own xen-pciback cannot take it
    StockRefuses,
    /// It can interrupt nobody
    NoInterrupt,
    /// Its INTx pin is routed nowhere
    NoRoute,
    /// Its INTx line is somebody else's too
    SharedLine,
    /// Its MSI-X table is not held
    NoHold,
    /// It has no reset
    NoReset,
    /// The IOMMU cannot tell it from others
    SharedDma,
    /// A BAR has no address
    BarUnset,
    /// Its BARs were lost by a reset
    BarsLost,
    /// It shares a page of memory with another function
    SharedPage,
    /// Dom0's display
    BootDisplay,
    /// Intel graphics, or in their place
    IntelGraphics,
    /// It has virtual functions
    VirtualFunctions,
}

impl Code {
    /// The name.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What it is.
    pub code: Code,
    /// What will not work, and why.
    pub text: String,
    /// What to do about it, if anything can be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    fn new(level: Level, code: Code, text: impl Into<String>) -> Self {
        Self {
            level,
            code,
            text: text.into(),
            remedy: None,
        }
    }

    /// Good to know.
    pub fn note(code: Code, text: impl Into<String>) -> Self {
        Self::new(Level::Note, code, text)
    }

    /// It cannot be told.
    pub fn unknown(code: Code, text: impl Into<String>) -> Self {
        Self::new(Level::Unknown, code, text)
    }

    /// It works, but.
    pub fn warning(code: Code, text: impl Into<String>) -> Self {
        Self::new(Level::Warning, code, text)
    }

    /// It does not work.
    pub fn fails(code: Code, text: impl Into<String>) -> Self {
        Self::new(Level::Fails, code, text)
    }

    /// The same with a remedy.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}
