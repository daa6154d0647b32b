// SPDX-License-Identifier: GPL-2.0

//! The life of a function while the driver has it.
//!
//! ```text
//!   seized, given back by a guest
//!            |
//!            v      reset           do_flr            export
//!        Returned ---------> Clean ---------> Touched --------> Assigned
//!            |                 |                 ^ |               ^ |
//!            | reset fails     +-----------------|-|-- export -----+ | release
//!            v                                   | v                 v
//!         Broken ---------- reset ----------> (reset again)       Returned
//! ```
//!
//! One rule holds for every path: between two guests there is a reset that succeeded, or for a
//! function that has no reset, its configuration was put back.

use kernel::prelude::*;

/// A guest, by its domain number.
pub(crate) type Domain = u16;

/// Who may have touched the function since it was last reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody.
    Clean,
    /// Whoever asked for a reset did it to use the function. No guest has it.
    Touched,
    /// A guest, or a driver, which does not have it any more. It is about to be reset.
    Returned,
    /// A guest, which has it.
    Assigned(Domain),
    /// It could not be reset, or was not right after. No guest gets it.
    Broken,
}

/// What has to be done for somebody who wants the function reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flr {
    /// Nothing: it was reset, and not touched since.
    Nothing,
    /// Stop it. It is reset when the guest does not have it any more.
    Quiesce,
    /// Reset it.
    Reset,
}

/// What has to be done before a guest gets the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Export {
    /// Nothing: the guest has it now.
    Done,
    /// Reset it, and ask again.
    Reset,
}

/// Why a guest cannot get the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Another one has it.
    Busy(Domain),
    /// It could not be reset, or is not there any more.
    Broken,
}

/// How the last attempt to reset the function ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was reset, and is as it should be.
    Reset,
    /// It has no reset; its configuration was put back.
    Unresettable,
    /// It was not, or is not.
    Failed,
}

/// The life of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    state: State,
}

impl Life {
    /// A function that a driver, the firmware, or nobody had.
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Returned,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// The guest that has it.
    pub(crate) fn guest(&self) -> Option<Domain> {
        match self.state {
            State::Assigned(domain) => Some(domain),
            _ => None,
        }
    }

    /// The function was reset, or should have been. For one that a guest has, nothing changes: the
    /// guest goes on to use it.
    pub(crate) fn was_reset(&mut self, outcome: Outcome) {
        self.state = match (self.state, outcome) {
            (State::Assigned(_), _) => self.state,
            (_, Outcome::Reset) => State::Clean,
            (_, Outcome::Unresettable) => State::Touched,
            (_, Outcome::Failed) => State::Broken,
        };
    }

    /// Somebody wants it reset, to use it next or because it was used.
    pub(crate) fn flr(&mut self) -> Flr {
        match self.state {
            State::Clean => {
                self.state = State::Touched;
                Flr::Nothing
            }
            State::Assigned(_) => Flr::Quiesce,
            State::Touched | State::Returned | State::Broken => Flr::Reset,
        }
    }

    /// Whoever asked for a reset uses it now.
    pub(crate) fn touch(&mut self) {
        if self.state == State::Clean {
            self.state = State::Touched;
        }
    }

    /// A guest gets it.
    pub(crate) fn export(&mut self, domain: Domain) -> Result<Export, Refusal> {
        match self.state {
            State::Clean | State::Touched => {
                self.state = State::Assigned(domain);
                Ok(Export::Done)
            }
            State::Assigned(other) if other == domain => Ok(Export::Done),
            State::Assigned(other) => Err(Refusal::Busy(other)),
            State::Returned => Ok(Export::Reset),
            State::Broken => Err(Refusal::Broken),
        }
    }

    /// A guest does not have it any more; whether it had it.
    pub(crate) fn release(&mut self, domain: Domain) -> bool {
        let had = self.state == State::Assigned(domain);
        if had {
            self.state = State::Returned;
        }
        had
    }

    /// Whether it has to be reset before it is left to others.
    pub(crate) fn needs_reset(&self) -> bool {
        self.state != State::Clean
    }
}

#[kernel::macros::kunit_tests(xen_pciback_life)]
mod tests {
    use super::*;

