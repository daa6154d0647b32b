// SPDX-License-Identifier: GPL-2.0

//! The addresses of functions that the driver is to seize, and their syntax.

use kernel::{
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    }, //
};

use xen::pci::{
    hex,
    Sbdf, //
};

/// A pattern of addresses: one function, or all functions of a device or of a bus, such as
/// `0000:03:00.0`, `03:00.*` or `0000:03:*.*`. The segment is optional. All digits are hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    segment: u16,
    bus: u8,
    device: Option<u8>,
    function: Option<u8>,
}

impl Pattern {
    /// Parses a pattern. Ignores surrounding white space.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (rest, function) = text.trim().rsplit_once('.')?;
        let (rest, device) = rest.rsplit_once(':')?;
        let (segment, bus) = rest.rsplit_once(':').unwrap_or(("0", rest));
        let pattern = Self {
            segment: u16::try_from(number(segment, 0xffff)?).ok()?,
            bus: u8::try_from(number(bus, 0xff)?).ok()?,
            device: field(device, 0x1f)?,
            function: field(function, 7)?,
        };
        // `03:*.0` is no pattern, as for the stock driver.
        (pattern.device.is_some() || pattern.function.is_none()).then_some(pattern)
    }

    /// Returns the address if the pattern is a single function.
    pub(crate) fn function(&self) -> Option<Sbdf> {
        Some(self.at(self.device?, self.function?))
    }

    /// Returns whether the pattern has the address.
    pub(crate) fn has(&self, sbdf: Sbdf) -> bool {
        let is = |wanted: Option<u8>, part: u8| wanted.is_none_or(|wanted| wanted == part);
        (self.segment, self.bus) == (sbdf.segment(), sbdf.bus())
            && is(self.device, sbdf.device())
            && is(self.function, sbdf.function())
    }

    /// Iterates over all addresses of the pattern.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Sbdf> + '_ {
        (0..32u8)
            .filter(|device| self.device.is_none_or(|only| only == *device))
            .flat_map(move |device| {
                (0..8u8)
                    .filter(|function| self.function.is_none_or(|only| only == *function))
                    .map(move |function| self.at(device, function))
            })
    }

    fn at(&self, device: u8, function: u8) -> Sbdf {
        Sbdf::new(self.segment, self.bus, device << 3 | function)
    }
}

/// Parses a hexadecimal number up to `most`. Ignores surrounding white space.
pub(crate) fn number(digits: &str, most: u32) -> Option<u32> {
    hex(digits.trim(), most)
}

/// Parses a number up to `most`, or `*`, which is `Some(None)`.
fn field(digits: &str, most: u32) -> Option<Option<u8>> {
    if digits == "*" {
        return Some(None);
    }
    u8::try_from(number(digits, most)?).ok().map(Some)
}

/// Parses the value of the parameter `hide`: patterns in parentheses. Calls `found` for each
/// pattern with its text, and returns its first error inside `Ok`. `Err` holds the rest of the text
/// from a syntax error on.
pub(crate) fn parse_list<'a>(
    mut rest: &'a str,
    mut found: impl FnMut(Pattern, &'a str) -> Result,
) -> Result<Result, &'a str> {
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(Ok(()));
        }
        let group = rest
            .strip_prefix('(')
            .and_then(|inside| inside.split_once(')'));
        let Some((pattern, inside, after)) =
            group.and_then(|(inside, after)| Some((Pattern::parse(inside)?, inside, after)))
        else {
            return Err(rest);
        };
        if let Err(e) = found(pattern, inside) {
            return Ok(Err(e));
        }
        rest = after;
    }
}

/// A set of addresses, in order.
pub(crate) struct Slots(RBTree<Sbdf, ()>);

impl Slots {
    pub(crate) fn new() -> Self {
        Self(RBTree::new())
    }

    /// Adds all functions of a pattern. Adds none on an error (`ENOMEM`).
    pub(crate) fn add(&mut self, pattern: &Pattern) -> Result {
        let mut nodes = KVec::new();
        for sbdf in pattern.iter() {
            nodes.push(RBTreeNode::new(sbdf, (), GFP_KERNEL)?, GFP_KERNEL)?;
        }
        for node in nodes {
            self.0.insert(node);
        }
        Ok(())
    }

