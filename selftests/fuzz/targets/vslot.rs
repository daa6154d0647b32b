// SPDX-License-Identifier: GPL-2.0

//! `topology`: functions that come and go, two bytes each.

use kernel::prelude::*;
use xen::pci::Sbdf;

use crate::topology::{
    self,
    Kind, //
};

/// A function, and where it is.
#[derive(Clone, Copy)]
struct Placed {
    function: Sbdf,
    alone: bool,
    segment: u16,
    bus: u8,
    device: u8,
    number: u8,
}

/// Where a function has to be.
fn naively(kind: Kind, placed: &[Placed], function: Sbdf, alone: bool) -> Option<Placed> {
    if let Some(old) = placed.iter().find(|old| old.function == function) {
        return Some(*old);
    }
    let (segment, bus) = (function.segment(), function.bus());
    if kind == Kind::Real {
        return Some(Placed {
            function,
            alone,
            segment,
            bus,
            device: function.device(),
            number: function.function(),
        });
    }
    let sibling = placed.iter().find(|old| {
        let other = old.function;
        !alone
            && !old.alone
            && (other.segment(), other.bus(), other.device()) == (segment, bus, function.device())
    });
    let device = match sibling {
        Some(sibling) => sibling.device,
        None => (0..32).find(|slot| !placed.iter().any(|old| old.device == *slot))?,
    };
    Some(Placed {
        function,
        alone,
        segment: 0,
        bus: 0,
        device,
        number: if alone { 0 } else { function.function() },
    })
}

pub(crate) fn run(input: &[u8]) {
    let kind = if input.first().is_some_and(|first| first % 2 == 1) {
        Kind::Real
    } else {
        Kind::Virtual
    };
    let mut topology: Vec<topology::Placed> = Vec::new();
    let mut placed: Vec<Placed> = Vec::new();
    for pair in input.get(1..).unwrap_or_default().chunks_exact(2) {
        let (what, devfn) = (pair[0], pair[1]);
        let function = Sbdf::new((what >> 1 & 1).into(), what >> 2 & 1, devfn);
        let alone = what & 1 != 0;
        // Rarely, or the bus never fills.
        if what >> 4 == 0xf {
            let gone = |other: Sbdf| other.device() == function.device();
            topology.retain(|other| !gone(other.function));
            placed.retain(|other| !gone(other.function));
        } else {
            let wanted = naively(kind, &placed, function, alone);
            let old = topology.iter().find(|old| old.function == function);
            let found = old.copied().map_or_else(
                || topology::Placed::new(kind, function, alone, topology.iter().copied()),
                Ok,
            );
            match wanted {
                Some(wanted) => {
                    let Placed {
                        segment,
                        bus,
                        device,
                        number,
                        ..
                    } = wanted;
                    let name = format!("{segment:04x}:{bus:02x}:{device:02x}.{number:02x}");
                    assert_eq!(found.map(|found| found.place.to_string()), Ok(name));
                    if !placed.iter().any(|old| old.function == function) {
                        placed.push(wanted);
                        topology.extend(found);
                    }
                }
                None => assert_eq!(found.err(), Some(ENOSPC)),
            }
        }
        let place = |one: &Placed| (one.segment, one.bus, one.device, one.number);
        for (index, one) in placed.iter().enumerate() {
            assert!(placed[..index]
                .iter()
                .all(|other| place(other) != place(one)));
        }
        let mut roots = Vec::new();
        for one in &placed {
            if !roots.contains(&(one.segment, one.bus)) {
                roots.push((one.segment, one.bus));
            }
        }
        assert!(topology::roots(topology.iter().copied()).eq(roots));
    }
}
