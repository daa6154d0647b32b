// SPDX-License-Identifier: GPL-2.0

//! Whether a function answers: after a reset it may need time, which is counted in reads.
//!
//! Linux reads COMMAND and STATUS together while it waits, seldom and twice as seldom each time:
//! such a read counts as many, also if Xen has made two of it. Linux does not wait where Xen hides
//! bits of STATUS.
//!
//! Reads of configuration space count, QEMU's own too: after a reset of the bus it reads the
//! command register and the pin. A single byte at the pin is always answered and does not count,
//! since QEMU aborts if the pin is 0xff when it sets up interrupts after such a reset.

use crate::description::{AfterReset, Answer};
use crate::offset;
use crate::resets::Kind;

/// How reads are answered now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answering {
    /// With the truth.
    #[default]
    Truth,
    /// With the retry status, for so many reads.
    Rrs(u32),
    /// With all ones, for so many reads.
    Ones(u32),
    /// With all ones, until a test says otherwise.
    Never,
}

impl Answering {
    /// After a reset.
    pub fn reset(&mut self, after: &AfterReset, kind: Kind) {
        if *self == Answering::Never || !after.by.contains(&kind) {
            return;
        }
        *self = match after.answer {
            Answer::AtOnce => Answering::Truth,
            Answer::Rrs => Answering::Rrs(after.reads),
            Answer::Ones => Answering::Ones(after.reads),
            Answer::Never => Answering::Never,
        };
    }

    /// Counts a read of `length` bytes of configuration space; returns how it is answered.
    pub fn read(&mut self, at: usize, length: usize) -> Answering {
        let counts = match (at, length) {
            (offset::COMMAND, 4) | (offset::STATUS, 2) => 16,
            _ => 1,
        };
        let answer = *self;
        *self = match answer {
            Answering::Rrs(left) if left > counts => Answering::Rrs(left - counts),
            Answering::Ones(left) if left > counts => Answering::Ones(left - counts),
            Answering::Rrs(_) | Answering::Ones(_) => Answering::Truth,
            other => other,
        };
        answer
    }
}

/// Fills in the answer of a function that is not ready, for a read at an offset.
pub fn not_ready(answer: Answering, at: usize, data: &mut [u8]) {
    data.fill(0xff);
    if let Answering::Rrs(_) = answer {
        for (at, byte) in (at..).zip(data) {
            match at {
                0 => *byte = 1,
                1 => *byte = 0,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{not_ready, Answering};
    use crate::description::{AfterReset, Answer};
    use crate::offset;
    use crate::resets::Kind;

    #[test]
    fn reads_are_counted() {
        let after = AfterReset {
            answer: Answer::Rrs,
            reads: 18,
            by: vec![Kind::Flr],
        };
        let mut answering = Answering::default();
        answering.reset(&after, Kind::Bus);
        assert_eq!(answering, Answering::Truth);
        answering.reset(&after, Kind::Flr);
        assert_eq!(answering.read(0, 4), Answering::Rrs(18));
        assert_eq!(answering.read(offset::COMMAND, 4), Answering::Rrs(17));
        assert_eq!(answering.read(offset::COMMAND, 2), Answering::Rrs(1));
        assert_eq!(answering.read(0, 4), Answering::Truth);
    }

    #[test]
    fn the_dead_stay_dead() {
        let mut answering = Answering::Never;
        answering.reset(&AfterReset::default(), Kind::Bus);
        assert_eq!(answering.read(0, 4), Answering::Never);
    }

    #[test]
    fn only_the_vendor_tells_of_a_retry() {
        let mut data = [0; 8];
        not_ready(Answering::Rrs(1), 0, &mut data);
        assert_eq!(data, [1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        not_ready(Answering::Ones(1), 0, &mut data);
        assert_eq!(data, [0xff; 8]);
    }
}
