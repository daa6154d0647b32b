// SPDX-License-Identifier: GPL-2.0

//! The message interrupts of a function that a PV guest has.
//!
//! A PV guest requests MSI and MSI-X from its backend, in any order and with any arguments. Here is
//! which kind is on, and what is mapped to the guest. Whatever the guest requests, all that is
//! mapped is unmapped, once. What could not be unmapped is tried again before anything is mapped,
//! and in the end.

use kernel::prelude::*;

use crate::operation::Entries;

/// A kind of message interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Msi,
    Msix,
}

/// A message that a function can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Msi,
    /// The message of this entry of the MSI-X table.
    Msix(u16),
}

/// What is done to a function, and in the guest's name.
pub(crate) trait Actions {
    /// Maps a message to the guest, and returns its pirq.
    fn map(&mut self, message: Message) -> Result<u16>;
    /// Unmaps a pirq.
    fn unmap(&mut self, pirq: u16) -> Result;
    /// Lets the function send messages of this kind, and no INTx.
    fn enable(&mut self, kind: Kind) -> Result;
    /// Undoes `enable`, even one that failed.
    fn disable(&mut self, kind: Kind);
}

/// The message interrupts of a function. Dropping it disables and unmaps them.
pub(crate) struct Interrupts<A: Actions> {
    actions: A,
    /// Which kind is on. `None`: INTx.
    on: Option<Kind>,
    /// What is mapped.
    pirqs: KVec<u16>,
}

impl<A: Actions> Interrupts<A> {
    pub(crate) fn new(actions: A) -> Self {
        Self {
            actions,
            on: None,
            pirqs: KVec::new(),
        }
    }

    pub(crate) fn actions(&mut self) -> &mut A {
        &mut self.actions
    }

    /// Enables MSI, and returns the pirq.
    ///
    /// Errors: `EBUSY` if a kind is on; `ENOMEM`; else those of the actions, all of which are
    /// undone.
    pub(crate) fn enable_msi(&mut self) -> Result<u16> {
        let pirqs = self.enable(Kind::Msi, core::iter::once(Message::Msi))?;
        pirqs.first().copied().ok_or(EIO)
    }

    /// Enables MSI-X with these entries of a table that has `size`. Returns their pirqs.
    ///
    /// Errors: `EACCES` if the table does not have an entry, or one is named twice; else those of
    /// [`Interrupts::enable_msi`].
    pub(crate) fn enable_msix(&mut self, entries: &Entries, size: u16) -> Result<&[u16]> {
        let all = entries.iter();
        for (index, entry) in all.clone().enumerate() {
            if entry >= size || all.clone().take(index).any(|other| other == entry) {
                return Err(EACCES);
            }
        }
        self.enable(Kind::Msix, all.map(Message::Msix))
    }

    fn enable(&mut self, kind: Kind, messages: impl Iterator<Item = Message>) -> Result<&[u16]> {
        if self.on.is_some() {
            return Err(EBUSY);
        }
        self.unmap()?;
        if let Err(error) = self.try_enable(kind, messages) {
            let _ = self.unmap();
            return Err(error);
        }
        self.on = Some(kind);
        Ok(&self.pirqs)
    }

    fn try_enable(&mut self, kind: Kind, messages: impl Iterator<Item = Message>) -> Result {
        for message in messages {
            // Before it is mapped: what is mapped must not be forgotten.
            self.pirqs.reserve(1, GFP_KERNEL)?;
            let pirq = self.actions.map(message)?;
            self.pirqs.push(pirq, GFP_KERNEL)?;
        }
        self.actions
            .enable(kind)
            .inspect_err(|_| self.actions.disable(kind))
    }

    /// Ends whatever kind is on. Errors are those of unmapping.
    pub(crate) fn disable(&mut self) -> Result {
        if let Some(kind) = self.on.take() {
            self.actions.disable(kind);
        }
        self.unmap()
    }

    /// Keeps those that fail.
    fn unmap(&mut self) -> Result {
        let mut done = Ok(());
        self.pirqs.retain(|pirq| {
            let unmapped = self.actions.unmap(*pirq);
            done = done.and(unmapped);
            unmapped.is_err()
        });
        done
    }
}

impl<A: Actions> Drop for Interrupts<A> {
    fn drop(&mut self) {
        // Xen has unmapped those of a guest that has ended.
        let _ = self.disable();
    }
}

#[kernel::macros::kunit_tests(xen_pciback_interrupts)]
mod tests {
    use super::*;

    use crate::operation::{
        Operation,
        Request,
        WORDS, //
    };

    /// A function, and Xen.
    #[derive(Default)]
    struct Machine {
        /// The pirqs that the guest has.
        mapped: KVec<(u16, Message)>,
        next: u16,
        enabled: Option<Kind>,
        /// How many actions succeed before one fails.
        left: Option<u16>,
    }

    impl Machine {
        fn may_fail(&mut self) -> Result {
            match self.left.take() {
                Some(0) => return Err(EIO),
                left => self.left = left.map(|left| left - 1),
            }
            Ok(())
        }
    }

    impl Actions for &mut Machine {
        fn map(&mut self, message: Message) -> Result<u16> {
            self.may_fail()?;
            assert!(self.mapped.iter().all(|(_, other)| *other != message));
            self.next += 1;
            self.mapped.push((self.next, message), GFP_KERNEL)?;
            Ok(self.next)
        }

