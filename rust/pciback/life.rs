// SPDX-License-Identifier: GPL-2.0

//! The life of a function while the driver, or a guest, has it.
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
//!            |
//!            | export
//!            v     release
//!          Lost ----------> Returned
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
    /// No guest has it. A reset was requested; the requester may have used the function since.
    Touched,
    /// The last owner, a guest or a driver, does not have it any more. It is about to be reset.
    Returned,
    /// This guest has it.
    Assigned(Domain),
    /// No guest gets it: it could not be reset, or was not right after.
    Broken,
    /// As [`State::Broken`], but Xen has it for this guest, which its toolstack wanted to have it.
    Lost(Domain),
}

/// How to serve a request for a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flr {
    /// Not at all: the function was reset, and not touched since.
    Nothing,
    /// By stopping the function. It is reset when the guest does not have it any more.
    Quiesce,
    /// By a reset.
    Reset,
}

/// The answer to a request for the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Export {
    /// The guest has it now.
    Done,
    /// The guest has it now as far as Xen is concerned, but cannot use it.
    Lost,
    /// Reset it, and ask again.
    Reset,
}

/// Why a guest cannot get the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The driver does not have it any more.
    Gone,
    /// A guest has it.
    Busy,
    /// Linux is recovering from an error of the function or its link, and may reset it.
    Recovering,
    /// No memory, or the module is about to be unloaded.
    Failed(Error),
}

/// How the last attempt to reset the function ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was reset, and is as it should be.
    Reset,
    /// It has no reset; its configuration was put back.
    Unresettable,
    /// It was not reset, or is not as it should be.
    Failed,
}

/// The life of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    state: State,
    /// Linux has reported an error, and has not ended the recovery from it.
    recovering: bool,
}

impl Life {
    /// A function that a driver, the firmware, or nobody had.
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Returned,
            recovering: false,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// The guest that has it in Xen.
    pub(crate) fn guest(&self) -> Option<Domain> {
        match self.state {
            State::Assigned(domain) | State::Lost(domain) => Some(domain),
            _ => None,
        }
    }

    /// The function was reset, or should have been. Nothing changes for a function that a guest
    /// has: the guest goes on to use it.
    pub(crate) fn was_reset(&mut self, outcome: Outcome) {
        self.state = match (self.state, outcome) {
            (State::Assigned(_) | State::Lost(_), _) => self.state,
            (_, Outcome::Reset) => State::Clean,
            (_, Outcome::Unresettable) => State::Touched,
            (_, Outcome::Failed) => State::Broken,
        };
    }

    /// A reset is requested, in order to use the function next or because it was used.
    pub(crate) fn flr(&mut self) -> Flr {
        match self.state {
            State::Clean => {
                self.state = State::Touched;
                Flr::Nothing
            }
            State::Assigned(_) | State::Lost(_) => Flr::Quiesce,
            State::Touched | State::Returned | State::Broken => Flr::Reset,
        }
    }

    /// The requester of a reset may use the function now.
    pub(crate) fn touch(&mut self) {
        if self.state == State::Clean {
            self.state = State::Touched;
        }
    }

    /// A toolstack gives it to a guest.
    pub(crate) fn export(&mut self, domain: Domain) -> Result<Export, Refusal> {
        let (state, export) = match self.state {
            State::Assigned(_) | State::Lost(_) => return Err(Refusal::Busy),
            _ if self.recovering => return Err(Refusal::Recovering),
            State::Clean | State::Touched => (State::Assigned(domain), Export::Done),
            State::Broken => (State::Lost(domain), Export::Lost),
            State::Returned => (State::Returned, Export::Reset),
        };
        self.state = state;
        Ok(export)
    }

    /// The guest does not have it any more.
    pub(crate) fn release(&mut self) {
        if self.guest().is_some() {
            self.state = State::Returned;
        }
    }

    /// Linux begins, or ends, the recovery from an error.
    pub(crate) fn set_recovering(&mut self, recovering: bool) {
        self.recovering = recovering;
    }

    /// Whether Linux is recovering from an error.
    pub(crate) fn is_recovering(&self) -> bool {
        self.recovering
    }

    /// Whether it is to be reset for the next owner now.
    pub(crate) fn is_due(&self) -> bool {
        self.state == State::Returned && !self.recovering
    }

    /// Whether it has to be reset before it is left to others.
    pub(crate) fn needs_reset(&self) -> bool {
        self.state != State::Clean
    }
}

#[kernel::macros::kunit_tests(xen_pciback_life)]
mod tests {
    use super::*;

