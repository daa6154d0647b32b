// SPDX-License-Identifier: GPL-2.0

//! Decodes and answers the ioctls of `/dev/xen/pcidev`.

use kernel::prelude::*;

use xen::pci::Sbdf;

use crate::{
    info::Info,
    uapi, //
};

/// Words at the start of each structure that the caller fills. They are never written.
const INPUTS: usize = 3;

/// The caller's structure, in words of 32 bits.
pub(crate) trait Argument {
    /// Reads a word.
    fn read(&self, index: usize) -> Result<u32>;
    /// Writes a word.
    fn write(&mut self, index: usize, word: u32) -> Result;
}

/// The functions that there are.
pub(crate) trait Inventory {
    /// What is known of one function, and the domain that has it.
    fn info(&self, sbdf: Sbdf) -> Result<(Info, Option<u16>)>;
    /// All functions that `wanted` wants, in the order of their addresses.
    fn list(&self, wanted: impl Fn(&Info) -> bool) -> Result<KVec<(Sbdf, Info)>>;
}

/// Answers a call. Reads no word twice, and writes only output words: none if the call fails,
/// except for those that say how much room a list takes.
pub(crate) fn answer(
    number: u32,
    argument: &mut impl Argument,
    inventory: &impl Inventory,
) -> Result {
    match number {
        uapi::GET_GSI => info(argument, inventory, true),
        uapi::GET_INFO => info(argument, inventory, false),
        uapi::GET_LIST => list(argument, inventory),
        _ => Err(ENOTTY),
    }
}

/// Reads how many bytes the caller has room for, `least` or more, and two more words.
fn inputs(argument: &impl Argument, least: usize) -> Result<[u32; INPUTS]> {
    let room = argument.read(0)?;
    if (room as usize) < least {
        return Err(EINVAL);
    }
    Ok([room, argument.read(1)?, argument.read(2)?])
}

/// Writes the output words of a structure.
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
    let head = head.to_words();
    outputs(argument, &head)?;
    let words = head.len().checked_add(functions.len()).ok_or(EOVERFLOW)?;
    if (room as usize) / size_of::<u32>() < words {
        return Err(ENOSPC);
    }
    for (index, (sbdf, _)) in (head.len()..).zip(&functions) {
        argument.write(index, sbdf.to_u32())?;
    }
    Ok(())
}
