// SPDX-License-Identifier: GPL-2.0

//! Where a guest's PCI frontend would see its functions: `vdev-N` and `root-N` in XenStore.
//!
//! HVM guests see them where their device model puts them. Toolstacks read the nodes all the same.

use kernel::{
    fmt,
    prelude::*, //
};

use xen::Sbdf;

/// How addresses are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// On one bus, in the first free slots; the functions of one device stay together.
    Virtual,
    /// As in the host.
    Real,
}

/// An address in the guest. Formats as the protocol has it, with two digits for the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(Sbdf);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(sbdf) = self;
        write!(
            f,
            "{:04x}:{:02x}:{:02x}.{:02x}",
            sbdf.segment(),
            sbdf.bus(),
            sbdf.device(),
            sbdf.function()
        )
    }
}

/// A function that has its place.
struct Placed {
    function: Sbdf,
    place: Place,
    /// Whether the slot is for no other function.
    alone: bool,
}

/// The functions of one guest.
pub(crate) struct Topology {
    kind: Kind,
    placed: KVec<Placed>,
}

impl Topology {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            placed: KVec::new(),
        }
    }

    /// The place of a function, which it gets if it has none. A VF, which is `alone`, does not
    /// share a slot with the functions beside it. `ENOSPC` if the bus is full.
    pub(crate) fn place(&mut self, function: Sbdf, alone: bool) -> Result<Place> {
        if let Some(placed) = self
            .placed
            .iter()
            .find(|placed| placed.function == function)
        {
            return Ok(placed.place);
        }
        let place = Place(match self.kind {
            Kind::Real => function,
            Kind::Virtual if alone => Sbdf::new(0, 0, self.free_slot().ok_or(ENOSPC)? << 3),
            Kind::Virtual => {
                let slot = self.slot_of_siblings(function).or_else(|| self.free_slot());
                Sbdf::new(0, 0, slot.ok_or(ENOSPC)? << 3 | function.function())
            }
        });
        let placed = Placed {
            function,
            place,
            alone,
        };
        self.placed.push(placed, GFP_KERNEL)?;
        Ok(place)
    }

    /// Of all functions, the guest has only those that satisfy `has`.
    pub(crate) fn retain(&mut self, has: impl Fn(Sbdf) -> bool) {
        self.placed.retain(|placed| has(placed.function));
    }

    /// Segments and buses that the guest would see, each once.
    pub(crate) fn roots(&self) -> impl Iterator<Item = (u16, u8)> + '_ {
        let bus = |index: usize| {
            let Place(place) = self.placed.get(index)?.place;
            Some((place.segment(), place.bus()))
        };
        (0..self.placed.len())
            .filter(move |index| (0..*index).all(|earlier| bus(earlier) != bus(*index)))
            .filter_map(bus)
    }

    fn slot_of_siblings(&self, function: Sbdf) -> Option<u8> {
        let device = |sbdf: Sbdf| (sbdf.segment(), sbdf.bus(), sbdf.device());
        self.placed
            .iter()
            .find(|placed| !placed.alone && device(placed.function) == device(function))
            .map(|placed| placed.place.0.device())
    }

    fn free_slot(&self) -> Option<u8> {
        (0..32u8).find(|slot| {
            self.placed
                .iter()
                .all(|placed| placed.place.0.device() != *slot)
        })
    }
}

#[kernel::macros::kunit_tests(xen_pciback_topology)]
mod tests {
    use super::*;

    fn at(device: u8, function: u8) -> Sbdf {
        Sbdf::new(0, 3, device << 3 | function)
    }

    fn place(topology: &mut Topology, function: Sbdf) -> Option<(u8, u8)> {
        let Place(place) = topology.place(function, false).ok()?;
        Some((place.device(), place.function()))
    }

    /// As toolstacks know it: first free slot, functions together, and stable.
    #[test]
    fn slots_are_filled_in_order() {
        let mut all = Topology::new(Kind::Virtual);
        assert_eq!(place(&mut all, at(4, 0)), Some((0, 0)));
        assert_eq!(place(&mut all, at(9, 1)), Some((1, 1)));
        assert_eq!(place(&mut all, at(4, 3)), Some((0, 3)));
        assert_eq!(place(&mut all, at(9, 1)), Some((1, 1)));
        all.retain(|function| function.device() != 4);
        assert_eq!(place(&mut all, at(7, 0)), Some((0, 0)));
        assert!(all.roots().eq([(0, 0)]));
    }

    /// Thirty-two devices are enough for everybody; the next one is told so.
    #[test]
    fn a_full_bus_is_an_error() {
        let mut all = Topology::new(Kind::Virtual);
        for device in 0..32 {
            assert_eq!(place(&mut all, at(device, 0)), Some((device, 0)));
        }
        assert_eq!(all.place(Sbdf::new(0, 4, 0), false), Err(ENOSPC));
        assert_eq!(place(&mut all, at(31, 7)), Some((31, 7)));
    }

    /// VFs do not hide behind one another.
    #[test]
    fn virtual_functions_have_slots_of_their_own() {
        let mut all = Topology::new(Kind::Virtual);
        assert!(all
            .place(at(4, 1), true)
            .is_ok_and(|Place(p)| (p.device(), p.function()) == (0, 0)));
        assert!(all
            .place(at(4, 2), true)
            .is_ok_and(|Place(p)| (p.device(), p.function()) == (1, 0)));

        // Nor does another function of the device join one that is its function 0.
        assert!(all
            .place(at(5, 0), true)
            .is_ok_and(|Place(p)| (p.device(), p.function()) == (2, 0)));
        assert_eq!(place(&mut all, at(5, 1)), Some((3, 1)));
        assert_eq!(place(&mut all, at(5, 2)), Some((3, 2)));
    }

    /// `passthrough=1`: nothing is moved, and every bus is told once.
    #[test]
    fn real_addresses_stay() {
        let mut all = Topology::new(Kind::Real);
        for function in [at(4, 1), Sbdf::new(1, 0, 8), at(5, 0)] {
            assert_eq!(all.place(function, false), Ok(Place(function)));
        }
        assert!(all.roots().eq([(0, 3), (1, 0)]));
    }
}