    /// Everything that can happen, with two guests.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        WasReset(Outcome),
        Flr,
        Touch,
        Export(Domain),
        Release(Domain),
    }

    const EVENTS: [Event; 9] = [
        Event::WasReset(Outcome::Reset),
        Event::WasReset(Outcome::Unresettable),
        Event::WasReset(Outcome::Failed),
        Event::Flr,
        Event::Touch,
        Event::Export(1),
        Event::Export(2),
        Event::Release(1),
        Event::Release(2),
    ];

    /// What really is the case, told by other means than the state.
    #[derive(Clone, Copy)]
    struct Truth {
        owner: Option<Domain>,
        /// A guest has had it since it was last reset.
        dirty: bool,
        /// The last attempt at a reset failed.
        failed: bool,
    }

    fn step(life: &mut Life, truth: &mut Truth, event: Event) {
        match event {
            Event::WasReset(outcome) => {
                life.was_reset(outcome);
                if truth.owner.is_none() {
                    truth.dirty = false;
                    truth.failed = outcome == Outcome::Failed;
                }
            }
            Event::Flr => {
                let wanted = life.flr();
                // Nothing is skipped that had to be done, nothing is reset under a guest.
                assert_eq!(wanted == Flr::Quiesce, truth.owner.is_some());
                assert!(wanted != Flr::Nothing || (!truth.dirty && !truth.failed));
            }
            Event::Touch => life.touch(),
            Event::Export(domain) => match life.export(domain) {
                Ok(Export::Done) => {
                    // The rule.
                    assert!(
                        truth.owner == Some(domain)
                            || (truth.owner.is_none() && !truth.dirty && !truth.failed)
                    );
                    truth.owner = Some(domain);
                    truth.dirty = true;
                }
                Ok(Export::Reset) => assert!(truth.owner.is_none()),
                Err(Refusal::Busy(other)) => assert!(truth.owner == Some(other) && other != domain),
                Err(Refusal::Broken) => assert!(truth.failed),
            },
            Event::Release(domain) => {
                assert_eq!(life.release(domain), truth.owner == Some(domain));
                if truth.owner == Some(domain) {
                    truth.owner = None;
                }
            }
        }
        assert_eq!(life.guest(), truth.owner);
        // Whoever leaves it unreset knows that nobody has touched it.
        assert!(life.needs_reset() || (truth.owner.is_none() && !truth.dirty));
    }

    fn walk(life: Life, truth: Truth, depth: u32) -> u64 {
        if depth == 0 {
            return 1;
        }
        EVENTS
            .iter()
            .map(|event| {
                let (mut life, mut truth) = (life, truth);
                step(&mut life, &mut truth, *event);
                walk(life, truth, depth - 1)
            })
            .sum()
    }

    /// Every sequence of six events, from the beginning: half a million.
    #[test]
    fn no_path_hands_a_used_function_on() {
        let truth = Truth {
            owner: None,
            dirty: true,
            failed: false,
        };
        assert_eq!(walk(Life::new(), truth, 6), 9u64.pow(6));
    }

    /// Assignable-add, create, destroy, assignable-remove: two resets.
    #[test]
    fn a_cycle_takes_two_resets() {
        let mut life = Life::new();
        assert!(life.needs_reset());
        life.was_reset(Outcome::Reset);
        assert_eq!(life.flr(), Flr::Nothing);
        assert_eq!(life.export(1), Ok(Export::Done));
        assert_eq!(life.flr(), Flr::Quiesce);
        assert!(life.release(1) && life.needs_reset());
        life.was_reset(Outcome::Reset);
        assert!(!life.needs_reset());
    }

    /// A guest that could not be created may have touched it.
    #[test]
    fn what_was_asked_for_is_not_clean_any_more() {
        let mut life = Life::new();
        life.was_reset(Outcome::Reset);
        assert_eq!(life.flr(), Flr::Nothing);
        assert_eq!(life.flr(), Flr::Reset);
        assert!(life.needs_reset());
    }

    /// Only a reset mends it.
    #[test]
    fn what_is_broken_stays_so() {
        let mut life = Life::new();
        life.was_reset(Outcome::Failed);
        for _ in 0..2 {
            assert_eq!(life.export(1), Err(Refusal::Broken));
            assert_eq!(life.flr(), Flr::Reset);
            life.touch();
            assert!(!life.release(1));
        }
        life.was_reset(Outcome::Reset);
        assert_eq!(life.export(1), Ok(Export::Done));
    }
}
