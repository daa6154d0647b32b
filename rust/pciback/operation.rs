// SPDX-License-Identifier: GPL-2.0

//! The operations that the frontend of a PV guest requests, and their answers.
//!
//! A guest writes a `struct xen_pci_op` to the page that it shares, and may change it at any time.
//! The functions here work on a copy.
//!
//! C header: [`include/xen/interface/io/pciif.h`](srctree/include/xen/interface/io/pciif.h)

use core::iter;

/// The length of a `struct xen_pci_op`, in words of 32 bits.
pub(crate) const WORDS: usize = 9 + MOST_ENTRIES;
/// The most entries of an MSI-X table that one operation can name.
pub(crate) const MOST_ENTRIES: usize = 128;

/// The length of configuration space.
const SPACE: u32 = 0x1000;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) place: GuestAddress,
    pub(crate) operation: Operation,
}

/// The address of a function as the guest sees it. The guest may name any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GuestAddress {
    pub(crate) segment: u32,
    pub(crate) bus: u32,
    pub(crate) devfn: u32,
}

/// What the guest asks for.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Read(Access),
    Write(Access, u32),
    EnableMsi,
    EnableMsix(Entries),
    /// Linux sends the operation for MSI also when it disables MSI-X.
    Disable,
}

/// A part of configuration space: a byte, or two or four that are aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    offset: u16,
    size: u8,
}

impl Access {
    /// Returns `None` for other sizes, and for what is not aligned or outside of configuration
    /// space.
    pub(crate) fn new(offset: u32, size: u32) -> Option<Self> {
        let is_valid = matches!(size, 1 | 2 | 4) && offset < SPACE && offset % size == 0;
        Some(Self {
            offset: u16::try_from(offset).ok().filter(|_| is_valid)?,
            size: u8::try_from(size).ok()?,
        })
    }

    pub(crate) fn offset(self) -> u16 {
        self.offset
    }

    /// Returns 1, 2 or 4.
    pub(crate) fn size(self) -> u8 {
        self.size
    }

    /// Returns the register of 32 bits that this is part of.
    pub(crate) fn register(self) -> u16 {
        self.offset & !3
    }

    /// Returns by how many bits this part is above the register's lowest, at most 24.
    pub(crate) fn shift(self) -> u32 {
        u32::from(self.offset & 3) * 8
    }

    /// Returns the bits of a value of this size.
    pub(crate) fn mask(self) -> u32 {
        match self.size {
            1 => 0xff,
            2 => 0xffff,
            _ => u32::MAX,
        }
    }
}

/// The entries of an MSI-X table that an operation names: at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entries {
    all: [u16; MOST_ENTRIES],
    count: usize,
}

impl Entries {
    fn new(words: [u32; MOST_ENTRIES], count: u32) -> Option<Self> {
        let count = usize::try_from(count).ok()?;
        // CAST: The entry is in the upper half.
        (1..=MOST_ENTRIES).contains(&count).then_some(Self {
            all: words.map(|word| (word >> 16) as u16),
            count,
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u16> + Clone + '_ {
        self.all.iter().copied().take(self.count)
    }
}

/// The reason why an operation is refused, `XEN_PCI_ERR_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Refusal {
    /// The guest has no such function.
    NoFunction = -1,
    /// The part of configuration space is none, see [`Access`].
    Offset = -2,
    /// There is no such operation.
    NotImplemented = -4,
    /// The operation is wrong at this time, or failed.
    Failed = -5,
}

impl Request {
    /// Decodes a copy of `struct xen_pci_op`.
    pub(crate) fn decode(words: &[u32; WORDS]) -> Result<Self, Refusal> {
        let [cmd, _err, segment, bus, devfn, offset, size, value, _info, entries @ ..] = *words;
        let access = || Access::new(offset, size).ok_or(Refusal::Offset);
        let operation = match cmd {
            0 => Operation::Read(access()?),
            1 => Operation::Write(access()?, value),
            2 => Operation::EnableMsi,
            3 | 5 => Operation::Disable,
            4 => Operation::EnableMsix(Entries::new(entries, value).ok_or(Refusal::Failed)?),
            _ => return Err(Refusal::NotImplemented),
        };
        Ok(Self {
            place: GuestAddress {
                segment,
                bus,
                devfn,
            },
            operation,
        })
    }
}

/// What an operation results in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    /// It is done.
    Done,
    /// What was read, or the pirq of an MSI.
    Value(u32),
    /// The pirqs of these entries of an MSI-X table.
    Pirqs(&'a Entries, &'a [u16]),
    Refused(Refusal),
}

