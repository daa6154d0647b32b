// SPDX-License-Identifier: GPL-2.0

//! The directory `backend/pci/DOMAIN/0`, in which a toolstack lists the functions of a guest.
//!
//! The directory holds `num_devs`, `state` and `online`, and for each function `dev-N` and
//! `state-N`. Toolstacks change several of these nodes in one transaction, so the directory has to
//! be read in one transaction, too.

use core::str::FromStr;

use kernel::{
    prelude::*,
    str::CString, //
};

use crate::{
    pci::Sbdf,
    xenbus::State, //
};

/// The parent of all guests' directories.
pub const PATH: &CStr = c"backend/pci";

/// The largest accepted value of `num_devs`. Guests have far fewer functions.
pub const MOST: u32 = 1024;

/// A consistent view of the nodes in one directory.
pub trait Nodes {
    /// The value of a node.
    type Value: AsRef<[u8]>;

    /// Reads the node `name`; `None` if it does not exist.
    fn read(&self, name: &CStr) -> Result<Option<Self::Value>>;
}

/// An entry of the directory: a function that the toolstack wants the guest to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The N of `dev-N`.
    pub index: u32,
    /// The address of the function. `None` if the value of `dev-N` is no valid address.
    pub function: Option<Sbdf>,
    /// The value of `state-N`, which the driver and the toolstack write.
    pub state: State,
}

/// The contents of a directory, read at one time.
pub struct Directory {
    /// The value of `state`.
    pub state: State,
    /// Whether `online` is 1: the toolstack keeps the backend in any state.
    pub is_online: bool,
    /// The entries, without those that the toolstack is closing.
    pub entries: KVec<Entry>,
    /// The functions of the entries that the toolstack is closing.
    pub closing: KVec<Sbdf>,
}

impl Directory {
    /// Reads the directory. `None` if it has no `state`: it does not exist, or is incomplete.
    ///
    /// Errors: `EINVAL` if `num_devs` is no number; `E2BIG` if it is above [`MOST`]; `ENOMEM`; else
    /// those of `nodes`.
    pub fn read(nodes: &impl Nodes) -> Result<Option<Self>> {
        let Some(state) = nodes.read(c"state")? else {
            return Ok(None);
        };
        let online = nodes.read(c"online")?;
        let count = match nodes.read(c"num_devs")? {
            Some(count) => decimal(count.as_ref()).ok_or(EINVAL)?,
            None => 0,
        };
        if count > MOST {
            return Err(E2BIG);
        }
        let (mut entries, mut closing) = (KVec::new(), KVec::new());
        for index in 0..count {
            let Some(name) = nodes.read(&CString::try_from_fmt(fmt!("dev-{index}"))?)? else {
                continue;
            };
            let entry = Entry {
                index,
                function: function(name.as_ref()),
                state: match nodes.read(&CString::try_from_fmt(fmt!("state-{index}"))?)? {
                    Some(state) => self::state(state.as_ref()),
                    None => State::Unknown,
                },
            };
            if !matches!(entry.state, State::Closing | State::Closed) {
                entries.push(entry, GFP_KERNEL)?;
            } else if let Some(function) = entry.function {
                closing.push(function, GFP_KERNEL)?;
            }
        }
        Ok(Some(Self {
            state: self::state(state.as_ref()),
            is_online: online.is_some_and(|online| online.as_ref() == b"1"),
            entries,
            closing,
        }))
    }

    /// Returns the functions that the toolstack wants the guest to have.
    pub fn functions(&self) -> impl Iterator<Item = Sbdf> + '_ {
        self.entries.iter().filter_map(|entry| entry.function)
    }
}

/// Returns the DOMAIN if `path` is `backend/pci/DOMAIN/0` or below it. Toolstacks create no other
/// number than 0, and drivers ignore other numbers.
pub fn domain(path: &[u8]) -> Option<u16> {
    let rest = path.strip_prefix(PATH.to_bytes())?.strip_prefix(b"/")?;
    let mut parts = rest.split(|byte| *byte == b'/');
    let domain = decimal(parts.next()?)?;
    (parts.next()? == b"0").then_some(domain)
}

/// Returns the path of the directory of `domain`. `ENOMEM` on failure.
pub fn node(domain: u16) -> Result<CString> {
    CString::try_from_fmt(fmt!("backend/pci/{domain}/0"))
}

/// Returns whether a change of `path` can be a change of the functions or the state that a
/// toolstack wants.
///
/// Toolstacks write `num_devs` or `state` with every change, or remove a whole directory. Changes
/// of other nodes, such as the driver's own answers, can be ignored.
pub fn tells(path: &[u8]) -> bool {
    match path.split(|byte| *byte == b'/').nth(4) {
        None => true,
        Some(node) => matches!(node, b"num_devs" | b"state"),
    }
}

/// Parses a decimal number, such as the value of `num_devs` or the name of a domain's directory.
pub fn decimal<T: FromStr>(value: &[u8]) -> Option<T> {
    let digits = core::str::from_utf8(value).ok()?;
    // Toolstacks write no sign.
    digits.parse().ok().filter(|_| !digits.starts_with('+'))
}

