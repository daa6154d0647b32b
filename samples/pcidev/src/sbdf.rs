// SPDX-License-Identifier: GPL-2.0

//! The address of a PCI function.

use std::{
    fmt,
    str::FromStr, //
};

use serde::{
    Serialize,
    Serializer, //
};

/// The address of a PCI function, as `xl` and Linux write it: `0000:03:00.0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sbdf(u32);

impl Sbdf {
    /// From segment << 16 | bus << 8 | device << 3 | function.
    pub const fn from_u32(value: u32) -> Self {
        Self(value)
    }

    /// The same form.
    pub const fn to_u32(self) -> u32 {
        self.0
    }

    /// The bus: segment << 8 | bus.
    pub const fn bus(self) -> u32 {
        self.0 >> 8
    }

    /// The bus and the device on it.
    pub const fn slot(self) -> u32 {
        self.0 >> 3
    }
}

impl fmt::Display for Sbdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bus, devfn) = (self.0 >> 8 & 0xff, self.0 & 0xff);
        write!(
            f,
            "{:04x}:{bus:02x}:{:02x}.{}",
            self.0 >> 16,
            devfn >> 3,
            devfn & 7
        )
    }
}

impl Serialize for Sbdf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The form is wrong, or a number too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError;

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not [SEGMENT:]BUS:DEVICE.FUNCTION in hexadecimal, such as 0000:03:00.0")
    }
}

impl std::error::Error for ParseError {}

/// A hexadecimal number, `max` at most. Unlike `from_str_radix()` it takes no sign.
fn hex(text: &str, max: u32) -> Result<u32, ParseError> {
    if !text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return Err(ParseError);
    }
    u32::from_str_radix(text, 16)
        .ok()
        .filter(|&value| value <= max)
        .ok_or(ParseError)
}

impl FromStr for Sbdf {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (front, function) = text.rsplit_once('.').ok_or(ParseError)?;
        let (front, device) = front.rsplit_once(':').ok_or(ParseError)?;
        let (segment, bus) = front.rsplit_once(':').unwrap_or(("0", front));
        Ok(Self(
            hex(segment, 0xffff)? << 16
                | hex(bus, 0xff)? << 8
                | hex(device, 0x1f)? << 3
                | hex(function, 7)?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_xl_takes() {
        assert_eq!("0000:03:00.0".parse(), Ok(Sbdf(0x0300)));
        assert_eq!("03:00.0".parse(), Ok(Sbdf(0x0300)));
        assert_eq!("3:1f.7".parse(), Ok(Sbdf(0x03ff)));
        assert_eq!("ffff:FF:1f.7".parse(), Ok(Sbdf(u32::MAX)));
    }

    #[test]
    fn refuses_the_rest() {
        let wrong =
            "|.|:.|::.|03|03:00|03.0|0:0:0:0.0|10000:00:00.0|100:00.0|00:20.0|00:00.8|00:00.|\
                     :00.0|00:.0|+0:00.0|00:-1.0| 00:00.0|00:00.0 |00:00.0\n|00:00.0@5|00:00.*|\
                     0x3:00.0|00:0g.0|00:00.0.0|ä:00.0|111111111:00:00.0";
        for text in wrong.split('|') {
            assert_eq!(text.parse::<Sbdf>(), Err(ParseError), "{text:?}");
        }
    }

    #[test]
    fn every_printed_address_parses() {
        for value in (0..=u32::MAX).step_by(65_521) {
            let sbdf = Sbdf(value);
            assert_eq!(sbdf.to_string().parse(), Ok(sbdf));
        }
    }

    #[test]
    fn prints_as_linux_does() {
        assert_eq!(Sbdf(0x0001_0af9).to_string(), "0001:0a:1f.1");
    }
}