    /// Adds a function, unless it is in the set. `ENOMEM` on failure.
    pub(crate) fn add_one(&mut self, sbdf: Sbdf) -> Result {
        self.0.try_create_and_insert(sbdf, (), GFP_KERNEL)?;
        Ok(())
    }

    /// Removes a function, if it is in the set.
    pub(crate) fn remove_one(&mut self, sbdf: Sbdf) {
        self.0.remove(&sbdf);
    }

    /// Removes all functions of a pattern; `ENOENT` if the set has none of them.
    pub(crate) fn remove(&mut self, pattern: &Pattern) -> Result {
        let removed = pattern
            .iter()
            .filter(|sbdf| self.0.remove(sbdf).is_some())
            .count();
        if removed > 0 {
            Ok(())
        } else {
            Err(ENOENT)
        }
    }

    pub(crate) fn has(&self, sbdf: Sbdf) -> bool {
        self.0.get(&sbdf).is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Sbdf> + '_ {
        self.0.iter().map(|(sbdf, ())| *sbdf)
    }
}

#[kernel::macros::kunit_tests(xen_pciback_slots)]
mod tests {
    use super::*;

    fn functions(text: &str) -> usize {
        Pattern::parse(text).map_or(0, |pattern| pattern.iter().count())
    }

    /// Patterns as administrators and libxl write them.
    #[test]
    fn patterns_are_read() {
        let nic = Some(Sbdf::new(0, 3, 0x20));
        for text in ["0000:03:04.0", "03:04.0", " 3:4.0\n", "0:3:4.0"] {
            assert_eq!(Pattern::parse(text).and_then(|p| p.function()), nic);
        }
        assert_eq!(functions("0000:03:04.*"), 8);
        assert_eq!(functions("03:*.*"), 256);
        assert_eq!(functions("ffff:ff:1f.7"), 1);
    }

    /// All other texts are refused.
    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            " ",
            ".",
            ":",
            "03",
            "03:04",
            "03:04.",
            "03:04.8",
            "03:20.0",
            "100:04.0",
            "10000:03:04.0",
            "0000:03:04.0.0",
            "0000:03:04.0 x",
            "03:*.0",
            "*:04.0",
            "*:03:04.0",
            "+3:04.0",
            "-3:04.0",
            "0000:03:04:0",
            "0:0:03:04.0",
            "x:y.z",
            "03:04.*x",
            "\u{fffd}:4.0",
        ] {
            assert_eq!(Pattern::parse(text), None);
        }
    }

    fn count(text: &str) -> Result<usize, &str> {
        let mut n = 0;
        let _ = parse_list(text, |pattern, _| {
            n += pattern.iter().count();
            Ok(())
        })?;
        Ok(n)
    }

    /// Values of `hide=` as for the stock driver. An error holds the rest of the text.
    #[test]
    fn lists_are_read() {
        assert_eq!(count(""), Ok(0));
        assert_eq!(count("(03:04.0)"), Ok(1));
        assert_eq!(count(" (0000:03:04.0) (05:00.*)\n"), Ok(9));
        assert_eq!(count("(03:04.0)(03:*.*)"), Ok(257));
        assert_eq!(count("(03:04.0),(03:05.0)"), Err(",(03:05.0)"));
        assert_eq!(count("(03:04.0"), Err("(03:04.0"));
        assert_eq!(count("03:04.0"), Err("03:04.0"));
        assert_eq!(count("()"), Err("()"));
    }

    /// The set is ordered, has no duplicates, and refuses to remove a missing function.
    #[test]
    fn slots_are_a_set() {
        let mut slots = Slots::new();
        let all = Pattern::parse("0:0:1.*");
        let one = Pattern::parse("0:0:1.3");
        let (Some(all), Some(one)) = (all, one) else {
            panic!("patterns");
        };
        assert_eq!(slots.remove(&one), Err(ENOENT));
        assert!(slots.add(&one).is_ok() && slots.add(&all).is_ok() && slots.add(&one).is_ok());
        assert_eq!(slots.iter().count(), 8);
        assert!(slots.iter().is_sorted());
        assert_eq!(slots.remove(&one), Ok(()));
        assert!(!slots.has(Sbdf::new(0, 0, 0xb)) && slots.has(Sbdf::new(0, 0, 0xa)));
        assert_eq!(slots.remove(&all), Ok(()));
        assert_eq!(slots.iter().count(), 0);
    }
}
