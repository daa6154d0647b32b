// SPDX-License-Identifier: GPL-2.0

//! What the calls of `/dev/xen/pcidev` read of the caller's structure, and write to it.

use kernel::prelude::*;

use xen::Sbdf;

use crate::{
    table::Facts,
    uapi, //
};

/// The caller's structure, in words.
pub(crate) trait Words {
    /// Reads one.
    fn read(&self, index: usize) -> Result<u32>;
    /// Writes one.
    fn write(&mut self, index: usize, word: u32) -> Result;
}

/// What is known.
pub(crate) trait Known {
    /// Of one function.
    fn facts(&self, sbdf: Sbdf) -> Result<Facts>;
    /// Of all functions that `wanted` wants, in the order of their addresses.
    fn list(&self, wanted: impl Fn(&Facts) -> bool) -> Result<KVec<(Sbdf, Facts)>>;
}

/// Answers a call. No word is read twice, and none is written unless the call is granted or says
/// how much room it wants.
pub(crate) fn answer(number: u32, words: &mut impl Words, known: &impl Known) -> Result {
    match number {
        uapi::GET_GSI => info(words, known, true),
        uapi::GET_INFO => info(words, known, false),
        uapi::GET_LIST => list(words, known),
        _ => Err(ENOTTY),
    }
}

/// Reads how many bytes the caller has room for; `EINVAL` unless it is `least`.
fn room(words: &impl Words, least: usize) -> Result<usize> {
    let room = words.read(0)? as usize;
    if room < least {
        return Err(EINVAL);
    }
    Ok(room)
}

fn write<'a>(
    words: &mut impl Words,
    from: usize,
    values: impl IntoIterator<Item = &'a u32>,
) -> Result {
    (from..)
        .zip(values)
        .try_for_each(|(index, value)| words.write(index, *value))
}

fn info(words: &mut impl Words, known: &impl Known, needs_gsi: bool) -> Result {
    room(words, uapi::Info::SIZE)?;
    let (flags, sbdf) = (words.read(1)?, Sbdf::from_u32(words.read(2)?));
    if flags != 0 {
        return Err(EINVAL);
    }
    let facts = known.facts(sbdf)?;
    if needs_gsi {
        facts.route?;
    }
    write(words, 0, &facts.info(sbdf).to_words())
}

fn list(words: &mut impl Words, known: &impl Known) -> Result {
    let room = room(words, uapi::List::SIZE)?;
    let (flags, gsi, irq) = (words.read(1)?, words.read(2)?, words.read(3)?);
    let functions = match flags {
        0 => known.list(|_| true)?,
        uapi::BY_GSI => known.list(|facts| facts.route.is_ok_and(|route| route.gsi == gsi))?,
        uapi::BY_IRQ => known.list(|facts| facts.irq == Some(irq))?,
        _ => return Err(EINVAL),
    };

    let mut head = uapi::List {
        count: u32::try_from(functions.len())?,
        ..Default::default()
    };
    head.argsz = head
        .count
        .checked_mul(size_of::<u32>() as u32)
        .and_then(|bytes| bytes.checked_add(uapi::List::SIZE as u32))
        .ok_or(EOVERFLOW)?;
    if flags != 0 {
        let (_, facts) = functions.first().ok_or(ENOENT)?;
        if let Ok(route) = facts.route {
            head.flags |= uapi::FLAG_GSI;
            head.gsi = route.gsi;
        }
        if let Some(irq) = functions.iter().find_map(|(_, facts)| facts.irq) {
            head.flags |= uapi::FLAG_IRQ;
            head.irq = irq;
        }
    }
    let head_words = head.to_words();
    write(words, 0, &head_words)?;
    if room < head.argsz as usize {
        return Err(ENOSPC);
    }
    for (index, (sbdf, _)) in (head_words.len()..).zip(&functions) {
        words.write(index, sbdf.to_u32())?;
    }
    Ok(())
}
