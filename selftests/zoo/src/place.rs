// SPDX-License-Identifier: GPL-2.0

//! Places the capabilities in configuration space: where the description says, or in the first gap.

use crate::wrong::{wrong, Wrong};
use std::ops::Range;

/// What the registers of a capability mean to the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Pcie,
    Pm,
    Vpd,
    Other,
}

/// One capability before it has a place.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its field in the description.
    pub field: String,
    pub what: What,
    pub at: Option<u16>,
    /// Its registers, the ID first.
    pub bytes: Vec<u8>,
    /// The bits that software can write.
    pub writable: Vec<u8>,
    /// The bits that software clears by writing a 1.
    pub clears: Vec<u8>,
}

impl Part {
    /// A capability whose registers are all read-only.
    pub fn new(field: impl Into<String>, what: What, at: Option<u16>, bytes: Vec<u8>) -> Part {
        Part {
            field: field.into(),
            what,
            at,
            writable: vec![0; bytes.len()],
            clears: vec![0; bytes.len()],
            bytes,
        }
    }

    /// Makes bits writable.
    pub fn can_write(mut self, at: usize, bits: &[u8]) -> Part {
        self.writable[at..at + bits.len()].copy_from_slice(bits);
        self
    }

    /// Makes bits that are cleared by writing a 1.
    pub fn can_clear(mut self, at: usize, bits: &[u8]) -> Part {
        self.clears[at..at + bits.len()].copy_from_slice(bits);
        self
    }
}

/// The parts with their places, in the order of these.
pub fn place(parts: Vec<Part>, room: Range<usize>) -> Result<Vec<(usize, Part)>, Wrong> {
    let mut placed: Vec<(usize, Part)> = Vec::new();
    let (fixed, free): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| part.at.is_some());
    for part in fixed.into_iter().chain(free) {
        let length = part.bytes.len().next_multiple_of(4);
        let fits = |at: usize| {
            at >= room.start
                && at + length <= room.end
                && placed.iter().all(|(other, there)| {
                    at + length <= *other || other + there.bytes.len().next_multiple_of(4) <= at
                })
        };
        let at = match part.at {
            Some(at) if at % 4 == 0 && fits(at.into()) => at.into(),
            Some(at) => {
                return wrong(
                    format!("{}.at", part.field),
                    format!("{length} bytes do not fit at {at:#x}"),
                    format!(
                        "give a multiple of 4 from {:#x} that is free, or leave it out",
                        room.start
                    ),
                )
            }
            None => match room.clone().step_by(4).find(|&at| fits(at)) {
                Some(at) => at,
                None => {
                    return wrong(
                        part.field,
                        format!("no room is left for {length} bytes"),
                        "remove a capability, or give others another place",
                    )
                }
            },
        };
        placed.push((at, part));
    }
    placed.sort_by_key(|(at, _)| *at);
    Ok(placed)
}

#[cfg(test)]
mod tests {
    use super::{place, Part, What};

    fn part(at: Option<u16>, length: usize) -> Part {
        Part::new("x", What::Other, at, vec![0; length])
    }

    #[test]
    fn gaps_are_filled() {
        let parts = vec![
            part(None, 8),
            part(Some(0x48), 8),
            part(None, 6),
            part(None, 4),
        ];
        let placed = place(parts, 0x40..0x100).unwrap();
        let places: Vec<_> = placed.iter().map(|(at, _)| *at).collect();
        assert_eq!(places, [0x40, 0x48, 0x50, 0x58]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let both = vec![part(Some(0x40), 8), part(Some(0x44), 8)];
        assert_eq!(place(both, 0x40..0x100).unwrap_err().field, "x.at");
        assert!(place(vec![part(Some(0xfc), 8)], 0x40..0x100).is_err());
        assert!(place(vec![part(None, 200)], 0x40..0x100).is_err());
    }
}
