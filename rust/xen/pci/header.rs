// SPDX-License-Identifier: GPL-2.0

//! Decoding of the configuration header of functions that are no bridges (header type 0).
//!
//! The values come from the device and must not be trusted.

/// An INTx pin of a PCI function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin(u8);

impl Pin {
    /// Decodes the "interrupt pin" register. `None` for 0 (no pin) and for reserved values.
    pub fn decode(register: u8) -> Option<Self> {
        matches!(register, 1..=4).then_some(Self(register))
    }

    /// Returns the value of the register: 1 for INTA to 4 for INTD.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Returns the letter of the pin, `'A'` to `'D'`.
    pub fn letter(self) -> char {
        match self.0 {
            1 => 'A',
            2 => 'B',
            3 => 'C',
            _ => 'D',
        }
    }
}

/// The configuration header of a function: the BARs, COMMAND and the other registers of its first
/// 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registers([u32; 16]);

impl Registers {
    /// Creates the value from the registers that were read. Ignores STATUS, which changes by
    /// itself, and INTERRUPT_LINE, which means nothing to the function, and which programs may
    /// write at any moment.
    pub(crate) fn new(mut words: [u32; 16]) -> Self {
        let [_, command, .., interrupt] = &mut words;
        *command &= 0xffff;
        *interrupt &= !0xff;
        Self(words)
    }

    /// Compares with the registers `wanted`. Returns the offset, value and wanted value of the
    /// first register that differs.
    pub(crate) fn differs(&self, wanted: &Self) -> Option<(u8, u32, u32)> {
        (0u8..)
            .step_by(4)
            .zip(self.0.into_iter().zip(wanted.0))
            .find(|(_, (is, wanted))| is != wanted)
            .map(|(offset, (is, wanted))| (offset, is, wanted))
    }
}

/// The register that holds the pointer to the first capability.
pub(crate) const CAPABILITY_LIST: u16 = 0x34;
/// Where capabilities may begin.
const HEADER_END: u8 = 0x40;
/// As many capabilities as there is space for.
const MOST_CAPABILITIES: u16 = 48;

/// Returns the offset of the pointer that leads to the capability at `wanted`. `None` if the list
/// of capabilities does not lead there. Fails if `read` does, which reads a register.
pub(crate) fn pointer_to<E>(
    wanted: u8,
    read: impl Fn(u16) -> Result<u8, E>,
) -> Result<Option<u16>, E> {
    let mut pointer = CAPABILITY_LIST;
    for _ in 0..MOST_CAPABILITIES {
        let found = read(pointer)? & !3;
        if found < HEADER_END {
            break;
        }
        if found == wanted {
            return Ok(Some(pointer));
        }
        pointer = u16::from(found).saturating_add(1);
    }
    Ok(None)
}

/// The address bits of a memory BAR: the low four bits are flags. The mask is used for I/O BARs,
/// too, and drops two of their address bits.
pub(crate) const ADDRESS: u64 = !0xf;
/// The bits of a BAR that tell I/O from memory and give the width of a memory BAR.
pub(crate) const TYPE: u32 = 0x7;
/// The value of [`TYPE`] for a 64-bit BAR: the next register holds the upper half of the address.
pub(crate) const TYPE_64: u32 = 0x4;

/// Returns the addresses in the BARs of a function, each with the index of the BAR's first
/// register.
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

    /// The upper half of a 64-bit BAR is no BAR of its own. The last BAR has no upper half.
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

    /// A list may be broken, or a circle.
    #[test]
    fn capabilities_are_listed() {
        let pointer = |wanted, list: &[(u16, u8)]| {
            let at = |offset| list.iter().find(|(at, _)| *at == offset);
            pointer_to(wanted, |offset| at(offset).map(|(_, next)| *next).ok_or(()))
        };
        let list = [(0x34, 0x40), (0x41, 0xa2), (0xa1, 0x00)];
        assert_eq!(pointer(0x40, &list), Ok(Some(0x34)));
        assert_eq!(pointer(0xa0, &list), Ok(Some(0x41)));
        assert_eq!(pointer(0x50, &list), Ok(None));
        assert_eq!(pointer(0x50, &[(0x34, 0x40), (0x41, 0x40)]), Ok(None));
        assert_eq!(pointer(0x50, &[(0x34, 0x40)]), Err(()));
    }

    /// A change of STATUS or INTERRUPT_LINE is ignored; a change of any other register is found.
    #[test]
    fn differences_are_found() {
        let mut words = [0; 16];
        let before = Registers::new(words);
        words[1] = 0x0010_0000;
        assert_eq!(Registers::new(words).differs(&before), None);
        words[15] = 0x0b;
        assert_eq!(Registers::new(words).differs(&before), None);
        words[15] = 0x10b;
        let pin = Some((60, 0x100, 0));
        assert_eq!(Registers::new(words).differs(&before), pin);
        words[1] = 6;
        assert_eq!(Registers::new(words).differs(&before), Some((4, 6, 0)));
    }

    /// Only the four register values of a pin decode.
    #[test]
    fn pins_have_letters() {
        let letters = |register| Pin::decode(register).map(Pin::letter);
        assert!((0..=255).filter_map(letters).eq("ABCD".chars()));
    }
}
