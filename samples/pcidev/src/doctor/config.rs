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
    /// Access Control Services; `None` without them.
    pub acs: Option<Acs>,
}

/// Access Control Services (ACS): what keeps a function's requests from reaching other functions
/// without passing the IOMMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acs {
    /// What it can do.
    pub capability: u16,
    /// What is switched on.
    pub control: u16,
}

impl Acs {
    /// Request redirect, completion redirect, upstream forwarding.
    const REDIRECTS: u16 = 0x04 | 0x08 | 0x10;

    /// Whether all of a downstream port's peer-to-peer requests go up to the IOMMU.
    pub fn isolates_port(self) -> bool {
        self.control & Self::REDIRECTS == Self::REDIRECTS
    }

    /// The same for a function, which needs only what it is capable of.
    pub fn isolates_function(self) -> bool {
        self.control & Self::REDIRECTS & self.capability == Self::REDIRECTS & self.capability
    }
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
const EXTENDED_ACS: u16 = 0x0d;

/// Bytes that every user may read.
pub const HEADER: usize = 64;

impl Config {
    /// Bytes that every function has.
    const SIZE: usize = 256;
    /// Bytes that are read: those of PCI Express.
    pub const EXTENDED_SIZE: usize = 4096;

    /// Parses `bytes`; `None` if there are fewer than every function has.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let acs = extended(bytes, EXTENDED_ACS);
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
            acs: acs.map(|[capability, control]| Acs {
                capability,
                control,
            }),
        })
    }
}

/// The first two words of an extended capability after its header.
fn extended(bytes: &[u8], wanted: u16) -> Option<[u16; 2]> {
    let long = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let mut at = Config::SIZE;
    // The list may be a ring: stop after as many as fit.
    for _ in 0..(Config::EXTENDED_SIZE - Config::SIZE) / 8 {
        let header = long(at)?;
        if header & 0xffff == u32::from(wanted) {
            let words = long(at.checked_add(4)?)?;
            return Some([(words & 0xffff) as u16, (words >> 16) as u16]);
        }
        at = usize::try_from(header >> 20 & !3).ok()?;
        if at < Config::SIZE {
            break;
        }
    }
    None
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
    fn access_control_is_found() {
        let mut bytes = vec![0; Config::EXTENDED_SIZE];
        // A capability of another kind, ACS, and back again.
        bytes[0x100..0x104].copy_from_slice(&0x1481_0001_u32.to_le_bytes());
        bytes[0x148..0x14c].copy_from_slice(&0x1001_000d_u32.to_le_bytes());
        bytes[0x14c..0x150].copy_from_slice(&[0x1d, 0, 0x1d, 0]);
        let acs = Config::parse(&bytes).unwrap().acs.unwrap();
        assert!(acs.isolates_port() && acs.isolates_function());
        bytes[0x14e] = 0x0d;
        let acs = Config::parse(&bytes).unwrap().acs.unwrap();
        assert!(!acs.isolates_port() && !acs.isolates_function());
        bytes[0x14c] = 0x0d;
        let acs = Config::parse(&bytes).unwrap().acs.unwrap();
        assert!(!acs.isolates_port() && acs.isolates_function());
        bytes[0x148] = 1;
        assert_eq!(Config::parse(&bytes).unwrap().acs, None);
        assert_eq!(Config::parse(&bytes[..300]).unwrap().acs, None);
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
