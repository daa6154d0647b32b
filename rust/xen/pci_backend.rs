// SPDX-License-Identifier: GPL-2.0

//! What toolstacks write in `backend/pci`: which guest is to have which functions.
//!
//! `backend/pci/DOMAIN/0` has `num_devs`, `state`, and for each function `dev-N` and `state-N`.

use core::str::FromStr;

use crate::{
    xenbus_state::State,
    Sbdf, //
};

/// The directory of all guests.
pub const PATH: &core::ffi::CStr = c"backend/pci";

/// The domain in `backend/pci/DOMAIN/...`; `None` for the directory itself, and for what is none.
fn domain(path: &[u8]) -> Option<u16> {
    let rest = path.strip_prefix(PATH.to_bytes())?.strip_prefix(b"/")?;
    decimal(rest.split(|byte| *byte == b'/').next()?)
}

/// The directory `backend/pci/DOMAIN/NUMBER` that `path` is, or is in, and its domain.
pub fn directory(path: &[u8]) -> Option<(&str, u16)> {
    let domain = domain(path)?;
    let path = core::str::from_utf8(path).ok()?;
    let (end, _) = path.match_indices('/').nth(3).unwrap_or((path.len(), ""));
    let node = path.get(..end)?;
    let (_, number) = node.rsplit_once('/')?;
    let is_whole = node.split('/').count() == 4 && decimal::<u32>(number.as_bytes()).is_some();
    is_whole.then_some((node, domain))
}

/// Whether a change of `path` tells of other functions, or of another state that is wanted.
///
/// Toolstacks write `num_devs` or `state` with whatever they change, and remove whole directories.
/// The rest need not be looked at, the driver's own answers least of all.
pub fn tells(path: &[u8]) -> bool {
    match path.split(|byte| *byte == b'/').nth(4) {
        None => true,
        Some(node) => matches!(node, b"num_devs" | b"state"),
    }
}

/// Whether `path` is `node` or in it.
pub fn is_in(path: &[u8], node: &[u8]) -> bool {
    path.strip_prefix(node)
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}

/// A number: what `num_devs` holds, and directories of domains are named.
pub fn decimal<T: FromStr>(value: &[u8]) -> Option<T> {
    let digits = core::str::from_utf8(value).ok()?;
    // Nobody writes a sign.
    digits.parse().ok().filter(|_| !digits.starts_with('+'))
}

/// What `state` and `state-N` hold.
pub fn state(value: &[u8]) -> State {
    decimal::<u32>(value).map_or(State::Unknown, State::from)
}

/// What `dev-N` holds; `None` if it is no address.
pub fn function(value: &[u8]) -> Option<Sbdf> {
    Sbdf::parse(core::str::from_utf8(value).ok()?)
}

#[kernel::macros::kunit_tests(xen_pci_backend)]
mod tests {
    use super::*;

    /// The paths of watches.
    #[test]
    fn domains_are_found() {
        assert_eq!(domain(b"backend/pci/7/0/dev-0"), Some(7));
        assert_eq!(domain(b"backend/pci/65535"), Some(65535));
        let others: [&[u8]; 8] = [
            b"",
            b"backend/pci",
            b"backend/pci/",
            b"backend/pci//0",
            b"backend/pcix/7",
            b"backend/pci/65536/0",
            b"backend/pci/+7/0",
            b"backend/pci/7\xff/0",
        ];
        for other in others {
            assert_eq!(domain(other), None);
        }
    }

    /// Those in which functions are listed.
    #[test]
    fn directories_are_found() {
        for path in [
            &b"backend/pci/7/0"[..],
            b"backend/pci/7/0/dev-0",
            b"backend/pci/7/0/a/b",
        ] {
            assert_eq!(directory(path), Some(("backend/pci/7/0", 7)));
        }
        let others: [&[u8]; 6] = [
            b"backend/pci/7",
            b"backend/pci/7/",
            b"backend/pci/7//dev-0",
            b"backend/pci/x/0",
            b"backend/pci/7/x/dev-0",
            b"backend/pci/7/0\xff",
        ];
        for other in others {
            assert_eq!(directory(other), None);
        }
    }

    /// What a toolstack changes last, or as a whole.
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

    /// Guest 1 is not guest 10.
    #[test]
    fn paths_are_told_apart() {
        assert!(is_in(b"backend/pci/1/0", b"backend/pci/1/0"));
        assert!(is_in(b"backend/pci/1/0/dev-0", b"backend/pci/1/0"));
        assert!(!is_in(b"backend/pci/1/01", b"backend/pci/1/0"));
        assert!(!is_in(b"backend/pci/1", b"backend/pci/1/0"));
    }

    /// What is not understood is no state, and no function.
    #[test]
    fn values_are_read() {
        assert_eq!(state(b"4"), State::Connected);
        for odd in [&b""[..], b"0", b"9", b"+4", b"-1", b"4 ", b"4294967300"] {
            assert_eq!(state(odd), State::Unknown);
        }
        assert_eq!(function(b"0000:03:04.0"), Some(Sbdf::new(0, 3, 0x20)));
        assert_eq!(function(b"0000:03:04.0\0"), None);
    }
}
