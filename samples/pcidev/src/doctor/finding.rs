// SPDX-License-Identifier: GPL-2.0

//! Findings, their levels and codes.

use clap::ValueEnum;
use serde::Serialize;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Note,
    /// A check was inconclusive.
    Unknown,
    /// It works, with a risk or a limit.
    Warning,
    /// Something does not work.
    Fails,
}

impl Level {
    /// The name.
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
    /// This kernel does not run on Xen
    NoXen,
    /// This is a guest, not dom0
    Guest,
    /// This dom0 is PV
    PvDom0,
    /// Xen is too old to be told of resets
    OldXen,
    /// Xen is newer than the modules know
    NewXen,
    /// Xen uses no IOMMU
    NoIommu,
    /// The IOMMU does not remap interrupts
    NoRemapping,
    /// Some checks need root
    NotRoot,
    /// xl does not answer
    NoXl,
    /// Xen's log does not list the owners of functions
    NoOwners,
    /// XenStore does not answer
    NoXenstore,
    /// The module xen-pcidev is not loaded
    NoXenPcidev,
    /// The module xen-pciback is not loaded
    NoXenPciback,
    /// The stock xen-pciback is loaded
    StockXenPciback,
    /// A module parameter disables a feature
    Parameter,
    /// A function in a segment above 0xffff
    Segment,
    /// A bridge cannot be assigned
    Bridge,
    /// The function does not answer
    Gone,
    /// Xen refuses the function
    Refused,
    /// Xen uses the function itself
    XenUses,
    /// Dom0 needs it: its disks or its network
    InUse,
    /// Its driver_override keeps it from xen-pciback
    Override,
    /// In quarantine, but not bound to xen-pciback
    Quarantine,
    /// Assigned in Xen, but xen-pciback or the toolstack does not know
    Stray,
    /// Its reset failed
    Broken,
    /// The stock xen-pciback refuses it
    StockRefuses,
    /// It has no interrupt of any kind
    NoInterrupt,
    /// Its INTx pin is unrouted
    NoRoute,
    /// It shares its INTx line with another owner's function
    SharedLine,
    /// Its MSI-X table is not held
    NoHold,
    /// Its guest may want more interrupts than Xen allows
    ManyInterrupts,
    /// No other function of dom0 has MSI-X, and each return to dom0 costs Xen a handler
    OnlyMsix,
    /// It has no reset method
    NoReset,
    /// It is not DMA-isolated from other functions
    SharedDma,
    /// A BAR has no address
    BarUnset,
    /// A reset cleared its BARs
    BarsLost,
    /// A BAR shares a page with another function
    SharedPage,
    /// Firmware reserved memory for it
    ReservedMemory,
    /// Firmware started on this display
    BootDisplay,
    /// Intel graphics, or another Intel function at their address
    IntelGraphics,
    /// Stolen memory of Intel graphics that firmware has not reserved
    StolenMemory,
    /// Its BARs do not fit below 4 GiB in some guests
    MmioHole,
    /// It has virtual functions
    VirtualFunctions,
    /// xl does not accept the configuration of a guest
    GuestConfig,
    /// A guest of a type that gets no functions
    GuestType,
    /// A guest with functions and less memory than its maximum
    PopulateOnDemand,
    /// The device model of a guest could not do something for a function
    QemuLog,
    /// A guest did not get its function
    BackendError,
    /// A guest has no function, or its file names one that it cannot get
    NoFunction,
    /// No interrupt is bound to a guest with a function
    NotBound,
}

impl Code {
    /// The name.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The severity.
    pub level: Level,
    /// The kind, for scripts.
    pub code: Code,
    /// What does not work, and why.
    pub text: String,
    /// The remedy, if there is one.
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

    /// A check was inconclusive.
    pub fn unknown(code: Code, text: impl Into<String>) -> Self {
        Self::new(Level::Unknown, code, text)
    }

    /// It works, with a risk or a limit.
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
