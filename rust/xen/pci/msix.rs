// SPDX-License-Identifier: GPL-2.0

//! Decoding of the MSI-X capability.

/// The location and size of an MSI-X table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsixTable {
    /// The number of entries, 1 to 2048.
    pub entries: u16,
    /// The index of the BAR that holds the table, 0 to 5.
    pub bar: u32,
}

impl MsixTable {
    /// Decodes the registers "message control" and "table offset". `None` if the BAR index is
    /// reserved.
    pub fn decode(control: u16, offset: u32) -> Option<Self> {
        let bar = offset & 0x7;
        (bar < 6).then_some(Self {
            // PANIC: The largest sum is 0x7ff + 1, which fits.
            entries: (control & 0x7ff) + 1,
            bar,
        })
    }
}

#[kernel::macros::kunit_tests(xen_msix_table)]
mod tests {
    use super::*;

    /// BAR indices above 5 are reserved. Linux's resources 6 and up are not BARs.
    #[test]
    fn tables_are_in_bars() {
        let table = |entries, bar| Some(MsixTable { entries, bar });
        assert_eq!(MsixTable::decode(0, 0), table(1, 0));
        assert_eq!(MsixTable::decode(0xffff, 0xffff_fffd), table(2048, 5));
        assert_eq!(MsixTable::decode(0xc004, 0x3003), table(5, 3));
        assert_eq!(MsixTable::decode(4, 0x3006), None);
        assert_eq!(MsixTable::decode(4, 7), None);
    }
}
