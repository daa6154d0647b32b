// SPDX-License-Identifier: GPL-2.0

//! Which guest has which function, by the toolstack's `backend/pci`.
//!
//! Needed for INTx lines that functions of one guest share. Xen maps such a line to the guest once,
//! but libxl unmaps it with each function that it detaches: the others lose their interrupt, and
//! their own detachment, so the guest's destruction too, then fails.

use kernel::prelude::*;

use xen::pci::Sbdf;

/// A function that a toolstack has given to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    function: Sbdf,
    is_closing: bool,
}

impl Assignment {
    /// A function that the guest is to have.
    pub(crate) fn open(function: Sbdf) -> Self {
        Self {
            function,
            is_closing: false,
        }
    }

    /// A function that the toolstack is detaching: it has asked for its GSI already.
    pub(crate) fn closing(function: Sbdf) -> Self {
        Self {
            function,
            is_closing: true,
        }
    }
}

/// All assignments, with their domains.
pub(crate) struct Assignments(KVec<(u16, Assignment)>);

impl Assignments {
    /// None.
    pub(crate) fn new() -> Self {
        Self(KVec::new())
    }

    /// Replaces the assignments of `domain`. After an error they are as before.
    pub(crate) fn replace(&mut self, domain: u16, assignments: &[Assignment]) -> Result {
        self.0.reserve(assignments.len(), GFP_KERNEL)?;
        self.0.retain(|(other, _)| *other != domain);
        for assignment in assignments {
            self.0.push((domain, *assignment), GFP_KERNEL)?;
        }
        Ok(())
    }

    /// The domains that have functions, some more than once.
    pub(crate) fn domains(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().map(|(domain, _)| *domain)
    }

    /// The domain that has a function.
    pub(crate) fn domain(&self, sbdf: Sbdf) -> Option<u16> {
        self.0
            .iter()
            .find(|(_, assignment)| assignment.function == sbdf)
            .map(|(domain, _)| *domain)
    }

    /// Whether the line of `sbdf` must stay mapped to its domain.
    ///
    /// Who asks for the GSI of a function that a guest has is about to detach it, and would unmap
    /// the line. It must stay while the guest keeps another function on it, of those that are
    /// `on_line`. One that is closing does not count: its detachment did not unmap the line, and
    /// does not ask again.
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

    /// Only the domain's own are replaced.
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

    /// A line stays mapped for as long as its guest keeps one function on it.
    #[test]
    fn line_is_unmapped_with_the_last_function() -> Result {
        let mut assignments = Assignments::new();
        let keeps = |assignments: &Assignments, sbdf| {
            // Where `FAR` is, there is another line.
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

        // While it is detached and asks again, and when it is gone.
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

        // Another guest's function on the line is no reason.
        assignments.replace(2, &[Assignment::open(NIC)])?;
        assert!(!keeps(&assignments, NIC) && !keeps(&assignments, DISK));
        Ok(())
    }
}
