// SPDX-License-Identifier: GPL-2.0

//! Hiding a register, or an entry of an MSI-X table, from whoever reads configuration space.

/// What is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hiding {
    /// The last entry of an MSI-X table, which seems to have one entry less.
    Entry {
        /// The offset of "message control".
        control: u16,
        /// The entries that are left, at least one.
        entries: u16,
    },
    /// The only entry: the function seems to have no MSI-X.
    Capability {
        /// The offset of the pointer to the capability.
        pointer: u16,
        /// The pointer to the next capability.
        next: u8,
    },
    /// A register of 32 bits.
    Register {
        /// Its offset.
        offset: u16,
        /// What it seems to be.
        value: u32,
    },
}

impl Hiding {
    /// Changes `bytes`, which were read at `offset`. A function that does not answer stays one.
    pub(crate) fn change(self, offset: u64, bytes: &mut [u8]) {
        let mut set = |at: u16, mask: u8, value: u8| {
            let byte = u64::from(at)
                .checked_sub(offset)
                .and_then(|at| bytes.get_mut(usize::try_from(at).ok()?));
            match byte {
                // The header shows whether a function answers.
                Some(0xff) if at < 0x40 => (),
                Some(byte) => *byte = *byte & !mask | value & mask,
                None => (),
            }
        };
        match self {
            Self::Entry { control, entries } => {
                let [low, high] = entries.saturating_sub(1).to_le_bytes();
                set(control, 0xff, low);
                set(control.saturating_add(1), 0x07, high);
            }
            Self::Capability { pointer, next } => set(pointer, 0xff, next),
            Self::Register { offset, value } => {
                for (at, byte) in (offset..).zip(value.to_le_bytes()) {
                    set(at, 0xff, byte);
                }
            }
        }
    }
}

#[kernel::macros::kunit_tests(xen_hiding)]
mod tests {
    use super::*;

    fn changed<const N: usize>(hiding: Hiding, offset: u64, mut bytes: [u8; N]) -> [u8; N] {
        hiding.change(offset, &mut bytes);
        bytes
    }

    /// A device model reads single registers, other programs the whole space, or any part of it.
    #[test]
    fn an_entry_less() {
        let hiding = Hiding::Entry {
            control: 0x72,
            entries: 0x200,
        };
        assert_eq!(changed(hiding, 0x72, [0x00, 0xc2]), [0xff, 0xc1]);
        assert_eq!(
            changed(hiding, 0x70, [0x11, 0xa0, 0x00, 0x82]),
            [0x11, 0xa0, 0xff, 0x81]
        );
        assert_eq!(changed(hiding, 0x73, [0x82]), [0x81]);
        assert_eq!(changed(hiding, 0x74, [0x00, 0x82]), [0x00, 0x82]);
        assert_eq!(changed(hiding, 0x6f, [0, 0x11, 0xa0]), [0, 0x11, 0xa0]);
        assert_eq!(changed(hiding, u64::MAX, [0x00]), [0x00]);
        assert_eq!(changed(hiding, 0, []), []);
    }

    #[test]
    fn no_entry_at_all() {
        let hiding = Hiding::Capability {
            pointer: 0x34,
            next: 0x50,
        };
        assert_eq!(changed(hiding, 0x34, [0x40]), [0x50]);
        assert_eq!(
            changed(hiding, 0x30, [1, 2, 3, 4, 0x40, 6]),
            [1, 2, 3, 4, 0x50, 6]
        );
        assert_eq!(changed(hiding, 0x40, [0x40]), [0x40]);
        assert_eq!(changed(hiding, 0x34, [0xff]), [0xff]);
    }
    #[test]
    fn a_register() {
        let hiding = Hiding::Register {
            offset: 0xfc,
            value: 0x0302_0100,
        };
        assert_eq!(changed(hiding, 0xfc, [9; 4]), [0, 1, 2, 3]);
        assert_eq!(changed(hiding, 0xfe, [9]), [2]);
        assert_eq!(changed(hiding, 0xf8, [9; 8]), [9, 9, 9, 9, 0, 1, 2, 3]);
        assert_eq!(changed(hiding, 0x100, [9]), [9]);
    }
}
