// SPDX-License-Identifier: GPL-2.0

//! The decoders of what a device's registers and ACPI say.

use xen::{
    gsi::{
        NoRoute,
        Polarity,
        Route,
        Trigger, //
    },
    pci::MsixTable, //
};

use crate::{
    bytes::Bytes,
    header::{
        bar_addresses,
        Pin,
        Registers, //
    },
    hiding::Hiding, //
};

fn bars(bars: [u32; 6]) {
    let mut wanted = Vec::new();
    let mut index = 0;
    while index < 6 {
        let low = bars[index];
        let is_memory = low % 2 == 0;
        let is_wide = is_memory && low / 2 % 4 == 2;
        let mut address = u64::from(low) / 16 * 16;
        if is_wide && index < 5 {
            address += u64::from(bars[index + 1]) * 0x1_0000_0000;
        }
        wanted.push((u32::try_from(index).expect("small"), address));
        index += if is_wide { 2 } else { 1 };
    }
    assert!(bar_addresses(bars).eq(wanted));
}

fn registers(before: [u32; 16], mut after: [u32; 16], status: u32) {
    let old = Registers::new(before);
    let difference = Registers::new(after).differs(&old);
    let wanted = (0..16u8).find_map(|index| {
        let (is, was) = (after[usize::from(index)], before[usize::from(index)]);
        let mask = match index {
            1 => 0xffff,
            15 => 0xffff_ff00,
            _ => u32::MAX,
        };
        (is & mask != was & mask).then_some((4 * index, is & mask, was & mask))
    });
    assert_eq!(difference, wanted);

    after[1] ^= status << 16;
    after[15] ^= status % 256;
    assert_eq!(Registers::new(after).differs(&old), difference);
}

fn msix(control: u16, offset: u32) {
    match MsixTable::decode(control, offset) {
        Some(MsixTable { entries, bar }) => {
            assert_eq!(entries, control % 2048 + 1);
            assert_eq!(bar, offset % 8);
            assert!(bar <= 5 && (1..=2048).contains(&entries));
        }
        None => assert!(offset % 8 > 5),
    }
}

/// A part that is read is that of the whole space as a device model is to see it.
fn hidden(hiding: Hiding, mut space: [u8; 256], from: u8, length: u8) {
    let from = usize::from(from);
    let to = (from + usize::from(length)).min(space.len());
    let mut part = space[from..to].to_vec();
    hiding.change(from as u64, &mut part);
    match hiding {
        Hiding::Entry { control, entries } => {
            let at = usize::from(control);
            let was = u16::from_le_bytes([space[at], space[at + 1]]);
            let is = was / 2048 * 2048 + (entries - 1) % 2048;
            for (at, byte) in (at..).zip(is.to_le_bytes()) {
                if at >= 64 || space[at] != 255 {
                    space[at] = byte;
                }
            }
        }
        Hiding::Capability { pointer, next } => {
            let at = usize::from(pointer);
            if at >= 64 || space[at] != 255 {
                space[at] = next;
            }
        }
        Hiding::Register { offset, value } => {
            let at = usize::from(offset);
            space[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
    }
    assert_eq!(part, space[from..to]);
}

fn route(gsi: i32, trigger: i32, polarity: i32) {
    match Route::decode(gsi, trigger, polarity) {
        Ok(route) => {
            assert_eq!(i64::from(route.gsi), i64::from(gsi));
            assert_eq!(route.trigger == Trigger::Edge, trigger == 1);
            assert_eq!(route.polarity == Polarity::High, polarity == 0);
        }
        Err(reason) => assert!(gsi < 0 && reason == NoRoute::Unrouted),
    }
}

pub(crate) fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let pin = bytes.byte();
    match Pin::decode(pin) {
        Some(found) => {
            assert_eq!(found.number(), pin);
            assert_eq!(found.letter(), char::from(b'A' + pin - 1));
        }
        None => assert!(pin == 0 || pin > 4),
    }
    // Some of the numbers that ACPI gives lines have a meaning, most have none.
    let selector = bytes.byte();
    let (trigger, polarity) = if selector < 16 {
        (i32::from(selector) % 4, i32::from(selector) / 4)
    } else {
        (signed(bytes.word()), signed(bytes.word()))
    };
    route(signed(bytes.word()), trigger, polarity);
    msix(bytes.word() as u16, bytes.word());

    let before = [(); 16].map(|()| bytes.word());
    bars(before[4..10].try_into().expect("six"));
    // Mostly the same, or the first would always differ.
    let mut after = before;
    let (index, bits) = (bytes.byte(), bytes.word());
    after[usize::from(index % 16)] ^= bits;
    registers(before, after, bytes.word());

    let (at, value) = (bytes.byte(), bytes.word());
    let hiding = match bytes.byte() % 3 {
        0 => Hiding::Entry {
            control: u16::from(at.min(254)),
            entries: value as u16 % 2047 + 1,
        },
        1 => Hiding::Capability {
            pointer: at.into(),
            next: value as u8,
        },
        _ => Hiding::Register {
            offset: u16::from(at.clamp(64, 252)),
            value,
        },
    };
    let [from, length, fill] = [(); 3].map(|()| bytes.byte());
    hidden(hiding, [fill; 256], from, length);
}

fn signed(word: u32) -> i32 {
    i32::from_le_bytes(word.to_le_bytes())
}
