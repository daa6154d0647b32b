// SPDX-License-Identifier: GPL-2.0

//! Decoding and answering of the ioctls of `/dev/xen/pcidev`.

use core::ops::Range;

use kernel::prelude::*;

use xen::pci::Sbdf;

use crate::{
    info::Info,
    uapi, //
};

/// The number of input words at the start of each structure. They are never written.
const INPUTS: usize = 3;

/// The size of Xen's pages.
const PAGE: u64 = 4096;

/// The structure that the caller passes, as 32-bit words.
pub(crate) trait Argument {
    /// Reads the word at `index`; `EFAULT` if it cannot be read.
    fn read(&self, index: usize) -> Result<u32>;
    /// Writes the word at `index`; `EFAULT` if it cannot be written.
    fn write(&mut self, index: usize, word: u32) -> Result;
}

/// The source of the answers.
pub(crate) trait Inventory {
    /// Returns the properties of the function at `sbdf`, and the domain that it is assigned to.
    /// `ENODEV` if there is no such function.
    fn info(&self, sbdf: Sbdf) -> Result<(Info, Option<u16>)>;
    /// Returns all functions for which `wanted` is true, in the order of their addresses.
    fn list(&self, wanted: impl Fn(&Info) -> bool) -> Result<KVec<(Sbdf, Info)>>;
    /// Returns the memory that firmware reserved for the function at `sbdf`, as ranges of page
    /// numbers, in any order. `ENODEV` if there is no such function.
    fn reserved(&self, sbdf: Sbdf) -> Result<KVec<Range<u64>>>;
}

/// Answers the ioctl `number`.
///
/// Reads no word twice, and writes output words only. Writes none if the ioctl fails, except for
/// the head of a list for which the caller has no room (`ENOSPC`).
///
/// Errors: `ENOTTY` for an unknown ioctl; `EINVAL` for invalid input words; `ENOENT` if no function
/// is on the given line; `ENOSPC` if the list does not fit; `EOVERFLOW` for memory beyond 64 bits;
/// else those of `argument`, of `inventory` and of a missing route ([`uapi::GET_GSI`]).
pub(crate) fn answer(
    number: u32,
    argument: &mut impl Argument,
    inventory: &impl Inventory,
) -> Result {
    match number {
        uapi::GET_GSI => info(argument, inventory, true),
        uapi::GET_INFO => info(argument, inventory, false),
        uapi::GET_LIST => list(argument, inventory),
        uapi::GET_RESERVED => reserved(argument, inventory),
        _ => Err(ENOTTY),
    }
}

/// Reads the input words. `EINVAL` if the first word, the size of the structure in bytes, is below
/// `least`.
fn inputs(argument: &impl Argument, least: usize) -> Result<[u32; INPUTS]> {
    let room = argument.read(0)?;
    if (room as usize) < least {
        return Err(EINVAL);
    }
    Ok([room, argument.read(1)?, argument.read(2)?])
}

/// Writes the output words of `words`, which is the whole structure.
fn outputs(argument: &mut impl Argument, words: &[u32]) -> Result {
    for (index, word) in words.iter().enumerate().skip(INPUTS) {
        argument.write(index, *word)?;
    }
    Ok(())
}

fn info(argument: &mut impl Argument, inventory: &impl Inventory, needs_gsi: bool) -> Result {
    let [_, flags, sbdf] = inputs(argument, uapi::Info::SIZE)?;
    if flags != 0 {
        return Err(EINVAL);
    }
    let sbdf = Sbdf::from_u32(sbdf);
    let (info, domain) = inventory.info(sbdf)?;
    if needs_gsi {
        info.route?;
    }
    outputs(argument, &info.to_uapi(sbdf, domain).to_words())
}

fn list(argument: &mut impl Argument, inventory: &impl Inventory) -> Result {
    let [room, flags, line] = inputs(argument, uapi::List::SIZE)?;
    let functions = match flags {
        0 => inventory.list(|_| true)?,
        uapi::BY_GSI => inventory.list(|info| info.route.is_ok_and(|route| route.gsi == line))?,
        uapi::BY_IRQ => inventory.list(|info| info.irq == Some(line))?,
        _ => return Err(EINVAL),
    };

    let mut head = uapi::List {
        count: u32::try_from(functions.len())?,
        ..Default::default()
    };
    if flags != 0 {
        let (_, first) = functions.first().ok_or(ENOENT)?;
        if let Ok(route) = first.route {
            head.valid |= uapi::VALID_GSI;
            head.gsi = route.gsi;
        }
        if let Some(irq) = functions.iter().find_map(|(_, info)| info.irq) {
            head.valid |= uapi::VALID_IRQ;
            head.irq = irq;
        }
    }
    let addresses = functions.iter().map(|(sbdf, _)| sbdf.to_u32());
    array(argument, room, &head.to_words(), addresses)
}

/// Writes the output words of `head`, and `rest` after them. `ENOSPC` if `rest` does not fit.
fn array(
    argument: &mut impl Argument,
    room: u32,
    head: &[u32],
    rest: impl Iterator<Item = u32> + Clone,
) -> Result {
    outputs(argument, head)?;
    let words = head.len().checked_add(rest.clone().count());
    if (room as usize) / size_of::<u32>() < words.ok_or(EOVERFLOW)? {
        return Err(ENOSPC);
    }
    for (index, word) in (head.len()..).zip(rest) {
        argument.write(index, word)?;
    }
    Ok(())
}

fn reserved(argument: &mut impl Argument, inventory: &impl Inventory) -> Result {
    let [room, flags, sbdf] = inputs(argument, uapi::Reserved::SIZE)?;
    if flags != 0 {
        return Err(EINVAL);
    }
    let reserved = inventory.reserved(Sbdf::from_u32(sbdf))?;
    let mut regions = KVec::with_capacity(reserved.len(), GFP_KERNEL)?;
    for pages in &reserved {
        let region = region(pages).ok_or(EOVERFLOW)?;
        let is_before = |other: &&uapi::Region| other.start < region.start;
        let index = regions.iter().take_while(is_before).count();
        regions.insert_within_capacity(index, region)?;
    }
    let head = uapi::Reserved {
        count: u32::try_from(regions.len())?,
        ..Default::default()
    };
    let words = regions.iter().flat_map(|region| region.to_words());
    array(argument, room, &head.to_words(), words)
}

fn region(pages: &Range<u64>) -> Option<uapi::Region> {
    let count = pages.end.checked_sub(pages.start)?;
    Some(uapi::Region {
        start: pages.start.checked_mul(PAGE)?,
        size: count.checked_mul(PAGE)?,
    })
}
