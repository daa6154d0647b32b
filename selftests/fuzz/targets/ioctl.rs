// SPDX-License-Identifier: GPL-2.0

//! `request`: the ioctls of `/dev/xen/pcidev`, on memory that ends somewhere, or cannot be written.

use std::{
    cell::RefCell,
    ops::Range, //
};

use kernel::prelude::*;
use xen::pci::Sbdf;

use crate::{
    bytes::Bytes,
    info::Info,
    request::{
        self,
        Argument,
        Inventory, //
    },
    targets::functions,
    uapi, //
};

/// The caller's memory, and what was done to it.
struct Memory {
    words: Vec<u32>,
    /// Words that can be written, from the first.
    writable: usize,
    reads: RefCell<Vec<usize>>,
    writes: Vec<usize>,
}

impl Argument for Memory {
    fn read(&self, index: usize) -> Result<u32> {
        self.reads.borrow_mut().push(index);
        self.words.get(index).copied().ok_or(EFAULT)
    }

    fn write(&mut self, index: usize, word: u32) -> Result {
        self.writes.push(index);
        let writable = self.words.iter_mut().take(self.writable);
        *writable.skip(index).next().ok_or(EFAULT)? = word;
        Ok(())
    }
}

/// A function, what is known of it, and the domain that has it.
type Function = (Sbdf, Info, Option<u16>);

/// Functions in the order of their addresses, and the pages that are reserved for each.
struct Functions(Vec<Function>, Vec<Range<u64>>);

impl Inventory for Functions {
    fn info(&self, sbdf: Sbdf) -> Result<(Info, Option<u16>)> {
        let found = self.0.iter().find(|(other, ..)| *other == sbdf);
        found
            .map(|(_, info, domain)| (*info, *domain))
            .ok_or(ENODEV)
    }

    fn list(&self, wanted: impl Fn(&Info) -> bool) -> Result<KVec<(Sbdf, Info)>> {
        let mut list = KVec::new();
        for (sbdf, info, _) in self.0.iter().filter(|(_, info, _)| wanted(info)) {
            list.push((*sbdf, *info), GFP_KERNEL)?;
        }
        Ok(list)
    }

    fn reserved(&self, sbdf: Sbdf) -> Result<KVec<Range<u64>>> {
        self.info(sbdf)?;
        let mut list = KVec::new();
        for pages in &self.1 {
            list.push(pages.clone(), GFP_KERNEL)?;
        }
        Ok(list)
    }
}

/// What a call has to end with, and the words that it has to write before, after the first three.
fn naively(
    number: u32,
    words: &[u32],
    known: &[Function],
    pages: &[Range<u64>],
) -> (Result, Vec<u32>) {
    let refuse = |error| (Err(error), Vec::new());
    let least = match number {
        uapi::GET_GSI | uapi::GET_INFO => 52,
        uapi::GET_LIST => 28,
        uapi::GET_RESERVED => 24,
        _ => return refuse(ENOTTY),
    };
    match words.first() {
        None => return refuse(EFAULT),
        Some(argsz) if *argsz < least => return refuse(EINVAL),
        _ if words.len() < 3 => return refuse(EFAULT),
        _ => (),
    }
    if number != uapi::GET_LIST {
        if words[1] != 0 {
            return refuse(EINVAL);
        }
        let found = known.iter().find(|(sbdf, ..)| sbdf.to_u32() == words[2]);
        return match found {
            None => refuse(ENODEV),
            Some(_) if number == uapi::GET_RESERVED => reserved(words[0], pages),
            Some((_, info, _)) if number == uapi::GET_GSI && info.route.is_err() => {
                refuse(info.route.map_err(Error::from).unwrap_err())
            }
            Some((sbdf, info, domain)) => (
                Ok(()),
                info.to_uapi(*sbdf, *domain).to_words()[3..].to_vec(),
            ),
        };
    }
    let gsi = |info: &Info| info.route.ok().map(|route| route.gsi);
    let mut list = known.to_vec();
    match words[1] {
        0 => (),
        1 => list.retain(|(_, info, _)| gsi(info) == Some(words[2])),
        2 => list.retain(|(_, info, _)| info.irq == Some(words[2])),
        _ => return refuse(EINVAL),
    }
    let count = u32::try_from(list.len()).expect("few");
    let mut answer = vec![0, 0, 0, count];
    if words[1] != 0 {
        let Some((_, first, _)) = list.first() else {
            return refuse(ENOENT);
        };
        if let Some(gsi) = gsi(first) {
            answer[0] |= 1;
            answer[1] = gsi;
        }
        if let Some(irq) = list.iter().filter_map(|(_, info, _)| info.irq).next() {
            answer[0] |= 2;
            answer[2] = irq;
        }
    }
    if words[0] < 28 + 4 * count {
        return (Err(ENOSPC), answer);
    }
    answer.extend(list.iter().map(|(sbdf, ..)| sbdf.to_u32()));
    (Ok(()), answer)
}