        fn unmap(&mut self, pirq: u16) -> Result {
            assert_eq!(self.enabled, None);
            self.may_fail()?;
            let before = self.mapped.len();
            self.mapped.retain(|(other, _)| *other != pirq);
            assert_eq!(self.mapped.len() + 1, before);
            Ok(())
        }

        fn enable(&mut self, kind: Kind) -> Result {
            assert_eq!(self.enabled.replace(kind), None);
            self.may_fail()
        }

        fn disable(&mut self, kind: Kind) {
            assert_eq!(self.enabled.take(), Some(kind));
        }
    }

    fn entries(wanted: &[u16]) -> Entries {
        let mut words = [0; WORDS];
        words[0] = 4;
        words[7] = u32::try_from(wanted.len()).unwrap_or(0);
        for (word, entry) in words.iter_mut().skip(9).zip(wanted) {
            *word = u32::from(*entry) << 16;
        }
        match Request::decode(&words).map(|request| request.operation) {
            Ok(Operation::EnableMsix(entries)) => entries,
            _ => panic!("no entries"),
        }
    }

    /// XSA-157: operations in a wrong order are refused, and change nothing.
    #[test]
    fn xsa_157_one_kind_at_a_time() {
        let mut machine = Machine::default();
        let mut interrupts = Interrupts::new(&mut machine);
        assert_eq!(interrupts.disable(), Ok(()));
        assert_eq!(interrupts.enable_msi(), Ok(1));
        assert_eq!(interrupts.enable_msi(), Err(EBUSY));
        assert_eq!(interrupts.enable_msix(&entries(&[0]), 4), Err(EBUSY));
        assert_eq!(interrupts.actions.enabled, Some(Kind::Msi));
        assert_eq!(interrupts.disable(), Ok(()));
        assert_eq!(interrupts.disable(), Ok(()));
        assert_eq!(interrupts.actions.enabled, None);
        assert_eq!(
            interrupts.enable_msix(&entries(&[3, 0]), 4),
            Ok(&[2, 3][..])
        );
        assert_eq!(interrupts.enable_msi(), Err(EBUSY));
        drop(interrupts);
        assert_eq!((machine.mapped.len(), machine.enabled), (0, None));
    }

    /// Entries that the table does not have, and doubled ones, are refused before any is mapped.
    #[test]
    fn entries_are_checked_first() {
        let mut machine = Machine::default();
        let mut interrupts = Interrupts::new(&mut machine);
        for wrong in [
            &[4][..],
            &[0, 1, 2, 3, 4],
            &[1, 1],
            &[0, 3, 2, 0],
            &[0xffff],
        ] {
            assert_eq!(interrupts.enable_msix(&entries(wrong), 4), Err(EACCES));
        }
        assert_eq!(interrupts.enable_msix(&entries(&[0]), 0), Err(EACCES));
        drop(interrupts);
        assert_eq!(machine.next, 0);
    }

    /// Whichever action fails, those before it are undone.
    #[test]
    fn failures_are_undone() {
        for left in 0..5 {
            let mut machine = Machine {
                left: Some(left),
                ..Machine::default()
            };
            let mut interrupts = Interrupts::new(&mut machine);
            let done = interrupts.enable_msix(&entries(&[0, 1, 2]), 3).map(|_| ());
            assert_eq!(done, if left < 4 { Err(EIO) } else { Ok(()) });
            let actions = interrupts.actions();
            assert_eq!(actions.enabled.is_some(), left == 4);
            assert_eq!(actions.mapped.is_empty(), left < 4);
            actions.left = None;
            drop(interrupts);
            assert_eq!((machine.mapped.len(), machine.enabled), (0, None));
        }
    }

    /// What could not be unmapped is not forgotten.
    #[test]
    fn unmapping_is_tried_again() {
        for (left, and_enables) in [(0, false), (1, true), (2, false), (2, true)] {
            let mut machine = Machine::default();
            let mut interrupts = Interrupts::new(&mut machine);
            assert!(interrupts.enable_msix(&entries(&[0, 1, 2]), 3).is_ok());
            interrupts.actions().left = Some(left);
            assert_eq!(interrupts.disable(), Err(EIO));
            assert_eq!(interrupts.actions().mapped.len(), 1);
            if and_enables {
                assert_eq!(interrupts.enable_msi(), Ok(4));
                assert_eq!(interrupts.actions().mapped.len(), 1);
            }
            drop(interrupts);
            assert_eq!((machine.mapped.len(), machine.enabled), (0, None));
        }
    }

    /// As long as it cannot be unmapped, nothing else is mapped.
    #[test]
    fn nothing_is_mapped_beside_it() {
        let mut machine = Machine::default();
        let mut interrupts = Interrupts::new(&mut machine);
        assert_eq!(interrupts.enable_msi(), Ok(1));
        interrupts.actions().left = Some(0);
        assert_eq!(interrupts.disable(), Err(EIO));
        interrupts.actions().left = Some(0);
        assert_eq!(interrupts.enable_msi(), Err(EIO));
        assert_eq!(interrupts.enable_msi(), Ok(2));
    }
}
