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

#[path = "../../../rust/xen/pci/sbdf.rs"]
#[allow(dead_code, reason = "a program uses a part of it")]
mod shared;

pub use shared::Sbdf;

impl Sbdf {
    /// Whether both are on one bus.
    pub const fn is_on_bus_of(self, other: Self) -> bool {
        self.to_u32() >> 8 == other.to_u32() >> 8
    }

    /// Whether both are functions of one device.
    pub const fn is_in_slot_of(self, other: Self) -> bool {
        self.to_u32() >> 3 == other.to_u32() >> 3
    }
}

impl Default for Sbdf {
    fn default() -> Self {
        Self::from_u32(0)
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

/// As in the modules; the segment may be left out, as for `xl`.
impl FromStr for Sbdf {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let short = text.matches(':').count() == 1;
        let segment = if short { "0000:" } else { "" };
        Self::parse(&format!("{segment}{text}")).ok_or(ParseError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_xl_takes() {
        assert_eq!("0000:03:00.0".parse(), Ok(Sbdf::from_u32(0x0300)));
        assert_eq!("03:00.0".parse(), Ok(Sbdf::from_u32(0x0300)));
        assert_eq!("3:1f.7".parse(), Ok(Sbdf::from_u32(0x03ff)));
        assert_eq!("ffff:FF:1f.7".parse(), Ok(Sbdf::from_u32(u32::MAX)));
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
            let sbdf = Sbdf::from_u32(value);
            assert_eq!(sbdf.to_string().parse(), Ok(sbdf));
        }
    }
}
