// SPDX-License-Identifier: GPL-2.0

//! The states of a device's halves, as XenStore has them.

/// Where a half of a device is in connecting to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// Nobody knows.
    Unknown,
    /// Beginning.
    Initialising,
    /// Ready for the other half's details.
    InitWait,
    /// Waiting for the other half to connect.
    Initialised,
    /// In use.
    Connected,
    /// About to be closed.
    Closing,
    /// Closed.
    Closed,
    /// The toolstack changes what the device consists of.
    Reconfiguring,
    /// What changed is known.
    Reconfigured,
}

impl From<u32> for State {
    fn from(number: u32) -> Self {
        [
            Self::Initialising,
            Self::InitWait,
            Self::Initialised,
            Self::Connected,
            Self::Closing,
            Self::Closed,
            Self::Reconfiguring,
            Self::Reconfigured,
        ]
        .into_iter()
        // CAST: The enumeration has the interface's numbers.
        .find(|state| *state as u32 == number)
        .unwrap_or(Self::Unknown)
    }
}
