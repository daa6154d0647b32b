// SPDX-License-Identifier: GPL-2.0

//! What the first registers of a plain function (header type 0) say.
//!
//! The values come from the device and must not be trusted.

/// An INTx pin of a PCI function, the "interrupt pin" register without "none".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin(u8);

impl Pin {
    /// Reads the register; `None` for no pin, and for values that mean nothing.
    pub fn decode(register: u8) -> Option<Self> {
        matches!(register, 1..=4).then_some(Self(register))
    }

    /// 1 for INTA to 4 for INTD, as the register has it.
    pub fn number(self) -> u8 {
        self.0
    }

    /// `'A'` to `'D'`.
    pub fn letter(self) -> char {
        match self.0 {
            1 => 'A',
            2 => 'B',
            3 => 'C',
            _ => 'D',
        }
    }
}

/// A function's header: what addresses it decodes, whether it does, and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registers([u32; 16]);

impl Registers {
    /// Takes what was read. STATUS, which changes by itself, is left out.
    pub(crate) fn new(mut words: [u32; 16]) -> Self {
        let [_, command, ..] = &mut words;
        *command &= 0xffff;
        Self(words)
    }

    /// The first register that is not as in `wanted`: its offset, what it is, what it should be.
    pub(crate) fn differs(&self, wanted: &Self) -> Option<(u8, u32, u32)> {
        (0u8..)
            .step_by(4)
            .zip(self.0.into_iter().zip(wanted.0))
            .find(|(_, (is, wanted))| is != wanted)
            .map(|(offset, (is, wanted))| (offset, is, wanted))
    }
}

/// The bits of an address. The low ones are flags, of which an I/O BAR has fewer; no BAR is that
/// small.
pub(crate) const ADDRESS: u64 = !0xf;
/// The bits that tell an I/O BAR and the width of a memory BAR.
pub(crate) const TYPE: u32 = 0x7;
/// Of [`TYPE`]: the next BAR is the upper half.
pub(crate) const TYPE_64: u32 = 0x4;

/// The addresses in a function's BARs, each with the number of the BAR that it begins in.
pub(crate) fn bar_addresses(bars: [u32; 6]) -> impl Iterator<Item = (u32, u64)> {
    let mut bars = (0u32..).zip(bars);
    core::iter::from_fn(move || {
        let (index, low) = bars.next()?;
        let high = if low & TYPE == TYPE_64 {
            bars.next().map_or(0, |(_, high)| high)
        } else {
            0
        };
        Some((index, (u64::from(high) << 32 | u64::from(low)) & ADDRESS))
    })
}

#[kernel::macros::kunit_tests(xen_header)]
mod tests {
    use super::*;

    /// An upper half is no BAR of its own, and the last BAR has none.
    #[test]
    fn wide_bars_take_two_registers() {
        let bars = [0x8000_0004, 0x12, 0xc001, 0xfe00_0008, 0x7, 0xffff_fff4];
        let addresses = [
            (0, 0x12_8000_0000),
            (2, 0xc000),
            (3, 0xfe00_0000),
            (4, 0),
            (5, 0xffff_fff0),
        ];
        assert!(bar_addresses(bars).eq(addresses));
    }

    /// A device's STATUS may change; its other registers may not.
    #[test]
    fn differences_are_found() {
        let mut words = [0; 16];
        let before = Registers::new(words);
        words[1] = 0x0010_0000;
        assert_eq!(Registers::new(words).differs(&before), None);
        words[15] = 5;
        assert_eq!(Registers::new(words).differs(&before), Some((60, 5, 0)));
        words[1] = 6;
        assert_eq!(Registers::new(words).differs(&before), Some((4, 6, 0)));
    }

    /// Four pins, and no other value is one.
    #[test]
    fn pins_have_letters() {
        let letters = |register| Pin::decode(register).map(Pin::letter);
        assert!((0..=255).filter_map(letters).eq("ABCD".chars()));
    }
}
