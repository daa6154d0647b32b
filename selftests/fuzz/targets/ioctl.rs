// SPDX-License-Identifier: GPL-2.0

//! `request`: the ioctls of `/dev/xen/pcidev`, on memory that ends somewhere, or cannot be written.

use std::cell::RefCell;

use kernel::prelude::*;
use xen::Sbdf;

use crate::{
    bytes::Bytes,
    request::{
        self,
        Known,
        Words, //
    },
    table::Facts,
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

impl Words for Memory {
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

/// Functions in the order of their addresses.
struct Functions(Vec<(Sbdf, Facts)>);

impl Known for Functions {
    fn facts(&self, sbdf: Sbdf) -> Result<Facts> {
        let found = self.0.iter().find(|(other, _)| *other == sbdf);
        found.map(|(_, facts)| *facts).ok_or(ENODEV)
    }

    fn list(&self, wanted: impl Fn(&Facts) -> bool) -> Result<KVec<(Sbdf, Facts)>> {
        let mut list = KVec::new();
        for one in self.0.iter().filter(|(_, facts)| wanted(facts)) {
            list.push(*one, GFP_KERNEL)?;
        }
        Ok(list)
    }
}

/// What a call has to end with, and the words that it has to write before.
fn naively(number: u32, words: &[u32], known: &[(Sbdf, Facts)]) -> (Result, Vec<u32>) {
    let refuse = |error| (Err(error), Vec::new());
    let (least, inputs) = match number {
        uapi::GET_GSI | uapi::GET_INFO => (48, 3),
        uapi::GET_LIST => (20, 4),
        _ => return refuse(ENOTTY),
    };
    match words.first() {
        None => return refuse(EFAULT),
        Some(argsz) if *argsz < least => return refuse(EINVAL),
        _ if words.len() < inputs => return refuse(EFAULT),
        _ => (),
    }
    if number != uapi::GET_LIST {
        if words[1] != 0 {
            return refuse(EINVAL);
        }
        let found = known.iter().find(|(sbdf, _)| sbdf.to_u32() == words[2]);
        return match found {
            None => refuse(ENODEV),
            Some((_, facts)) if number == uapi::GET_GSI && facts.route.is_err() => {
                refuse(facts.route.map_err(Error::from).unwrap_err())
            }
            Some((sbdf, facts)) => (Ok(()), facts.info(*sbdf).to_words().to_vec()),
        };
    }
    let gsi = |facts: &Facts| facts.route.ok().map(|route| route.gsi);
    let mut list = known.to_vec();
    match words[1] {
        0 => (),
        1 => list.retain(|(_, facts)| gsi(facts) == Some(words[2])),
        2 => list.retain(|(_, facts)| facts.irq == Some(words[3])),
        _ => return refuse(EINVAL),
    }
    let count = u32::try_from(list.len()).expect("few");
    let mut head = [20 + 4 * count, 0, 0, 0, count];
    if words[1] != 0 {
        let Some((_, first)) = list.first() else {
            return refuse(ENOENT);
        };
        if let Some(gsi) = gsi(first) {
            head[1] |= 1;
            head[2] = gsi;
        }
        if let Some(irq) = list.iter().filter_map(|(_, facts)| facts.irq).next() {
            head[1] |= 2;
            head[3] = irq;
        }
    }
    let mut answer = head.to_vec();
    if words[0] < head[0] {
        return (Err(ENOSPC), answer);
    }
    answer.extend(list.iter().map(|(sbdf, _)| sbdf.to_u32()));
    (Ok(()), answer)
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
        known.push((
            functions::address(bytes.byte()),
            functions::facts(&mut bytes),
        ));
    }
    known.sort_by_key(|(sbdf, _)| *sbdf);
    known.dedup_by_key(|(sbdf, _)| *sbdf);
    let (length, writable) = (usize::from(bytes.byte() % 24), bytes.byte().into());
    let words: Vec<_> = (0..length).map(|_| bytes.word()).collect();

    let (mut result, answer) = naively(number, &words, &known);
    let mut memory = Memory {
        words: words.clone(),
        writable,
        reads: RefCell::default(),
        writes: Vec::new(),
    };
    let functions = Functions(known);
    let found = request::answer(number, &mut memory, &functions);

    let written = answer.len().min(writable).min(length);
    if written < answer.len() {
        result = Err(EFAULT);
    }
    assert_eq!(found, result);
    assert_eq!(memory.words[..written], answer[..written]);
    assert_eq!(memory.words[written..], words[written..]);

    // No word is read twice, or written beyond the caller's room.
    let mut reads = memory.reads.into_inner();
    reads.sort_unstable();
    assert!(reads.windows(2).all(|pair| pair[0] < pair[1]));
    let room = words.first().map_or(0, |argsz| *argsz as usize);
    assert!(memory.writes.iter().all(|index| 4 * index + 4 <= room));
}
