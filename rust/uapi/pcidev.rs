// SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note

//! The ioctls of `/dev/xen/pcidev` for Rust, with the layout of `xen/pcidev.h`.
//!
//! The kernel module and programs share these definitions.
//! `Documentation/pcidev-ioctl.rst` describes each call.

/// Returns the number of an ioctl, `_IO(0xBE, number)`.
const fn io(number: u32) -> u32 {
    0xBE << 8 | number
}

/// Fills an [`Info`]. Fails for a function without a GSI.
pub const GET_GSI: u32 = io(0);
/// Fills an [`Info`] for any function.
pub const GET_INFO: u32 = io(1);
/// Fills a [`List`] of functions.
pub const GET_LIST: u32 = io(2);
/// Fills a [`Reserved`] with the memory that firmware reserved for a function.
pub const GET_RESERVED: u32 = io(3);

/// [`Info::gsi`], [`Info::trigger`] and [`Info::polarity`] are valid; [`List::gsi`] is valid.
pub const VALID_GSI: u32 = 1 << 0;
/// [`Info::irq`] is valid; [`List::irq`] is valid.
pub const VALID_IRQ: u32 = 1 << 1;
/// [`Info::domid`] is valid.
pub const VALID_DOMID: u32 = 1 << 2;

/// [`List`]: only functions on the GSI [`List::line`].
pub const BY_GSI: u32 = 1 << 0;
/// [`List`]: only functions on the Linux irq [`List::line`].
pub const BY_IRQ: u32 = 1 << 1;

/// [`Info::trigger`]: level.
pub const TRIGGER_LEVEL: u32 = 1;
/// [`Info::polarity`]: active low.
pub const POLARITY_LOW: u32 = 1;

/// [`Info::holder`]: no driver.
pub const HOLDER_NONE: u32 = 0;
/// [`Info::holder`]: a driver of dom0.
pub const HOLDER_DRIVER: u32 = 1;
/// [`Info::holder`]: xen-pciback, which assigns functions to guests.
pub const HOLDER_PCIBACK: u32 = 2;

/// [`Info::msix`]: no MSI-X, or the table is not held.
pub const MSIX_FREE: u32 = 0;
/// [`Info::msix`]: the table is held for guests.
pub const MSIX_HELD: u32 = 1;
/// [`Info::msix`]: Xen refused to hold the table; the kernel log has the error.
pub const MSIX_REFUSED: u32 = 2;

/// The properties of one function.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// In: the size in bytes of the structure, as the caller allocated it.
    pub argsz: u32,
    /// In: 0.
    pub flags: u32,
    /// In: the address, segment << 16 | bus << 8 | device << 3 | function.
    pub sbdf: u32,
    /// Out: `VALID_*`.
    pub valid: u32,
    /// Out: the global system interrupt of the INTx pin.
    pub gsi: u32,
    /// Out: the Linux irq of the INTx line, as in `/proc/interrupts`.
    pub irq: u32,
    /// Out: the INTx pin, 1 for INTA to 4 for INTD, 0 for none.
    pub pin: u32,
    /// Out: the trigger mode: 0 edge, 1 level.
    pub trigger: u32,
    /// Out: the polarity: 0 active high, 1 active low.
    pub polarity: u32,
    /// Out: `HOLDER_*`.
    pub holder: u32,
    /// Out: the domain that the toolstack has assigned the function to.
    pub domid: u32,
    /// Out: the number of entries of the MSI-X table, 0 without MSI-X.
    pub msix_entries: u32,
    /// Out: `MSIX_*`.
    pub msix: u32,
}

impl Info {
    /// The size of this version of the structure in bytes.
    pub const SIZE: usize = size_of::<Self>();

    /// Returns the fields in order.
    pub fn to_words(self) -> [u32; Self::SIZE / 4] {
        [
            self.argsz,
            self.flags,
            self.sbdf,
            self.valid,
            self.gsi,
            self.irq,
            self.pin,
            self.trigger,
            self.polarity,
            self.holder,
            self.domid,
            self.msix_entries,
            self.msix,
        ]
    }
}

/// The head of a list. The addresses of the functions follow, each a `u32` as [`Info::sbdf`], in
/// ascending order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// In: the size in bytes of the head and of the room for addresses after it.
    pub argsz: u32,
    /// In: `BY_*`, or 0 for all functions.
    pub flags: u32,
    /// In: the GSI or the Linux irq to look for.
    pub line: u32,
    /// Out: `VALID_*`; 0 in a list of all functions.
    pub valid: u32,
    /// Out: the GSI that the functions share.
    pub gsi: u32,
    /// Out: the Linux irq that the functions share.
    pub irq: u32,
    /// Out: the number of functions, even if they do not fit.
    pub count: u32,
}

impl List {
    /// The size of the head in bytes.
    pub const SIZE: usize = size_of::<Self>();

    /// Returns the fields in order.
    pub fn to_words(self) -> [u32; Self::SIZE / 4] {
        [
            self.argsz, self.flags, self.line, self.valid, self.gsi, self.irq, self.count,
        ]
    }
}

/// Memory that firmware reserved for a function: an RMRR (Intel), or a unity mapping (AMD).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// The physical address.
    pub start: u64,
    /// The size in bytes.
    pub size: u64,
}

impl Region {
    /// Returns the fields in order.
    pub fn to_words(self) -> [u32; size_of::<Self>() / 4] {
        // CAST: The lower halves, then the upper ones.
        [
            self.start as u32,
            (self.start >> 32) as u32,
            self.size as u32,
            (self.size >> 32) as u32,
        ]
    }
}

/// The head of a list of a function's reserved regions. The regions follow, each a [`Region`], in
/// ascending order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// In: the size in bytes of the head and of the room for regions after it.
    pub argsz: u32,
    /// In: 0.
    pub flags: u32,
    /// In: the address, as [`Info::sbdf`].
    pub sbdf: u32,
    /// Out: 0.
    pub valid: u32,
    /// Out: the number of regions, even if they do not fit.
    pub count: u32,
    /// Out: 0.
    pub pad: u32,
}

impl Reserved {
    /// The size of the head in bytes.
    pub const SIZE: usize = size_of::<Self>();

    /// Returns the fields in order.
    pub fn to_words(self) -> [u32; Self::SIZE / 4] {
        [
            self.argsz, self.flags, self.sbdf, self.valid, self.count, self.pad,
        ]
    }
}
