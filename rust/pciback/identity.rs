// SPDX-License-Identifier: GPL-2.0

//! Functions that the driver is to seize by what they are, not by where they are: the parameter
//! `ids`, in the syntax of vfio-pci.

use kernel::prelude::*;

use xen::pci::hex;

/// What stands for any number, as `PCI_ANY_ID`.
const ANY: u32 = u32::MAX;

/// What a function has to be: `VENDOR:DEVICE[:SUBVENDOR[:SUBDEVICE[:CLASS[:MASK]]]]`, all
/// hexadecimal, where `ffffffff` stands for any number, and `MASK` has the bits of the class that
/// count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Vendor, device, subsystem vendor, subsystem device.
    ids: [u32; 4],
    class: u32,
    mask: u32,
}

impl Identity {
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(':').map(|digits| hex(digits.trim(), ANY));
        let mut next = |default: Option<u32>| fields.next().unwrap_or(default);
        let identity = Self {
            ids: [next(None)?, next(None)?, next(Some(ANY))?, next(Some(ANY))?],
            class: next(Some(0))?,
            mask: next(Some(0))?,
        };
        fields.next().is_none().then_some(identity)
    }

    /// Returns whether a function with these IDs, in the order of the syntax, and this class is
    /// meant.
    pub(crate) fn is(&self, ids: [u16; 4], class: u32) -> bool {
        let is = |(wanted, id): (u32, u16)| wanted == ANY || wanted == u32::from(id);
        self.ids.into_iter().zip(ids).all(is) && (self.class ^ class) & self.mask == 0
    }
}

/// Parses the value of the parameter `ids`: identities with commas between them. Calls `found` for
/// each with its text, and returns its first error inside `Ok`. `Err` holds the identity with a
/// syntax error.
pub(crate) fn parse_list<'a>(
    text: &'a str,
    mut found: impl FnMut(Identity, &'a str) -> Result,
) -> Result<Result, &'a str> {
    for text in text.split(',').map(str::trim) {
        if text.is_empty() {
            continue;
        }
        if let Err(e) = found(Identity::parse(text).ok_or(text)?, text) {
            return Ok(Err(e));
        }
    }
    Ok(Ok(()))
}

#[kernel::macros::kunit_tests(xen_pciback_identity)]
mod tests {
    use super::*;

    const NIC: [u16; 4] = [0x8086, 0x10d3, 0x8086, 0xa01f];
    const ETHERNET: u32 = 0x02_0000;

    fn is(text: &str) -> bool {
        Identity::parse(text).is_some_and(|identity| identity.is(NIC, ETHERNET))
    }

    /// As administrators of vfio-pci write them.
    #[test]
    fn identities_are_read() {
        assert!(is("8086:10d3") && is("8086:10D3:8086:a01f") && is(" 8086 : 10d3 "));
        assert!(is("8086:10d3:ffffffff:ffffffff:020000:ffffff"));
        assert!(is("8086:ffffffff:ffffffff:ffffffff:020000:ff0000"));
        assert!(is("8086:10d3:ffffffff:a01f:123456"));
        for other in [
            "8087:10d3",
            "8086:10d4",
            "8086:10d3:8087",
            "8086:10d3:8086:0",
            "8086:10d3:ffffffff:ffffffff:020100:ffff00",
            "8086:1:10d3",
        ] {
            assert!(Identity::parse(other).is_some() && !is(other));
        }
    }

    /// All other texts are refused.
    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "8086",
            "8086:",
            ":10d3",
            "8086:x",
            "8086:100000000",
            "+8086:10d3",
            "*:10d3",
            "8086:10d3:0:0:0:0:0",
            "0000:03:00.0",
        ] {
            assert_eq!(Identity::parse(text), None);
        }
    }

    fn count(text: &str) -> Result<usize, &str> {
        let mut n = 0;
        let _ = parse_list(text, |_, _| {
            n += 1;
            Ok(())
        })?;
        Ok(n)
    }

    #[test]
    fn lists_are_read() {
        assert_eq!(count(""), Ok(0));
        assert_eq!(count("8086:10d3"), Ok(1));
        assert_eq!(count("8086:10d3, 10de:1eb8,,\n"), Ok(2));
        assert_eq!(count("8086:10d3,10de"), Err("10de"));
        assert_eq!(count("8086:10d3 10de:1eb8"), Err("8086:10d3 10de:1eb8"));
    }
}
