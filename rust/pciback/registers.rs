// SPDX-License-Identifier: GPL-2.0

//! What a PV guest may do with each register of a function's configuration space: tables.
//!
//! A register that no table names is shown, and its writes are dropped; they reach the function if
//! an administrator permits that (`permissive`).

/// What a guest may do with a register of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The bits that the guest sees as they are in the function; it sees the others in `value`.
    pub(crate) show: u32,
    /// The bits of the function that the guest writes.
    pub(crate) write: u32,
    /// The bits that it writes as well if that is permitted.
    pub(crate) permissive: u32,
    /// The bits of `value` that the guest writes.
    pub(crate) shadow: u32,
    /// The bits that are written as 0, unless the guest writes them: a 1 would start or clear
    /// something.
    pub(crate) zero: u32,
    /// What the guest sees of the bits that are not shown.
    pub(crate) value: u32,
}

/// A register that the guest only sees.
pub(crate) const SHOWN: Rule = Rule {
    show: u32::MAX,
    write: 0,
    permissive: 0,
    shadow: 0,
    zero: 0,
    value: 0,
};

/// A register that no table names.
pub(crate) const OTHER: Rule = Rule {
    permissive: u32::MAX,
    ..SHOWN
};

/// A register of which the guest sees nothing.
pub(crate) const HIDDEN: Rule = Rule { show: 0, ..SHOWN };

pub(crate) const ID: u16 = 0x00;
pub(crate) const COMMAND: u16 = 0x04;
pub(crate) const INTX_DISABLE: u32 = 0x0400;
pub(crate) const BARS: [u16; 6] = [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24];
pub(crate) const ROM: u16 = 0x30;
pub(crate) const INTERRUPT: u16 = 0x3c;

/// The header (type 0), without BARs and ROM. See [`INTERRUPT`] for the line.
pub(crate) const HEADER: &[(u16, Rule)] = &[
    (ID, SHOWN),
    // COMMAND and STATUS. MEMORY and IO stay on in the function (XSA-120): a guest that clears them
    // would cause errors of the host. The guest writes MASTER only. STATUS is cleared by ones.
    (
        COMMAND,
        Rule {
            show: 0xffff_0004,
            write: 0x0004,
            shadow: 0x077b,
            zero: 0xf900_0000,
            ..SHOWN
        },
    ),
    (0x08, SHOWN),
    // The cache line size. A one in BIST starts a test.
    (
        0x0c,
        Rule {
            write: 0xff,
            zero: 0x4000_0000,
            ..SHOWN
        },
    ),
    (0x28, SHOWN),
    (0x2c, SHOWN),
    (0x34, SHOWN),
    (0x38, SHOWN),
];

/// The registers of a capability.
pub(crate) struct Capability {
    pub(crate) id: u8,
    /// Registers, from the capability's first.
    pub(crate) rules: &'static [(u16, Rule)],
}

const PM: u8 = 0x01;
const VPD: u8 = 0x03;
pub(crate) const MSI: u8 = 0x05;
const EXPRESS: u8 = 0x10;
pub(crate) const MSIX: u8 = 0x11;
const ADVANCED_FEATURES: u8 = 0x13;

/// In the first register of these capabilities.
pub(crate) const MSI_ENABLE: u32 = 1 << 16;
pub(crate) const MSIX_ENABLE: u32 = 1 << 31;
pub(crate) const MSIX_MASK_ALL: u32 = 1 << 30;

/// Capabilities below offset 0x100.
pub(crate) const CAPABILITIES: &[Capability] = &[
    // The function does not signal PME, and stays in D0 whatever the guest writes.
    Capability {
        id: PM,
        rules: &[
            (
                0,
                Rule {
                    show: 0x07ff_ffff,
                    ..SHOWN
                },
            ),
            (
                4,
                Rule {
                    show: 0xffff_60fc,
                    shadow: 0x1f03,
                    ..SHOWN
                },
            ),
        ],
    },
    // The guest writes the address without the bit that writes data.
    Capability {
        id: VPD,
        rules: &[
            (
                0,
                Rule {
                    write: 0x7fff_0000,
                    zero: 0x8000_0000,
                    ..SHOWN
                },
            ),
            (4, SHOWN),
        ],
    },
    // One message only. The rest depends, see `space.rs`.
    Capability {
        id: MSI,
        rules: &[(
            0,
            Rule {
                show: 0xff81_ffff,
                ..SHOWN
            },
        )],
    },
    // A one in DEVCTL resets the function.
    Capability {
        id: EXPRESS,
        rules: &[(
            8,
            Rule {
                permissive: 0x0000_7fff,
                zero: 0x000f_8000,
                ..SHOWN
            },
        )],
    },
    Capability {
        id: MSIX,
        rules: &[(0, SHOWN), (4, SHOWN), (8, SHOWN)],
    },
    // The same.
    Capability {
        id: ADVANCED_FEATURES,
        rules: &[(4, SHOWN)],
    },
];

/// Extended capabilities that nobody may write, with the number of their registers: they move BARs,
/// and make functions.
pub(crate) const CLOSED: &[(u16, u16)] = &[
    // SR-IOV.
    (0x10, 16),
    // Resizable BARs, of the function and of its VFs.
    (0x15, 13),
    (0x24, 13),
];
