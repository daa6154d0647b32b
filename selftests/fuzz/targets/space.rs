// SPDX-License-Identifier: GPL-2.0

//! `space`: a function with any registers, and what a PV guest reads and writes there.
//!
//! The second implementation knows each bit by a letter: `r` is seen as it is, `w` is written, `p`
//! is written if that is permitted, `z` is seen, and written as 0 with others; `s` is the guest's
//! own, 0 and 1 are fixed.

use core::cell::RefCell;
use std::collections::BTreeMap;

use kernel::prelude::*;

use crate::{
    bytes::Bytes,
    layout::{
        Config,
        Traits,
        Virtual, //
    },
    operation::Access,
    quirks::Quirk,
    space::Space,
};

const LENGTH: usize = 4096;

/// The registers.
struct Function(RefCell<Vec<u8>>);

impl Config for Function {
    fn read(&self, access: Access) -> Result<u32> {
        let bytes = self.0.borrow();
        let at = usize::from(access.offset());
        Ok((0..usize::from(access.size()))
            .fold(0, |value, n| value | u32::from(bytes[at + n]) << (8 * n)))
    }

    fn write(&self, access: Access, value: u32) -> Result {
        let mut bytes = self.0.borrow_mut();
        let at = usize::from(access.offset());
        for n in 0..usize::from(access.size()) {
            bytes[at + n] = (value >> (8 * n)) as u8;
        }
        Ok(())
    }
}

/// The letters of each register that has any, the lowest bit first, and what the guest has written.
type Letters = BTreeMap<usize, Vec<(char, bool)>>;

fn put(letters: &mut Letters, at: usize, text: &str) {
    let bits: Vec<_> = text
        .chars()
        .filter(|letter| *letter != '_')
        .rev()
        .map(|letter| (letter, false))
        .collect();
    assert_eq!(bits.len(), 32);
    letters.entry(at).or_insert(bits);
}

/// The letter for each bit of a value: `s` where the guest may write, and what it is at first.
fn own(letters: &mut Letters, at: usize, value: u32, writable: u32) {
    let bit = |n: u32| {
        let is_one = value >> n & 1 == 1;
        match (writable >> n & 1, is_one) {
            (1, _) => ('s', is_one),
            (_, true) => ('1', false),
            _ => ('0', false),
        }
    };
    letters
        .entry(at)
        .or_insert_with(|| (0..32).map(bit).collect());
}

/// Which bit of which byte enables a kind of interrupts, and by which value.
type Switch = (usize, usize, bool);

const SEEN: &str = "rrrrrrrr_rrrrrrrr_rrrrrrrr_rrrrrrrr";
const NOTHING: &str = "00000000_00000000_00000000_00000000";

