// SPDX-License-Identifier: GPL-2.0

//! The addresses at which a guest's PCI frontend would see its functions: `vdev-N` and `root-N` in
//! XenStore.
//!
//! HVM guests see functions at the addresses that their device model chooses. Toolstacks read these
//! nodes all the same.

use kernel::{
    fmt,
    prelude::*, //
};

use xen::pci::Sbdf;

use crate::operation::GuestAddress;

/// The way in which addresses are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first free slot of one bus. The functions of one device share a slot.
    Virtual,
    /// The address on the host.
    Real,
}

/// An address in the guest. Formats as in XenStore, with two digits for the function number.
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

/// A function of the guest, with its address in the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) function: Sbdf,
    pub(crate) place: Place,
    /// Whether no other function may share the slot.
    alone: bool,
}

impl Placed {
    /// Gives `function` the first address that none of `others` has. A function that is `alone`,
    /// such as a VF, shares its slot with no other function. `ENOSPC` if the bus is full.
    pub(crate) fn new(
        kind: Kind,
        function: Sbdf,
        alone: bool,
        others: impl Iterator<Item = Placed> + Clone,
    ) -> Result<Self> {
        let free = || free_slot(others.clone());
        let place = Place(match kind {
            Kind::Real => function,
            Kind::Virtual if alone => Sbdf::new(0, 0, free().ok_or(ENOSPC)? << 3),
            Kind::Virtual => {
                let slot = slot_of_siblings(function, others.clone()).or_else(free);
                Sbdf::new(0, 0, slot.ok_or(ENOSPC)? << 3 | function.function())
            }
        });
        Ok(Self {
            function,
            place,
            alone,
        })
    }

    /// Returns whether the guest sees the function at this address.
    pub(crate) fn is_at(&self, address: GuestAddress) -> bool {
        let Place(place) = self.place;
        address.segment == place.segment().into()
            && address.bus == place.bus().into()
            && address.devfn == place.devfn().into()
    }
}

/// Returns each segment and bus that the guest would see, once.
pub(crate) fn roots(
    placed: impl Iterator<Item = Placed> + Clone,
) -> impl Iterator<Item = (u16, u8)> {
    let buses = placed.map(|placed| (placed.place.0.segment(), placed.place.0.bus()));
    let all = buses.clone();
    buses
        .enumerate()
        .filter(move |(index, bus)| all.clone().take(*index).all(|earlier| earlier != *bus))
        .map(|(_, bus)| bus)
}

fn slot_of_siblings(function: Sbdf, mut others: impl Iterator<Item = Placed>) -> Option<u8> {
    let device = |sbdf: Sbdf| (sbdf.segment(), sbdf.bus(), sbdf.device());
    others
        .find(|placed| !placed.alone && device(placed.function) == device(function))
        .map(|placed| placed.place.0.device())
}

fn free_slot(others: impl Iterator<Item = Placed> + Clone) -> Option<u8> {
    (0..32u8).find(|slot| {
        others
            .clone()
            .all(|placed| placed.place.0.device() != *slot)
    })
}

#[kernel::macros::kunit_tests(xen_pciback_topology)]
mod tests {
    use super::*;

    fn at(device: u8, function: u8) -> Sbdf {
        Sbdf::new(0, 3, device << 3 | function)
    }

    /// The functions of one guest.
    struct Guest(Kind, KVec<Placed>);

    impl Guest {
        fn place(&mut self, function: Sbdf, alone: bool) -> Result<(u8, u8)> {
            let placed = Placed::new(self.0, function, alone, self.1.iter().copied())?;
            self.1.push(placed, GFP_KERNEL)?;
            let Place(place) = placed.place;
            Ok((place.device(), place.function()))
        }

        fn roots(&self) -> impl Iterator<Item = (u16, u8)> + '_ {
            roots(self.1.iter().copied())
        }
    }

    /// Functions get the first free slot, share the slot of their device, and keep their address.
    #[test]
    fn slots_are_filled_in_order() {
        let mut guest = Guest(Kind::Virtual, KVec::new());
        assert_eq!(guest.place(at(4, 0), false), Ok((0, 0)));
        assert_eq!(guest.place(at(9, 1), false), Ok((1, 1)));
        assert_eq!(guest.place(at(4, 3), false), Ok((0, 3)));
        guest.1.retain(|placed| placed.function.device() != 4);
        assert_eq!(guest.place(at(7, 0), false), Ok((0, 0)));
        assert!(guest.roots().eq([(0, 0)]));
    }

    /// The bus has 32 slots. A 33rd device is an error.
    #[test]
    fn a_full_bus_is_an_error() {
        let mut guest = Guest(Kind::Virtual, KVec::new());
        for device in 0..32 {
            assert_eq!(guest.place(at(device, 0), false), Ok((device, 0)));
        }
        assert_eq!(guest.place(Sbdf::new(0, 4, 0), false), Err(ENOSPC));
        assert_eq!(guest.place(at(31, 7), false), Ok((31, 7)));
    }

    /// Each VF has a slot of its own.
    #[test]
    fn virtual_functions_have_slots_of_their_own() {
        let mut guest = Guest(Kind::Virtual, KVec::new());
        assert_eq!(guest.place(at(4, 1), true), Ok((0, 0)));
        assert_eq!(guest.place(at(4, 2), true), Ok((1, 0)));

        // Another function of the device does not share the slot of such a function either.
        assert_eq!(guest.place(at(5, 0), true), Ok((2, 0)));
        assert_eq!(guest.place(at(5, 1), false), Ok((3, 1)));
        assert_eq!(guest.place(at(5, 2), false), Ok((3, 2)));
    }

    /// With `passthrough=1` functions keep their addresses, and `roots` returns each bus once.
    #[test]
    fn real_addresses_stay() {
        let mut guest = Guest(Kind::Real, KVec::new());
        for function in [at(4, 1), Sbdf::new(1, 0, 8), at(5, 0)] {
            let place = (function.device(), function.function());
            assert_eq!(guest.place(function, false), Ok(place));
        }
        assert!(guest.roots().eq([(0, 3), (1, 0)]));
    }
}
