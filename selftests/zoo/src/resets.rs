// SPDX-License-Identifier: GPL-2.0

//! What a reset leaves of the vendor's registers, and whether it does anything at all.

use crate::description::{Effect, Kind, Register, Resets};

impl Resets {
    /// What a reset of that kind does.
    pub fn effect(&self, kind: Kind) -> Effect {
        match kind {
            Kind::Flr => self.flr,
            Kind::Bus => self.bus,
            Kind::Pm => self.pm,
        }
    }
}

impl Register {
    /// The value after a reset, if it was `now` before.
    pub fn after(&self, kind: Kind, now: u32) -> u32 {
        match self.kept_by.contains(&kind) {
            true => now,
            false => self.lost.unwrap_or(self.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::description::{Kind, Register};

    #[test]
    fn registers_are_kept_or_lost() {
        let text = "config = 0xf0\nvalue = 5\nlost = 0\nkept_by = [\"flr\"]\n";
        let register: Register = toml::from_str(text).unwrap();
        assert_eq!(register.after(Kind::Flr, 7), 7);
        assert_eq!(register.after(Kind::Bus, 7), 0);
        let register = Register {
            lost: None,
            ..register
        };
        assert_eq!(register.after(Kind::Bus, 7), 5);
    }
}