    /// All events, with two guests.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        WasReset(Outcome),
        Flr,
        Touch,
        Export(Domain),
        Release,
        Recovering(bool),
    }

    const EVENTS: [Event; 10] = [
        Event::WasReset(Outcome::Reset),
        Event::WasReset(Outcome::Unresettable),
        Event::WasReset(Outcome::Failed),
        Event::Flr,
        Event::Touch,
        Event::Export(1),
        Event::Export(2),
        Event::Release,
        Event::Recovering(true),
        Event::Recovering(false),
    ];

    /// The truth, kept by other means than the state.
    #[derive(Clone, Copy)]
    struct Truth {
        owner: Option<Domain>,
        /// A guest has had it since it was last reset.
        dirty: bool,
        /// The last attempt at a reset failed.
        failed: bool,
        recovering: bool,
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
                    assert!(truth.owner.is_none() && !truth.dirty);
                    assert!(!truth.failed && !truth.recovering);
                    truth.owner = Some(domain);
                    truth.dirty = true;
                }
                // It stays out of reach, but Xen has it for the guest.
                Ok(Export::Lost) => {
                    assert!(truth.owner.is_none() && truth.failed);
                    truth.owner = Some(domain);
                    truth.dirty = true;
                }
                Ok(Export::Reset) => assert!(truth.owner.is_none() && !truth.recovering),
                Err(refusal) => assert_eq!(
                    refusal,
                    if truth.owner.is_some() {
                        Refusal::Busy
                    } else {
                        assert!(truth.recovering);
                        Refusal::Recovering
                    }
                ),
            },
            Event::Release => {
                life.release();
                truth.owner = None;
            }
            Event::Recovering(recovering) => {
                life.set_recovering(recovering);
                truth.recovering = recovering;
            }
        }
        assert_eq!(life.guest(), truth.owner);
        // Whoever leaves it unreset knows that nobody has touched it.
        assert!(life.needs_reset() || (truth.owner.is_none() && !truth.dirty));
        assert!(!life.is_due() || (truth.owner.is_none() && !truth.recovering));
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

    /// Every sequence of six events, from the beginning: a million.
    #[test]
    fn no_path_hands_a_used_function_on() {
        let truth = Truth {
            owner: None,
            dirty: true,
            failed: false,
            recovering: false,
        };
        assert_eq!(walk(Life::new(), truth, 6), 10u64.pow(6));
    }

    /// Assignable-add, create, destroy, assignable-remove: two resets.
    #[test]
    fn a_cycle_takes_two_resets() {
        let mut life = Life::new();
        assert!(life.is_due());
        life.was_reset(Outcome::Reset);
        assert_eq!(life.flr(), Flr::Nothing);
        assert_eq!(life.export(1), Ok(Export::Done));
        assert_eq!(life.flr(), Flr::Quiesce);
        life.release();
        assert!(life.is_due());
        life.was_reset(Outcome::Reset);
        assert!(!life.needs_reset());
    }

    /// A guest that could not be created may have touched it.
    #[test]
    fn a_requested_function_is_not_clean_any_more() {
        let mut life = Life::new();
        life.was_reset(Outcome::Reset);
        assert_eq!(life.flr(), Flr::Nothing);
        assert_eq!(life.flr(), Flr::Reset);
        assert!(life.needs_reset());
    }

    /// Only a reset repairs a broken function, and its guest is known until it is gone.
    #[test]
    fn a_broken_function_stays_so() {
        let mut life = Life::new();
        life.was_reset(Outcome::Failed);
        assert_eq!(life.flr(), Flr::Reset);
        life.touch();
        assert_eq!(life.export(1), Ok(Export::Lost));
        assert_eq!((life.state(), life.guest()), (State::Lost(1), Some(1)));
        assert_eq!(life.export(2), Err(Refusal::Busy));
        life.was_reset(Outcome::Reset);
        assert_eq!(life.state(), State::Lost(1));
        life.release();
        assert!(life.is_due());
    }

    /// Linux may reset a function until it has recovered from its error: nobody gets it meanwhile.
    #[test]
    fn recovery_is_waited_for() {
        let mut life = Life::new();
        life.was_reset(Outcome::Reset);
        assert_eq!(life.export(1), Ok(Export::Done));
        life.set_recovering(true);
        life.release();
        assert!(!life.is_due());
        assert_eq!(life.export(2), Err(Refusal::Recovering));
        life.set_recovering(false);
        assert!(life.is_due());
    }
}