/// What a caller with room for `room` bytes is told of reserved pages.
fn reserved(room: u32, pages: &[Range<u64>]) -> (Result, Vec<u32>) {
    let bytes = |pages: &Range<u64>| {
        let (start, end) = (u128::from(pages.start), u128::from(pages.end));
        let size = end.checked_sub(start).ok_or(EOVERFLOW)? << 12;
        let fits = |bytes: u128| u64::try_from(bytes).map_err(|_| EOVERFLOW);
        Ok((fits(start << 12)?, fits(size)?))
    };
    let regions: Result<Vec<_>> = pages.iter().map(bytes).collect();
    let Ok(mut regions) = regions else {
        return (Err(EOVERFLOW), Vec::new());
    };
    regions.sort_by_key(|(start, _)| *start);
    let count = u32::try_from(regions.len()).expect("few");
    let mut answer = vec![0, count, 0];
    if room < 24 + 16 * count {
        return (Err(ENOSPC), answer);
    }
    for (start, size) in regions {
        for number in [start, size] {
            let bytes = number.to_le_bytes();
            answer.extend(bytes.chunks(4).map(|half| {
                half.iter()
                    .rev()
                    .fold(0, |word, byte| word << 8 | u32::from(*byte))
            }));
        }
    }
    (Ok(()), answer)
}

/// A few pages, most of them near each other; no two begin at the same.
fn pages(bytes: &mut Bytes<'_>) -> Vec<Range<u64>> {
    let mut pages = Vec::new();
    for index in 0..u64::from(bytes.byte() & 3) {
        let (start, count) = (bytes.byte(), u64::from(bytes.byte()));
        let high = if start & 0xc0 == 0xc0 { 1 << 51 } else { 0 };
        let start = u64::from(start) << 2 | index | high;
        pages.push(start..if count == 0xff { 0 } else { start + count });
    }
    pages
}

pub(crate) fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let selector = bytes.byte();
    let number = match selector & 7 {
        7 => bytes.word(),
        other => uapi::GET_GSI + u32::from(other & 3),
    };
    let mut known = Vec::new();
    for _ in 0..selector >> 3 & 7 {
        let byte = bytes.byte();
        let domain = (byte & 0x80 != 0).then_some(u16::from(byte));
        known.push((
            functions::address(byte),
            functions::info(&mut bytes),
            domain,
        ));
    }
    known.sort_by_key(|(sbdf, ..)| *sbdf);
    known.dedup_by_key(|(sbdf, ..)| *sbdf);
    let (length, writable) = (usize::from(bytes.byte() % 24), bytes.byte().into());
    let words: Vec<_> = (0..length).map(|_| bytes.word()).collect();

    let pages = pages(&mut bytes);

    let (mut result, answer) = naively(number, &words, &known, &pages);
    let mut memory = Memory {
        words: words.clone(),
        writable,
        reads: RefCell::default(),
        writes: Vec::new(),
    };
    let functions = Functions(known, pages);
    let found = request::answer(number, &mut memory, &functions);

    let written = answer.len().min(writable.min(length).saturating_sub(3));
    if written < answer.len() {
        result = Err(EFAULT);
    }
    assert_eq!(found, result);
    // What the caller said is never overwritten: the same structure can be used again.
    let kept = length.min(3);
    assert_eq!(memory.words[..kept], words[..kept]);
    assert_eq!(memory.words[kept..kept + written], answer[..written]);
    assert_eq!(memory.words[kept + written..], words[kept + written..]);

    // No word is read twice, or written beyond the caller's room.
    let mut reads = memory.reads.into_inner();
    reads.sort_unstable();
    assert!(reads.windows(2).all(|pair| pair[0] < pair[1]));
    let room = words.first().map_or(0, |argsz| *argsz as usize);
    assert!(memory.writes.iter().all(|index| 4 * index + 4 <= room));
}
