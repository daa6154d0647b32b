// SPDX-License-Identifier: GPL-2.0

//! The states of frontends and backends in XenStore.

/// The state of a frontend or backend, `enum xenbus_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// The state is missing or invalid.
    Unknown,
    /// The half is being initialized.
    Initialising,
    /// The half waits for details of the other half.
    InitWait,
    /// The half is initialized, and waits for the other half to connect.
    Initialised,
    /// The halves are connected.
    Connected,
    /// The half is being closed.
    Closing,
    /// The half is closed.
    Closed,
    /// The toolstack is changing the configuration of the device.
    Reconfiguring,
    /// The change of the configuration is complete.
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
        // CAST: The variants are the numbers of the interface.
        .find(|state| *state as u32 == number)
        .unwrap_or(Self::Unknown)
    }
}
