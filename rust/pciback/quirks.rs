// SPDX-License-Identifier: GPL-2.0

//! The file `quirks`: registers that PV guests may write although xen-pciback would refuse.
//!
//! HVM guests do not need quirks.

use kernel::fmt;

use xen::pci::Sbdf;

use crate::{
    operation::Access,
    slots::{
        number,
        Pattern, //
    }, //
};

/// A register of 1, 2 or 4 bytes, and the bits of it that a guest may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quirk {
    register: u16,
    size: u8,
    mask: u32,
}

impl Quirk {
    /// Parses `SBDF-REGISTER:SIZE:MASK`, in which all numbers are hexadecimal.
    pub(crate) fn parse(text: &str) -> Option<(Sbdf, Self)> {
        let (function, quirk) = text.trim().split_once('-')?;
        let (register, rest) = quirk.split_once(':')?;
        let (size, mask) = rest.split_once(':')?;
        let size = u8::try_from(number(size, 4)?).ok()?;
        let widest = match size {
            1 => 0xff,
            2 => 0xffff,
            4 => u32::MAX,
            _ => return None,
        };
        let quirk = Self {
            register: u16::try_from(number(register, 0xfff)?).ok()?,
            size,
            mask: number(mask, widest)?,
        };
        Some((Pattern::parse(function)?.function()?, quirk))
    }

    /// Returns the register of 32 bits, and the bits of it that the guest may write. `None` for a
    /// register that is not aligned, which no guest can write as a whole.
    pub(crate) fn bits(&self) -> Option<(u16, u32)> {
        let access = Access::new(self.register.into(), self.size.into())?;
        Some((access.register(), self.mask << access.shift()))
    }

    /// Returns whether both quirks are for the same register.
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        self.register == other.register
    }
}

/// Formats as in the file.
impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:08x}:{:01x}:{:08x}",
            self.register, self.size, self.mask
        )
    }
}

#[kernel::macros::kunit_tests(xen_pciback_quirks)]
mod tests {
    use super::*;

    /// Quirks in the format of the stock driver parse; invalid ones do not.
    #[test]
    fn quirks_are_read() {
        let at = Sbdf::new(0, 0, 0x20);
        let quirk = |register, size, mask| {
            Some((
                at,
                Quirk {
                    register,
                    size,
                    mask,
                },
            ))
        };
        assert_eq!(Quirk::parse("0000:00:04.0-40:1:ff"), quirk(0x40, 1, 0xff));
        assert_eq!(
            Quirk::parse("00:04.0-fff:4:ffffffff\n"),
            quirk(0xfff, 4, u32::MAX)
        );
        for text in [
            "",
            "00:04.0",
            "00:04.0-",
            "00:04.0-40",
            "00:04.0-40:1",
            "00:04.0-40:3:1",
            "00:04.0-40:0:1",
            "00:04.0-40:8:1",
            "00:04.0-1000:1:1",
            "00:04.0-40:1:100",
            "00:04.0-40:2:10000",
            "00:04.*-40:1:1",
            "00:04.0-40:1:1:1",
            "00:04.0-40:1:-1",
        ] {
            assert_eq!(Quirk::parse(text), None);
        }
    }
}
