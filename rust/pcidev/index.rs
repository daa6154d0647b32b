// SPDX-License-Identifier: GPL-2.0

//! The table of answers to `IOCTL_PRIVCMD_PCIDEV_GET_GSI`, indexed by address.

use core::iter;

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        SetOnce, //
    }, //
};

use xen::pci::Sbdf;

/// The answers for the functions of one bus, indexed by device and function number: a GSI, or a
/// negative errno.
type Bus = KVec<Atomic<i32>>;

/// A PCI segment. A bus is allocated when its first function is added. Buses and segments are freed
/// with the index.
struct Segment {
    number: u16,
    buses: KVec<SetOnce<Bus>>,
    next: SetOnce<KBox<Segment>>,
}

/// The answers for all functions. An answer is `ENODEV` until it is set. Reading takes no lock,
/// even while answers are set, and its cost does not depend on the number of functions.
pub(crate) struct Index(SetOnce<KBox<Segment>>);

/// Returns `count` values, each created by `make`.
fn filled<T>(count: usize, make: impl Fn() -> T) -> Result<KVec<T>> {
    let mut values = KVec::with_capacity(count, GFP_KERNEL)?;
    for _ in 0..count {
        values.push(make(), GFP_KERNEL)?;
    }
    Ok(values)
}

impl Index {
    /// Creates an index without buses.
    pub(crate) fn new() -> Self {
        Self(SetOnce::new())
    }

    fn segments(&self) -> impl Iterator<Item = &Segment> {
        iter::successors(self.0.as_ref(), |segment| segment.next.as_ref()).map(|segment| &**segment)
    }

    fn bus(&self, sbdf: Sbdf) -> Option<&SetOnce<Bus>> {
        self.segments()
            .find(|segment| segment.number == sbdf.segment())?
            .buses
            .get(usize::from(sbdf.bus()))
    }

    fn place(&self, sbdf: Sbdf) -> Option<&Atomic<i32>> {
        self.bus(sbdf)?.as_ref()?.get(usize::from(sbdf.devfn()))
    }

    /// Allocates the bus of `sbdf`, unless it exists. Calls must be serialized by the caller.
    /// `ENOMEM` on failure. May sleep.
    pub(crate) fn make_room(&self, sbdf: Sbdf) -> Result {
        if self.bus(sbdf).is_none() {
            let segment = Segment {
                number: sbdf.segment(),
                buses: filled(256, SetOnce::new)?,
                next: SetOnce::new(),
            };
            let last = self.segments().last();
            last.map_or(&self.0, |last| &last.next)
                .populate(KBox::new(segment, GFP_KERNEL)?);
        }
        if let Some(bus) = self.bus(sbdf).filter(|bus| bus.as_ref().is_none()) {
            bus.populate(filled(256, || Atomic::new(ENODEV.to_errno()))?);
        }
        Ok(())
    }

    /// Sets the answer for `sbdf`. Does nothing if its bus is not allocated. Does not sleep.
    pub(crate) fn set(&self, sbdf: Sbdf, answer: Result<u32>) {
        if let Some(place) = self.place(sbdf) {
            // The C interface has no GSI above `i32::MAX`.
            let answer = answer.and_then(|gsi| i32::try_from(gsi).map_err(|_| ENXIO));
            place.store(answer.unwrap_or_else(Error::to_errno), Relaxed);
        }
    }

    /// Returns the answer for `sbdf`; `ENODEV` if its bus is not allocated. Does not sleep.
    pub(crate) fn get(&self, sbdf: Sbdf) -> Result<u32> {
        let answer = self.place(sbdf).ok_or(ENODEV)?.load(Relaxed);
        u32::try_from(answer).map_err(|_| Error::from_errno(answer))
    }
}

#[kunit_tests(xen_pcidev_index)]
mod tests {
    use super::*;

    /// Each address has its own answer, which is `ENODEV` until it is set.
    #[test]
    fn answers_have_their_places() -> Result {
        let index = Index::new();
        let functions = [
            Sbdf::new(1, 0, 0),
            Sbdf::new(0, 3, 0),
            Sbdf::new(0, 3, 255),
            Sbdf::new(0, 255, 0),
            Sbdf::new(0xffff, 3, 0),
        ];
        for (gsi, sbdf) in (16..).zip(functions) {
            assert_eq!(index.get(sbdf), Err(ENODEV));
            index.make_room(sbdf)?;
            assert_eq!(index.get(sbdf), Err(ENODEV));
            index.set(sbdf, Ok(gsi));
        }
        for (gsi, sbdf) in (16..).zip(functions) {
            // Allocating a bus again keeps its answers.
            index.make_room(sbdf)?;
            assert_eq!(index.get(sbdf), Ok(gsi));
        }
        assert_eq!(index.get(Sbdf::new(0, 3, 1)), Err(ENODEV));
        // An answer on a bus that is not allocated is dropped.
        index.set(Sbdf::new(2, 3, 0), Ok(16));
        assert_eq!(index.get(Sbdf::new(2, 3, 0)), Err(ENODEV));
        Ok(())
    }

    #[test]
    fn errors_come_back() -> Result {
        let (index, sbdf) = (Index::new(), Sbdf::new(0, 0, 8));
        index.make_room(sbdf)?;
        for answer in [Ok(0), Ok(0x7fff_ffff), Err(ENOENT), Err(ENXIO), Err(ENODEV)] {
            index.set(sbdf, answer);
            assert_eq!(index.get(sbdf), answer);
        }
        index.set(sbdf, Ok(0x8000_0000));
        assert_eq!(index.get(sbdf), Err(ENXIO));
        Ok(())
    }
}
