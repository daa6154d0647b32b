// SPDX-License-Identifier: GPL-2.0

//! A function that lies, in reads of up to 4 bytes. Who reads more at once gets the truth: QEMU
//! does so when it adds the function, and would follow a loop of capabilities for ever.
//!
//! Behind QEMU, of these lies only reads of all ones and another device ID are seen: it keeps the
//! links of capabilities and the BARs itself. The others are for clients without QEMU.

use crate::capabilities::Layout;
use crate::description;
use crate::offset;

/// What was told so far.
#[derive(Debug, Default)]
pub struct Liar {
    reads: u32,
    sized: bool,
    was_reset: bool,
}

impl Liar {
    /// After a reset.
    pub fn reset(&mut self) {
        self.was_reset = true;
    }

    /// Turns the true answer to a read into a lie.
    pub fn read(&mut self, lies: &description::Lies, layout: &Layout, at: usize, data: &mut [u8]) {
        if data.len() > 4 {
            return;
        }
        self.reads = self.reads.wrapping_add(1);
        if lies.ones_each.is_some_and(|each| self.reads % each == 0) {
            data.fill(0xff);
            return;
        }
        if let Some(device) = lies.device_after_reset.filter(|_| self.was_reset) {
            replace(at, data, 2, &device.to_le_bytes());
        }
        if let (true, [first, .., last]) = (lies.capability_loop, &layout.places[..]) {
            replace(at, data, last + 1, &[*first as u8]);
        }
        let sizes = (offset::BARS..offset::BARS + 24).contains(&at) && data.len() == 4;
        if lies.bar_sizes && sizes && data[3] == 0xff {
            self.sized = !self.sized;
            if self.sized {
                let size = u32::from_le_bytes([data[0], data[1], data[2], data[3]]);
                let smaller = 0x8000_0000 | (size as i32 >> 1) as u32 & !0xf | size & 0xf;
                data.copy_from_slice(&smaller.to_le_bytes());
            }
        }
    }
}

/// Puts bytes that belong at `wanted` into what was read at `at`.
fn replace(at: usize, data: &mut [u8], wanted: usize, bytes: &[u8]) {
    for (place, &byte) in (wanted..).zip(bytes) {
        if let Some(there) = place.checked_sub(at).and_then(|index| data.get_mut(index)) {
            *there = byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Liar;
    use crate::capabilities::{build, Layout};
    use crate::description::Card;

    fn liar(lies: &str) -> (Card, Layout) {
        let text = format!(
            "[[function]]\nvendor = 0x1234\ndevice = 1\nclass = 0x020000\n[function.pm]\n\
             [function.msi]\nvectors = 1\n[function.lies]\n{lies}"
        );
        let card: Card = toml::from_str(&text).unwrap();
        let layout = build(&card.functions[0], false).unwrap();
        (card, layout)
    }

    fn read(liar: &mut Liar, of: &(Card, Layout), at: usize) -> u32 {
        let mut data = [0; 4];
        of.1.config.read(at, &mut data);
        liar.read(&of.0.functions[0].lies, &of.1, at, &mut data);
        u32::from_le_bytes(data)
    }

    #[test]
    fn the_list_has_no_end() {
        let of = liar("capability_loop = true\n");
        let mut liar = Liar::default();
        assert_eq!(read(&mut liar, &of, 0x40) & 0xffff, 0x4801);
        assert_eq!(read(&mut liar, &of, 0x48) & 0xffff, 0x4005);
    }

    #[test]
    fn each_third_read_is_nothing() {
        let of = liar("ones_each = 3\n");
        let mut liar = Liar::default();
        let read = [0; 3].map(|at| read(&mut liar, &of, at));
        assert_eq!(read, [0x0001_1234, 0x0001_1234, u32::MAX]);
    }

    #[test]
    fn it_is_another_after_a_reset() {
        let of = liar("device_after_reset = 2\n");
        let mut liar = Liar::default();
        assert_eq!(read(&mut liar, &of, 0), 0x0001_1234);
        liar.reset();
        assert_eq!(read(&mut liar, &of, 0), 0x0002_1234);
    }
}