impl Answer<'_> {
    /// Returns the words of `struct xen_pci_op` to write, each with its index.
    pub(crate) fn encode(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        const ERR: usize = 1;
        const VALUE: usize = 7;
        const ENTRIES: usize = 9;

        // CAST: The number is negative in C, too.
        let (error, value, entries) = match self {
            Self::Done => (0, None, None),
            Self::Value(value) => (0, Some(*value), None),
            Self::Pirqs(entries, pirqs) => (0, Some(0), Some(entries.iter().zip(*pirqs))),
            Self::Refused(refusal) => (*refusal as i32 as u32, None, None),
        };
        let entries = entries
            .into_iter()
            .flatten()
            .map(|(entry, pirq)| u32::from(entry) << 16 | u32::from(*pirq));
        iter::once((ERR, error))
            .chain(value.map(|value| (VALUE, value)))
            .chain((ENTRIES..).zip(entries))
    }
}

#[kernel::macros::kunit_tests(xen_pciback_operation)]
mod tests {
    use super::*;

    fn request(fields: [u32; 9], entries: &[(u32, u32)]) -> Result<Request, Refusal> {
        let mut words = [0; WORDS];
        for (word, field) in words.iter_mut().zip(fields) {
            *word = field;
        }
        for (word, (vector, entry)) in words.iter_mut().skip(9).zip(entries) {
            *word = entry << 16 | vector;
        }
        Request::decode(&words)
    }

    fn access(cmd: u32, offset: u32, size: u32) -> Result<Operation, Refusal> {
        let fields = [cmd, 0, 1, 2, 3, offset, size, 0xabcd, 9];
        request(fields, &[]).map(|request| {
            let place = request.place;
            assert_eq!((place.segment, place.bus, place.devfn), (1, 2, 3));
            request.operation
        })
    }

    /// Only aligned parts of configuration space pass. The offset is signed in C.
    #[test]
    fn accesses_are_checked() {
        let at = |offset, size| Access { offset, size };
        assert_eq!(access(0, 0xffc, 4), Ok(Operation::Read(at(0xffc, 4))));
        assert_eq!(access(1, 6, 2), Ok(Operation::Write(at(6, 2), 0xabcd)));
        for (offset, size) in [
            (0x1000, 1),
            (u32::MAX, 1),
            (-4i32 as u32, 4),
            (0x8000_0000, 4),
            (2, 4),
            (1, 2),
            (0, 0),
            (0, 3),
            (0, 8),
            (0, -1i32 as u32),
        ] {
            assert_eq!(access(0, offset, size), Err(Refusal::Offset));
            assert_eq!(access(1, offset, size), Err(Refusal::Offset));
        }
    }

    /// Errors that the guest forwards are none of its operations.
    #[test]
    fn operations_are_told_apart() {
        assert_eq!(access(2, u32::MAX, 0), Ok(Operation::EnableMsi));
        assert_eq!(access(3, 0, 0), Ok(Operation::Disable));
        assert_eq!(access(5, 0, 0), Ok(Operation::Disable));
        for cmd in [6, 7, 8, 9, 10, u32::MAX] {
            assert_eq!(access(cmd, 0, 4), Err(Refusal::NotImplemented));
        }
    }

    #[test]
    fn entries_are_counted() {
        let msix = |count| request([4, 0, 0, 0, 0, 0, 0, count, 0], &[(0xffff, 5), (1, 0)]);
        for count in [0, 129, 0x10001, u32::MAX] {
            assert_eq!(msix(count), Err(Refusal::Failed));
        }
        let Ok(Operation::EnableMsix(entries)) = msix(2).map(|request| request.operation) else {
            panic!("not decoded");
        };
        assert!(entries.iter().eq([5, 0]));
        let words = Answer::Pirqs(&entries, &[55, 54]);
        assert!(words
            .encode()
            .eq([(1, 0), (7, 0), (9, 5 << 16 | 55), (10, 54)]));
        assert_eq!(msix(128).map(|_| ()), Ok(()));
    }

    #[test]
    fn answers_are_short() {
        assert!(Answer::Done.encode().eq([(1, 0)]));
        assert!(Answer::Value(7).encode().eq([(1, 0), (7, 7)]));
        let refused = Answer::Refused(Refusal::Failed);
        assert!(refused.encode().eq([(1, -5i32 as u32)]));
    }
}
