// SPDX-License-Identifier: GPL-2.0

//! The assignment of functions to guests, as the toolstack writes it to `backend/pci`.
//!
//! xen-pcidev needs it for INTx lines that several functions of one guest share. Xen maps such a
//! line to the guest once, but libxl unmaps it whenever it detaches one of the functions. The other
//! functions then lose their interrupt. Detaching them fails later, and so does destroying the
//! guest.

use kernel::prelude::*;

use xen::pci::Sbdf;

/// A function that a toolstack has assigned to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    function: Sbdf,
    is_closing: bool,
}

impl Assignment {
    /// Creates the assignment of a function that the guest has or is about to get.
    pub(crate) fn open(function: Sbdf) -> Self {
        Self {
            function,
            is_closing: false,
        }
    }

    /// Creates the assignment of a function that the toolstack is detaching: it has already asked
    /// for the GSI.
    pub(crate) fn closing(function: Sbdf) -> Self {
        Self {
            function,
            is_closing: true,
        }
    }

    /// Returns the function.
    pub(crate) fn function(&self) -> Sbdf {
        self.function
    }
}

/// All assignments, each with its domain.
pub(crate) struct Assignments(KVec<(u16, Assignment)>);

impl Assignments {
    /// Creates an empty list.
    pub(crate) fn new() -> Self {
        Self(KVec::new())
    }

    /// Replaces the assignments of `domain`. Changes nothing on an error (`ENOMEM`).
    pub(crate) fn replace(&mut self, domain: u16, assignments: &[Assignment]) -> Result {
        self.0.reserve(assignments.len(), GFP_KERNEL)?;
        self.0.retain(|(other, _)| *other != domain);
        for assignment in assignments {
            self.0.push((domain, *assignment), GFP_KERNEL)?;
        }
        Ok(())
    }

    /// Returns the domain of each assignment. A domain may occur more than once.
    pub(crate) fn domains(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().map(|(domain, _)| *domain)
    }

    /// Returns the functions that `domain` has.
    pub(crate) fn functions(&self, domain: u16) -> impl Iterator<Item = Sbdf> + '_ {
        let of_domain = move |(other, _): &&(u16, Assignment)| *other == domain;
        self.0
            .iter()
            .filter(of_domain)
            .map(|(_, assignment)| assignment.function)
    }

    /// Returns the domain that the function is assigned to.
    pub(crate) fn domain(&self, sbdf: Sbdf) -> Option<u16> {
        self.0
            .iter()
            .find(|(_, assignment)| assignment.function == sbdf)
            .map(|(domain, _)| *domain)
    }

    /// Returns whether the INTx line of `sbdf` must stay mapped to the guest that has `sbdf`.
    ///
    /// A toolstack that asks for the GSI of an assigned function is about to detach the function
    /// and to unmap the line. The line must stay mapped while the guest keeps another function for
    /// which `on_line` is true. A closing function does not count: its detachment has skipped the
    /// unmapping, and the toolstack does not ask for its GSI again.
    pub(crate) fn keeps_line(&self, sbdf: Sbdf, on_line: impl Fn(Sbdf) -> bool) -> bool {
        let domain = self.domain(sbdf);
        self.0.iter().any(|(other, assignment)| {
            Some(*other) == domain
                && assignment.function != sbdf
                && !assignment.is_closing
                && on_line(assignment.function)
        })
    }
}

#[kunit_tests(xen_pcidev_assignments)]
mod tests {
    use super::*;

    const NIC: Sbdf = Sbdf::new(0, 3, 0);
    const DISK: Sbdf = Sbdf::new(0, 3, 8);
    const FAR: Sbdf = Sbdf::new(1, 0, 0);

    /// Replacing the assignments of one domain leaves those of other domains.
    #[test]
    fn assignments_are_replaced() -> Result {
        let mut assignments = Assignments::new();
        assignments.replace(1, &[Assignment::open(NIC), Assignment::open(FAR)])?;
        assignments.replace(2, &[Assignment::closing(DISK)])?;
        assert_eq!(assignments.domain(NIC), Some(1));
        assert_eq!(assignments.domain(DISK), Some(2));
        assignments.replace(1, &[Assignment::open(FAR)])?;
        assert_eq!(assignments.domain(NIC), None);
        assert_eq!(assignments.domain(FAR), Some(1));
        assignments.replace(2, &[])?;
        assert!(assignments.domains().eq([1]));
        Ok(())
    }

    /// A line stays mapped until its guest has no function on it any more.
    #[test]
    fn line_is_unmapped_with_the_last_function() -> Result {
        let mut assignments = Assignments::new();
        let keeps = |assignments: &Assignments, sbdf| {
            // `FAR` is on another line than `NIC` and `DISK`.
            assignments.keeps_line(sbdf, |other| (other == FAR) == (sbdf == FAR))
        };
        assignments.replace(
            1,
            &[
                Assignment::open(NIC),
                Assignment::open(DISK),
                Assignment::open(FAR),
            ],
        )?;
        assert!(keeps(&assignments, NIC) && keeps(&assignments, DISK));
        assert!(!keeps(&assignments, FAR));

        // The toolstack detaches the function and asks for its GSI again; then the entry is gone.
        assignments.replace(
            1,
            &[
                Assignment::closing(NIC),
                Assignment::open(DISK),
                Assignment::open(FAR),
            ],
        )?;
        assert!(keeps(&assignments, NIC));
        assert!(!keeps(&assignments, DISK));
        assignments.replace(1, &[Assignment::open(DISK), Assignment::open(FAR)])?;
        assert!(!keeps(&assignments, NIC) && !keeps(&assignments, DISK));

        // A function of another guest on the line does not count.
        assignments.replace(2, &[Assignment::open(NIC)])?;
        assert!(!keeps(&assignments, NIC) && !keeps(&assignments, DISK));
        Ok(())
    }
}