fn letters(bytes: &[u8], traits: &Traits) -> (Letters, Vec<Switch>, u16) {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
    let mut all = Letters::new();
    if let Some(function) = traits.virtual_function {
        let [vendor, device] = function.ids.map(u32::from);
        own(&mut all, 0, device * 0x1_0000 + vendor, 0);
    }
    // The upper half of an address is where a 64-bit BAR ends.
    let bar = |index: usize, is_upper: bool| match traits.virtual_function {
        Some(function) if is_upper => (function.starts[index - 1] / 0x1_0000_0000) as u32,
        Some(function) => {
            let low = (function.starts[index] % 0x1_0000_0000) as u32;
            low | u32::from(function.flags[index] % 16)
        }
        None => word(0x10 + 4 * index),
    };
    for at in [0, 8, 0x28, 0x2c, 0x34, 0x38] {
        put(&mut all, at, SEEN);
    }
    put(&mut all, 0x04, "zzzzzrrz_rrrrrrrr_00000sss_0sssswss");
    put(&mut all, 0x0c, "rzrrrrrr_rrrrrrrr_rrrrrrrr_wwwwwwww");
    put(
        &mut all,
        0x3c,
        &format!("rrrrrrrr_rrrrrrrr_rrrrrrrr_{:08b}", traits.line),
    );
    let mut index = 0;
    while index < 6 {
        let (at, length) = (0x10 + 4 * index, u128::from(traits.lengths[index]));
        let is_length = (0..64).any(|n| length == 1 << n);
        // What is below the length is not the guest's.
        let below = |length: u128| (length - 1) as u64;
        let low = bar(index, false);
        let fixed = if low & 1 == 1 { 3 } else { 15 };
        let is_wide = low & 7 == 4;
        let mut writable = 0;
        if is_length {
            writable = !(below(length) | fixed);
        }
        let shown = if writable == 0 { 0 } else { u32::MAX };
        own(&mut all, at, low & shown, writable as u32);
        index += 1;
        if is_wide && index < 6 {
            own(
                &mut all,
                at + 4,
                bar(index, true) & shown,
                (writable >> 32) as u32,
            );
            index += 1;
        }
    }
    let rom = traits.lengths[6];
    let writable = if rom.is_power_of_two() {
        !(rom - 1) >> 11 << 11
    } else {
        0
    };
    let enable = u32::from(writable != 0);
    let shown = if writable == 0 { 0 } else { !1 };
    own(&mut all, 0x30, word(0x30) & shown, writable as u32 | enable);

    let mut entries = 0;
    let mut switches = Vec::new();
    if bytes[0x3d] != 0 {
        switches.push((5, 2, false));
    }
    let mut at = usize::from(bytes[0x34] / 4) * 4;
    for _ in 0..48 {
        if bytes[6] & 0x10 == 0 || at < 0x40 {
            break;
        }
        let (id, next) = (bytes[at], usize::from(bytes[at + 1] / 4) * 4);
        let control = u16::from_le_bytes([bytes[at + 2], bytes[at + 3]]);
        match id {
            1 => {
                put(&mut all, at, "00000rrr_rrrrrrrr_rrrrrrrr_rrrrrrrr");
                put(&mut all, at + 4, "rrrrrrrr_rrrrrrrr_0rrsssss_rrrrrrss");
            }
            3 => {
                put(&mut all, at, "zwwwwwww_wwwwwwww_rrrrrrrr_rrrrrrrr");
                put(&mut all, at + 4, SEEN);
            }
            5 => {
                switches.push((at + 2, 0, true));
                let length = [10, 14, 20, 24][usize::from(control >> 7 & 3)];
                for hidden in (4..length).step_by(4) {
                    put(&mut all, at + hidden, NOTHING);
                }
                put(&mut all, at, "rrrrrrrr_r000000r_rrrrrrrr_rrrrrrrr");
            }
            0x10 => put(&mut all, at + 8, "rrrrrrrr_rrrrzzzz_zppppppp_pppppppp"),
            0x11 => {
                switches.push((at + 3, 7, true));
                let all_but_one = control % 2048;
                if all_but_one == 0 {
                    put(&mut all, at, "rrrrrrrr_rrrrrrrr_rrrrrrrr_00000000");
                } else {
                    put(
                        &mut all,
                        at,
                        &format!("rrrrr{:011b}_rrrrrrrr_rrrrrrrr", all_but_one - 1),
                    );
                }
                if entries == 0 {
                    entries = all_but_one;
                }
                put(&mut all, at + 4, SEEN);
                put(&mut all, at + 8, SEEN);
            }
            0x13 => put(&mut all, at + 4, SEEN),
            _ => (),
        }
        at = next;
    }
    let mut at = 0x100;
    for _ in 0..480 {
        let head = word(at);
        if head == 0 || head == u32::MAX {
            break;
        }
        let registers = match head & 0xffff {
            0x10 => 16,
            0x15 | 0x24 => 13,
            _ => 0,
        };
        for n in 0..registers {
            put(&mut all, at + 4 * n, SEEN);
        }
        at = (head >> 20) as usize / 4 * 4;
        if at < 0x100 {
            break;
        }
    }
    if traits.controls_interrupts {
        for (at, bit, _) in &switches {
            let letters = all.get_mut(&(at / 4 * 4)).expect("it has letters");
            letters[at % 4 * 8 + bit].0 = 'w';
            if *bit == 7 {
                letters[at % 4 * 8 + 6].0 = 'w';
            }
        }
    }
    (all, switches, entries)
}

/// The function as the guest has it, bit by bit.
struct Naive {
    bytes: Vec<u8>,
    letters: Letters,
    switches: Vec<Switch>,
    is_permissive: bool,
}

impl Naive {
    fn letter(&self, at: usize, bit: usize) -> (char, bool) {
        let register = self.letters.get(&(at / 4 * 4));
        register.map_or(('p', false), |letters| letters[at % 4 * 8 + bit])
    }

    fn read(&self, offset: usize, size: usize) -> u32 {
        let mut value = 0;
        for n in 0..size * 8 {
            let at = offset + n / 8;
            let is_one = match self.letter(at, n % 8) {
                ('s', is_one) => is_one,
                ('0', _) => false,
                ('1', _) => true,
                _ => self.bytes[at] >> (n % 8) & 1 == 1,
            };
            value |= u32::from(is_one) << n;
        }
        value
    }

    fn is_on(&self, (at, bit, on): Switch) -> bool {
        (self.bytes[at] >> bit & 1 == 1) == on
    }

    /// Whether it enables a kind of interrupts beside another one.
    fn is_refused(&self, offset: usize, size: usize, value: u32) -> bool {
        let enabled = self.switches.iter().find(|(at, bit, on)| {
            (offset..offset + size).contains(at)
                && self.letter(*at, *bit).0 == 'w'
                && (value >> (8 * (at - offset) + bit) & 1 == 1) == *on
        });
        enabled.is_some_and(|enabled| {
            let mut others = self.switches.iter().filter(|other| *other != enabled);
            others.any(|other| self.is_on(*other))
        })
    }

