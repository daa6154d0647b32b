// SPDX-License-Identifier: GPL-2.0

//! Addresses of PCI functions.

use core::fmt;

/// The address of a PCI function: segment, bus, device, function.
///
/// Xen, libxl and `IOCTL_PRIVCMD_PCIDEV_GET_GSI` of
/// [`include/uapi/xen/privcmd.h`](srctree/include/uapi/xen/privcmd.h) encode an address in 32 bits:
/// segment in bits 31:16, bus in 15:8, device in 7:3, function in 2:0. Every 32-bit value is a
/// valid address.
///
/// # Examples
///
/// ```
/// # use xen::pci::Sbdf;
/// let nic = Sbdf::new(0, 3, 0x20);
/// assert_eq!(nic.to_u32(), 0x0320);
/// assert_eq!((nic.device(), nic.function()), (4, 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sbdf(u32);

impl Sbdf {
    /// Creates the address of the function `devfn` on `bus` of `segment`. `devfn` has the device in
    /// bits 7:3 and the function in 2:0.
    pub const fn new(segment: u16, bus: u8, devfn: u8) -> Self {
        Self((segment as u32) << 16 | (bus as u32) << 8 | devfn as u32)
    }

    /// Parses an address in the form of Linux and libxl, `0000:03:00.0`. All fields are required,
    /// and all digits are hexadecimal.
    pub fn parse(text: &str) -> Option<Self> {
        let (segment, rest) = text.split_once(':')?;
        let (bus, rest) = rest.split_once(':')?;
        let (device, function) = rest.split_once('.')?;
        Some(Self(
            hex(segment, 0xffff)? << 16
                | hex(bus, 0xff)? << 8
                | hex(device, 0x1f)? << 3
                | hex(function, 7)?,
        ))
    }

    /// Decodes the 32-bit encoding of Xen and libxl.
    pub const fn from_u32(value: u32) -> Self {
        Self(value)
    }

    /// Returns the 32-bit encoding of Xen and libxl.
    pub const fn to_u32(self) -> u32 {
        self.0
    }

    /// Returns the PCI segment, which Linux calls "domain".
    pub const fn segment(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Returns the bus number.
    pub const fn bus(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// Returns the device number in bits 7:3 and the function number in 2:0.
    pub const fn devfn(self) -> u8 {
        self.0 as u8
    }

    /// Returns the device number, 0 to 31.
    pub const fn device(self) -> u8 {
        self.devfn() >> 3
    }

    /// Returns the function number, 0 to 7.
    pub const fn function(self) -> u8 {
        self.devfn() & 7
    }
}

/// Parses a hexadecimal number up to `most`, without sign or prefix.
pub fn hex(digits: &str, most: u32) -> Option<u32> {
    u32::from_str_radix(digits, 16)
        .ok()
        .filter(|value| *value <= most && !digits.starts_with('+'))
}

/// Formats as Linux names the device, `0000:03:00.0`.
impl fmt::Display for Sbdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04x}:{:02x}:{:02x}.{}",
            self.segment(),
            self.bus(),
            self.device(),
            self.function()
        )
    }
}

// The program `pcidev` also uses this file, without crate `kernel`.
#[cfg(CONFIG_KUNIT)]
#[kernel::macros::kunit_tests(xen_sbdf)]
mod tests {
    use super::*;

    /// No field overflows into another, even at the limits.
    #[test]
    fn fields_have_their_places() {
        let last = Sbdf::new(0xffff, 0xff, 0xff);
        assert_eq!(last.to_u32(), u32::MAX);
        assert_eq!(
            (last.segment(), last.bus(), last.devfn()),
            (0xffff, 0xff, 0xff)
        );
        assert_eq!((last.device(), last.function()), (31, 7));

        assert_eq!(Sbdf::new(1, 0, 0).to_u32(), 1 << 16);
        assert_eq!(Sbdf::new(0, 1, 0).to_u32(), 1 << 8);
        assert_eq!(Sbdf::new(0, 0, 1 << 3).device(), 1);
        assert_eq!(Sbdf::new(0, 0, 1).function(), 1);
    }

    /// Every 32-bit value converts to an address and back.
    #[test]
    fn values_come_back() {
        for bit in 0..32 {
            for value in [1 << bit, !(1 << bit)] {
                let sbdf = Sbdf::from_u32(value);
                assert_eq!(sbdf.to_u32(), value);
                assert_eq!(Sbdf::new(sbdf.segment(), sbdf.bus(), sbdf.devfn()), sbdf);
            }
        }
    }

    /// Addresses are ordered by segment, bus, device and function.
    #[test]
    fn order_is_that_of_the_fields() {
        let sorted = [
            Sbdf::new(0, 0, 0),
            Sbdf::new(0, 0, 1),
            Sbdf::new(0, 0, 8),
            Sbdf::new(0, 1, 0),
            Sbdf::new(1, 0, 0),
            Sbdf::new(0x8000, 0, 0),
        ];
        assert!(sorted.windows(2).all(|pair| pair[0] < pair[1]));
    }

    /// Compares formatted text with an expected text, of which it holds the rest.
    struct Compare<'a>(&'a str);

    impl fmt::Write for Compare<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
            Ok(())
        }
    }

    /// Addresses format as Linux names devices, the form that libxl and xl expect.
    #[test]
    fn names_are_those_of_linux() {
        for (sbdf, name) in [
            (Sbdf::new(0, 3, 0x20), "0000:03:04.0"),
            (Sbdf::new(0xabcd, 0xef, 0xff), "abcd:ef:1f.7"),
        ] {
            let mut rest = Compare(name);
            assert!(fmt::Write::write_fmt(&mut rest, format_args!("{sbdf}")).is_ok());
            assert_eq!(rest.0, "");
        }
    }
}
