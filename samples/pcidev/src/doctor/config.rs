// SPDX-License-Identifier: GPL-2.0

//! Parses configuration space.

/// A function's configuration space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether it answers: a function that is gone reads all ones.
    pub answers: bool,
    /// The INTx pin, `A` to `D`.
    pub pin: Option<char>,
    /// Whether any BAR has an address.
    pub bars_are_set: bool,
    /// Whether it has MSI.
    pub msi: bool,
    /// Entries of the MSI-X table, 0 for no MSI-X.
    pub msix_entries: u32,
    /// The PCI Express port type; `None` for conventional PCI.
    pub express: Option<u8>,
}

const STATUS: usize = 0x06;
const STATUS_CAPABILITIES: u8 = 0x10;
const BARS: usize = 0x10;
const BARS_END: usize = 0x28;
const CAPABILITIES: usize = 0x34;
const PIN: usize = 0x3d;

const CAP_MSI: u8 = 0x05;
const CAP_EXPRESS: u8 = 0x10;
const CAP_MSIX: u8 = 0x11;

/// Bytes that every user may read.
pub const HEADER: usize = 64;

impl Config {
    /// Bytes that are read.
    pub const SIZE: usize = 256;

    /// Parses `bytes`; `None` if there are fewer than [`Self::SIZE`].
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::SIZE] = bytes.first_chunk()?;
        let capability = |wanted| capabilities(bytes).find(|&(id, _)| id == wanted);
        // The low bits encode the type of BAR.
        let has_address = |bar: &[u8]| bar[0] & 0xf0 != 0 || bar[1..] != [0; 3];
        Some(Self {
            answers: bytes[..HEADER] != [0xff; HEADER],
            pin: match bytes[PIN] {
                pin @ 1..=4 => Some(char::from(b'A' - 1 + pin)),
                _ => None,
            },
            bars_are_set: bytes[BARS..BARS_END].chunks_exact(4).any(has_address),
            msi: capability(CAP_MSI).is_some(),
            msix_entries: capability(CAP_MSIX).map_or(0, |(_, control)| {
                (u32::from(control) & 0x7ff).saturating_add(1)
            }),
            express: capability(CAP_EXPRESS).map(|(_, flags)| (flags >> 4 & 0xf) as u8),
        })
    }
}

/// Each capability: its ID, and the word that follows its header.
fn capabilities(bytes: &[u8; Config::SIZE]) -> impl Iterator<Item = (u8, u16)> + '_ {
    let mut at = match bytes[STATUS] & STATUS_CAPABILITIES {
        0 => 0,
        _ => bytes[CAPABILITIES],
    };
    std::iter::from_fn(move || {
        let place = usize::from(at & !3);
        let capability = bytes.get(place..)?.first_chunk::<4>()?;
        (place >= HEADER).then(|| {
            at = capability[1];
            let word = u16::from_le_bytes([capability[2], capability[3]]);
            (capability[0], word)
        })
    })
    // The list may be a ring: stop after as many as fit.
    .take((Config::SIZE - HEADER) / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(values: &[(usize, u8)]) -> Option<Config> {
        let mut bytes = [0; 256];
        for &(at, value) in values {
            bytes[at] = value;
        }
        Config::parse(&bytes)
    }

    #[test]
    fn needs_all_of_it() {
        assert_eq!(Config::parse(&[0; HEADER]), None);
    }

    #[test]
    fn capabilities_are_found() {
        let config = with(&[
            (STATUS, STATUS_CAPABILITIES),
            (CAPABILITIES, 0x40),
            (0x40, CAP_MSI),
            (0x41, 0x50),
            (0x50, CAP_EXPRESS),
            (0x51, 0xa0),
            (0x52, 0x72),
            (0xa0, CAP_MSIX),
            (0xa2, 0x04),
            (0xa3, 0x80),
        ])
        .unwrap();
        assert!(config.msi);
        assert_eq!(config.msix_entries, 5);
        assert_eq!(config.express, Some(7));
    }

    #[test]
    fn a_ring_of_capabilities_ends() {
        let config = with(&[
            (STATUS, STATUS_CAPABILITIES),
            (CAPABILITIES, 0x40),
            (0x40, 9),
            (0x41, 0x40),
        ]);
        assert_eq!(config.unwrap().express, None);
    }

    #[test]
    fn the_list_counts_only_if_there_is_one() {
        assert!(!with(&[(CAPABILITIES, 0x40), (0x40, CAP_MSI)]).unwrap().msi);
    }

    #[test]
    fn header() {
        let config = with(&[(PIN, 2), (BARS, 0x0c)]).unwrap();
        assert_eq!(
            (config.pin, config.bars_are_set, config.answers),
            (Some('B'), false, true)
        );
        assert!(with(&[(BARS + 7, 0x80)]).unwrap().bars_are_set);
        assert!(!Config::parse(&[0xff; 256]).unwrap().answers);
    }
}
