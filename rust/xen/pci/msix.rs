// SPDX-License-Identifier: GPL-2.0

//! What a function's MSI-X capability says.

/// The table, as the capability describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsixTable {
    /// Number of entries, 1 to 2048.
    pub entries: u16,
    /// The BAR that holds the table, 0 to 5.
    pub bar: u32,
}

impl MsixTable {
    /// Reads the registers "message control" and "table offset"; `None` if they name a BAR that
    /// there is not.
    pub fn decode(control: u16, offset: u32) -> Option<Self> {
        let bar = offset & 0x7;
        (bar < 6).then_some(Self {
            // PANIC: Eleven bits plus one.
            entries: (control & 0x7ff) + 1,
            bar,
        })
    }
}

#[kernel::macros::kunit_tests(xen_msix_table)]
mod tests {
    use super::*;

    /// Functions have six BARs; what comes after them in Linux's list is something else.
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