    /// Returns whether it is refused.
    fn write(&mut self, offset: usize, size: usize, value: u32) -> bool {
        let is_refused = self.is_refused(offset, size, value);
        let is_written = |letter| letter == 'w' || letter == 'p' && self.is_permissive;
        let bits: Vec<_> = (0..size * 8)
            .map(|n| (offset + n / 8, n % 8, value >> n & 1 == 1))
            .collect();
        let writes = bits
            .iter()
            .any(|(at, bit, _)| is_written(self.letter(*at, *bit).0));
        for (at, bit, is_one) in bits {
            let (letter, _) = self.letter(at, bit);
            if letter == 's' {
                let register = self.letters.get_mut(&(at / 4 * 4)).expect("it has letters");
                register[at % 4 * 8 + bit].1 = is_one;
            } else if is_refused {
            } else if writes && letter == 'z' {
                self.bytes[at] &= !(1 << bit);
            } else if letter == 'w' || letter == 'p' && self.is_permissive {
                self.bytes[at] = self.bytes[at] & !(1 << bit) | u8::from(is_one) << bit;
            }
        }
        is_refused
    }
}

/// A function with all capabilities that matter.
fn template() -> Vec<u8> {
    let mut bytes = vec![0; LENGTH];
    for (at, value) in [
        (0x00, 0x10d3_8086u32),
        (0x04, 0x3810_0003),
        (0x10, 0xfe00_0000),
        (0x14, 0x0000_c001),
        (0x18, 0x4000_000c),
        (0x30, 0xfe40_0000),
        (0x34, 0x40),
        (0x3c, 0x0000_010b),
        (0x40, 0xfe23_5001),
        (0x50, 0x018e_7005),
        (0x70, 0x0004_8011),
        (0x80, 0x8123_a003),
        (0xa0, 0x0002_c010),
        (0xa8, 0x000f_2810),
        (0xc0, 0x0306_0013),
        (0x100, 0x1502_0001),
        (0x150, 0x1a01_0010),
        (0x1a0, 0x0001_0015),
    ] {
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

/// A virtual function, whose BARs begin at multiples of their lengths.
fn virtual_function(source: &mut Bytes<'_>, traits: &Traits) -> Virtual {
    let mut function = Virtual {
        ids: [(); 2].map(|()| source.word() as u16),
        ..Virtual::default()
    };
    for (n, start) in function.starts.iter_mut().enumerate() {
        let random = u64::from(source.word()) << 32 | u64::from(source.word());
        *start = random & traits.lengths[n].wrapping_neg() & !15;
        function.flags[n] = source.byte();
    }
    function
}

pub(crate) fn run(input: &[u8]) {
    let mut source = Bytes::new(input);
    let first = source.byte();
    let mut traits = Traits {
        line: source.byte(),
        is_permissive: first & 1 == 1,
        ..Traits::default()
    };
    traits.controls_interrupts = traits.line & 0x80 != 0;
    for length in &mut traits.lengths {
        *length = 1 << (source.byte() % 64);
    }
    if first & 2 != 0 {
        traits.lengths[usize::from(first >> 2) % 7] &= 0x18;
    }
    if source.byte() & 1 == 1 {
        traits.virtual_function = Some(virtual_function(&mut source, &traits));
    }
    let mut bytes = template();
    for _ in 0..first >> 5 {
        let at = source.word() as usize;
        bytes[at % 0x200] = (at >> 16) as u8;
    }
    let (mut letters, switches, entries) = letters(&bytes, &traits);
    let has_quirk = traits.line & 0x40 != 0;
    if has_quirk {
        put(&mut letters, 0xf0, "pppppppp_pppppppp_wwwwwwww_wwwwpppp");
    }
    let mut naive = Naive {
        bytes: bytes.clone(),
        letters,
        switches,
        is_permissive: traits.is_permissive,
    };
    let function = Function(RefCell::new(bytes));
    let mut space = Space::new(&function, &traits).expect("nothing fails");
    assert_eq!(space.msix_entries(), entries);
    if has_quirk {
        for quirk in [
            "0:0.0-f0:2:ff0",
            "0:0.0-f1:1:f0",
            "0:0.0-4:1:ff",
            "0:0.0-f1:2:f",
        ] {
            let (_, quirk) = Quirk::parse(quirk).expect("a quirk");
            space.allow(&quirk).expect("nothing fails");
        }
    }
    while !source.is_empty() {
        let what = source.byte();
        let size = [1, 2, 4, 4][usize::from(what & 3)];
        let offset =
            usize::from(u16::from(what >> 2 & 1) << 8 | u16::from(source.byte())) / size * size;
        let access = Access::new(offset as u32, size as u32).expect("aligned");
        if what & 8 != 0 {
            let value = source.word() & access.mask();
            let written = space.write(&function, access, value);
            let is_refused = naive.write(offset, size, value);
            assert_eq!(written, if is_refused { Err(EBUSY) } else { Ok(()) });
            let mut messages = naive.switches.iter().filter(|(_, _, on)| *on);
            let is_off = !messages.any(|switch| naive.is_on(*switch));
            assert_eq!(space.require_no_messages(&function).is_ok(), is_off);
        }
        assert_eq!(space.read(&function, access), Ok(naive.read(offset, size)));
        assert_eq!(*function.0.borrow(), naive.bytes);
        // XSA-120, whatever the capabilities are.
        assert!(traits.is_permissive || naive.bytes[4] & 3 == template()[4] & 3 || first >> 5 != 0);
    }
}