/// Parses the value of `state` or `state-N`. Invalid values are [`State::Unknown`].
pub fn state(value: &[u8]) -> State {
    decimal::<u32>(value).map_or(State::Unknown, State::from)
}

/// Parses the value of `dev-N`; `None` if it is no valid address.
pub fn function(value: &[u8]) -> Option<Sbdf> {
    Sbdf::parse(core::str::from_utf8(value).ok()?)
}

#[kernel::macros::kunit_tests(xen_pci_backend)]
mod tests {
    use super::*;

    /// Only paths in a directory with the number 0 name a domain.
    #[test]
    fn domains_are_found() {
        for path in [
            &b"backend/pci/7/0"[..],
            b"backend/pci/7/0/dev-0",
            b"backend/pci/7/0/a/b",
        ] {
            assert_eq!(domain(path), Some(7));
        }
        assert_eq!(domain(b"backend/pci/65535/0"), Some(65535));
        let others: [&[u8]; 14] = [
            b"",
            b"backend/pci",
            b"backend/pci/",
            b"backend/pci/7",
            b"backend/pci/7/",
            b"backend/pci/7//dev-0",
            b"backend/pci/7/1",
            b"backend/pci/7/00",
            b"backend/pci/7/x/dev-0",
            b"backend/pci//0",
            b"backend/pcix/7/0",
            b"backend/pci/65536/0",
            b"backend/pci/+7/0",
            b"backend/pci/7\xff/0",
        ];
        for other in others {
            assert_eq!(domain(other), None);
        }
    }

    /// Only `num_devs`, `state` and whole directories are relevant.
    #[test]
    fn changes_are_told() {
        for path in [
            &b"backend/pci"[..],
            b"backend/pci/7",
            b"backend/pci/7/0",
            b"backend/pci/7/0/num_devs",
            b"backend/pci/7/0/state",
        ] {
            assert!(tells(path));
        }
        for path in [
            &b"backend/pci/7/0/state-0"[..],
            b"backend/pci/7/0/vdev-0",
            b"backend/pci/7/0/",
        ] {
            assert!(!tells(path));
        }
    }

    /// Invalid values are no state and no function.
    #[test]
    fn values_are_read() {
        assert_eq!(state(b"4"), State::Connected);
        for odd in [&b""[..], b"0", b"9", b"+4", b"-1", b"4 ", b"4294967300"] {
            assert_eq!(state(odd), State::Unknown);
        }
        assert_eq!(function(b"0000:03:04.0"), Some(Sbdf::new(0, 3, 0x20)));
        assert_eq!(function(b"0000:03:04.0\0"), None);
    }

    /// A directory with constant nodes.
    struct Fixed(&'static [(&'static CStr, &'static [u8])]);

    impl Nodes for Fixed {
        type Value = &'static [u8];

        fn read(&self, name: &CStr) -> Result<Option<&'static [u8]>> {
            let node = self.0.iter().find(|(node, _)| *node == name);
            Ok(node.map(|(_, value)| *value))
        }
    }

    fn read(nodes: &'static [(&'static CStr, &'static [u8])]) -> Result<Option<Directory>> {
        Directory::read(&Fixed(nodes))
    }

    /// Entries as libxl writes them. Closing entries and missing entries are left out.
    #[test]
    fn directories_are_read() -> Result {
        assert!(read(&[(c"num_devs", b"1")])?.is_none());
        let directory = read(&[
            (c"state", b"4"),
            (c"online", b"1"),
            (c"num_devs", b"4"),
            (c"dev-0", b"0000:03:04.0"),
            (c"state-0", b"3"),
            (c"dev-1", b"0000:03:05.0"),
            (c"state-1", b"5"),
            (c"dev-3", b"nonsense"),
        ])?
        .ok_or(ENOENT)?;
        assert!(directory.state == State::Connected && directory.is_online);
        let entries = [
            Entry {
                index: 0,
                function: Some(Sbdf::new(0, 3, 0x20)),
                state: State::Initialised,
            },
            Entry {
                index: 3,
                function: None,
                state: State::Unknown,
            },
        ];
        assert_eq!(directory.entries[..], entries);
        assert!(directory.functions().eq([Sbdf::new(0, 3, 0x20)]));
        assert_eq!(directory.closing[..], [Sbdf::new(0, 3, 0x28)]);
        Ok(())
    }

    /// Counts that toolstacks do not write are errors.
    #[test]
    fn counts_are_checked() {
        for (count, error) in [
            (&b"x"[..], EINVAL),
            (b"-1", EINVAL),
            (b"1025", E2BIG),
            (b"4294967296", EINVAL),
        ] {
            struct Count(&'static [u8]);

            impl Nodes for Count {
                type Value = &'static [u8];

                fn read(&self, name: &CStr) -> Result<Option<&'static [u8]>> {
                    Ok(match name.to_bytes() {
                        b"num_devs" => Some(self.0),
                        b"state" => Some(b"1"),
                        _ => None,
                    })
                }
            }

            assert_eq!(Directory::read(&Count(count)).err(), Some(error));
        }
    }
}
