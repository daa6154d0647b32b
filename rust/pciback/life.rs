// SPDX-License-Identifier: GPL-2.0

//! The states of a function while the driver or a guest has it.
//!
//! ```text
//!   seized, returned by a guest
//!            |
//!            v      reset           do_flr            export
//!        Returned ---------> Clean ---------> Touched --------> Assigned
//!            |                 |                 ^ |               ^ |
//!            | reset fails     +-----------------|-|-- export -----+ | release
//!            v                                   | v                 v
//!         Broken ---------- reset ----------> (reset again)       Returned
//!            |
//!            | export
//!            v     release                                 slept, woke
//!          Lost ----------> Returned               Clean <------------> Asleep
//! ```
//!
//! One rule holds for every path: between two guests, a reset of the function succeeds. If the
//! function cannot be reset, its configuration is restored instead. If it can only be reset
//! together with a function that a guest has, it stays returned: until the reset, only its last
//! guest can have it again, or any guest if an administrator insists.

use kernel::prelude::*;

/// A guest: the number of its domain.
pub(crate) type Domain = u16;

/// The state of a function: who has it, or may have used it since its last reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The function was reset, and not used since.
    Clean,
    /// As [`State::Clean`], but the function was put to sleep (D3hot). Nobody gets it before it is
    /// awake; a reset wakes it, too.
    Asleep,
    /// No guest has the function. A reset was requested; the requester may have used the function
    /// since.
    Touched,
    /// The last owner, a guest or a driver, has returned the function. It is to be reset.
    Returned,
    /// The function is assigned to this guest.
    Assigned(Domain),
    /// The function is not available to guests: its reset failed, or the verification after it.
    Broken,
    /// As [`State::Broken`], but assigned to this guest in Xen: its toolstack requested the
    /// function.
    Lost(Domain),
}

/// How to serve a request for a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flr {
    /// Do nothing: the function was reset, and not used since.
    Nothing,
    /// Stop the function. It is reset when the guest has returned it.
    Quiesce,
    /// Reset the function.
    Reset,
}

/// The result of a request for the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Export {
    /// The function is assigned to the guest.
    Done,
    /// The function is assigned to the guest in Xen, but the guest must not use it: `EIO` as it was
    /// not reset, `EAGAIN` as Linux is recovering from an error and may reset the link.
    Lost(Error),
    /// The function has to be reset. Request it again afterwards.
    Reset,
}

/// The reason why a guest cannot get the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExportError {
    /// The driver does not have the function any more.
    Gone,
    /// A guest has the function.
    Busy,
    /// There is no memory, or the module is being unloaded.
    Failed(Error),
}

/// The result of a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The reset and its verification succeeded.
    Reset,
    /// The function cannot be reset. Its configuration was restored.
    Unresettable,
    /// The function was not reset: it has to wait for another function, which is reset with it.
    Postponed,
    /// The reset or its verification failed.
    Failed,
}

/// The state of a function, and whether Linux is recovering from an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    state: State,
    /// Linux has reported an error, and its recovery has not ended.
    recovering: bool,
    /// The last guest that could use the function, until the function is reset.
    last: Option<Domain>,
    /// The current guest must not use the function.
    denied: bool,
}

impl Life {
    /// Creates the state of a function that is being seized.
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Returned,
            recovering: false,
            last: None,
            denied: false,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Returns the guest that the function is assigned to in Xen.
    pub(crate) fn guest(&self) -> Option<Domain> {
        match self.state {
            State::Assigned(domain) | State::Lost(domain) => Some(domain),
            _ => None,
        }
    }

    /// Records the result of a reset. An assigned function keeps its state, as the guest goes on to
    /// use it.
    pub(crate) fn was_reset(&mut self, outcome: Outcome) {
        self.state = match (self.state, outcome) {
            (State::Assigned(_) | State::Lost(_), _) | (_, Outcome::Postponed) => return,
            (_, Outcome::Reset) => State::Clean,
            (_, Outcome::Unresettable) => State::Touched,
            (_, Outcome::Failed) => State::Broken,
        };
        self.last = None;
    }

    /// Returns how to serve a request for a reset. The requester may use the function next, or may
    /// have used it.
    pub(crate) fn flr(&mut self) -> Flr {
        match self.state {
            State::Clean => {
                self.state = State::Touched;
                Flr::Nothing
            }
            State::Assigned(_) | State::Lost(_) => Flr::Quiesce,
            State::Asleep | State::Touched | State::Returned | State::Broken => Flr::Reset,
        }
    }

    /// Records that the requester of a reset may use the function from now on.
    pub(crate) fn touch(&mut self) {
        if self.state == State::Clean {
            self.state = State::Touched;
        }
    }

    /// Assigns the function to a guest, if its state allows that. Toolstacks assign it in Xen
    /// before they ask, and do not wait for the answer, so that a guest that must not use the
    /// function has it all the same.
    pub(crate) fn export(&mut self, domain: Domain) -> Result<Export, ExportError> {
        let (state, export) = match self.state {
            State::Assigned(_) | State::Lost(_) => return Err(ExportError::Busy),
            State::Broken => (State::Lost(domain), Export::Lost(EIO)),
            _ if self.recovering => (State::Assigned(domain), Export::Lost(EAGAIN)),
            State::Clean | State::Touched => (State::Assigned(domain), Export::Done),
            State::Asleep | State::Returned => return Ok(Export::Reset),
        };
        self.state = state;
        self.denied = export == Export::Lost(EAGAIN);
        Ok(export)
    }

    /// Assigns a function whose reset is postponed to a guest. Only its last guest can use it,
    /// unless an administrator insists.
    pub(crate) fn export_unreset(
        &mut self,
        domain: Domain,
        insists: bool,
    ) -> Result<Export, ExportError> {
        let export = self.export(domain)?;
        if export != Export::Reset {
            return Ok(export);
        }
        let may_use = insists || self.last == Some(domain);
        self.denied = !may_use || self.state == State::Asleep;
        self.state = State::Assigned(domain);
        Ok(if self.denied {
            Export::Lost(EIO)
        } else {
            Export::Done
        })
    }

    /// Records that a requested reset was postponed: the last requester may have used the function,
    /// so that it has to be reset before a guest gets it.
    pub(crate) fn distrust(&mut self) {
        if self.state == State::Touched {
            self.state = State::Returned;
        }
    }

    /// Records that the guest has returned the function.
    pub(crate) fn release(&mut self) {
        self.last = match self.state {
            State::Assigned(domain) => (!self.denied).then_some(domain),
            // Its guest could not use it, and does not get it again without a reset, either.
            State::Lost(_) => None,
            _ => return,
        };
        self.denied = false;
        self.state = State::Returned;
    }

    /// Returns whether the function can be put to sleep: it is clean, and nothing is under way.
    pub(crate) fn can_sleep(&self) -> bool {
        self.state == State::Clean && !self.recovering
    }

    /// Records that the function was put to sleep.
    pub(crate) fn slept(&mut self) {
        if self.can_sleep() {
            self.state = State::Asleep;
        }
    }

    /// Records that the function is awake, with its configuration.
    pub(crate) fn woke(&mut self) {
        if self.state == State::Asleep {
            self.state = State::Clean;
        }
    }

    /// Records that Linux begins or ends the recovery from an error.
    pub(crate) fn set_recovering(&mut self, recovering: bool) {
        self.recovering = recovering;
    }

    /// Records that Linux has given up the recovery from an error. It may have reset the link, and
    /// has restored nothing: the function has to be reset.
    pub(crate) fn give_up_recovery(&mut self) {
        self.recovering = false;
        if matches!(self.state, State::Clean | State::Asleep | State::Touched) {
            self.state = State::Returned;
        }
    }

    /// Returns whether Linux is recovering from an error.
    pub(crate) fn is_recovering(&self) -> bool {
        self.recovering
    }

    /// Returns whether the function has to be reset now for its next owner.
    pub(crate) fn is_due(&self) -> bool {
        self.state == State::Returned && !self.recovering
    }

    /// Returns whether the function has to be reset before the driver gives it up.
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
        ExportUnreset(Domain),
        Distrust,
        Release,
        Recovering(bool),
        GiveUpRecovery,
        Slept,
        Woke,
    }

    const EVENTS: [Event; 16] = [
        Event::WasReset(Outcome::Reset),
        Event::WasReset(Outcome::Unresettable),
        Event::WasReset(Outcome::Failed),
        Event::WasReset(Outcome::Postponed),
        Event::Flr,
        Event::Touch,
        Event::Export(1),
        Event::Export(2),
        Event::ExportUnreset(2),
        Event::Distrust,
        Event::Release,
        Event::Recovering(true),
        Event::Recovering(false),
        Event::GiveUpRecovery,
        Event::Slept,
        Event::Woke,
    ];

    /// A model of the function that does not use `State`.
    #[derive(Clone, Copy)]
    struct Truth {
        owner: Option<Domain>,
        /// Whether the function was used since its last reset.
        dirty: bool,
        /// The last guest that could use the function since its last reset.
        last: Option<Domain>,
        /// Whether the owner must not use the function.
        denied: bool,
        /// Whether the last reset failed.
        failed: bool,
        recovering: bool,
        asleep: bool,
    }

    fn exported(export: Result<Export, ExportError>, truth: &mut Truth, domain: Domain) {
        match export {
            Ok(Export::Done) => {
                assert!(truth.owner.is_none() && !truth.failed && !truth.recovering);
                assert!(!truth.asleep);
                truth.owner = Some(domain);
                truth.dirty = true;
            }
            // The guest must not use the function, but it is assigned in Xen.
            Ok(Export::Lost(e)) => {
                assert!(truth.owner.is_none());
                assert!(match e {
                    EIO => truth.failed || truth.dirty || truth.asleep,
                    _ => truth.recovering,
                });
                truth.owner = Some(domain);
                truth.denied = true;
                truth.dirty = true;
                truth.asleep = false;
            }
            Ok(Export::Reset) => assert!(truth.owner.is_none() && !truth.recovering),
            Err(refusal) => {
                assert_eq!(refusal, ExportError::Busy);
                assert!(truth.owner.is_some());
            }
        }
    }

    fn step(life: &mut Life, truth: &mut Truth, event: Event) {
        match event {
            Event::WasReset(outcome) => {
                life.was_reset(outcome);
                if truth.owner.is_none() && outcome != Outcome::Postponed {
                    truth.dirty = false;
                    truth.last = None;
                    truth.failed = outcome == Outcome::Failed;
                    truth.asleep = false;
                }
            }
            Event::Flr => {
                let wanted = life.flr();
                // No due reset is skipped, and no function is reset while a guest has it.
                assert_eq!(wanted == Flr::Quiesce, truth.owner.is_some());
                assert!(wanted != Flr::Nothing || (!truth.dirty && !truth.failed && !truth.asleep));
            }
            Event::Touch => life.touch(),
            Event::Export(domain) => {
                let export = life.export(domain);
                // The rule: the guest gets a function that was reset.
                assert!(export != Ok(Export::Done) || !truth.dirty);
                exported(export, truth, domain);
            }
            Event::ExportUnreset(domain) => {
                let export = life.export_unreset(domain, false);
                assert!(export != Ok(Export::Done) || !truth.dirty || truth.last == Some(domain));
                exported(export, truth, domain);
            }
            Event::Distrust => {
                life.distrust();
                truth.dirty |= life.state() == State::Returned;
            }
            Event::Release => {
                life.release();
                if truth.owner.is_some() {
                    truth.last = truth.owner.filter(|_| !truth.denied);
                }
                truth.denied = false;
                truth.owner = None;
            }
            Event::Recovering(recovering) => {
                life.set_recovering(recovering);
                truth.recovering = recovering;
            }
            Event::GiveUpRecovery => {
                life.give_up_recovery();
                truth.recovering = false;
                truth.asleep = false;
                truth.dirty |= !truth.failed;
            }
            Event::Slept => {
                // Only one that nobody uses.
                assert!(!life.can_sleep() || (truth.owner.is_none() && !truth.dirty));
                assert!(!life.can_sleep() || (!truth.failed && !truth.recovering));
                truth.asleep |= life.can_sleep();
                life.slept();
            }
            Event::Woke => {
                life.woke();
                truth.asleep = false;
            }
        }
        assert_eq!(life.state() == State::Asleep, truth.asleep);
        assert_eq!(life.guest(), truth.owner);
        // A function that is given up without a reset was not used.
        assert!(life.needs_reset() || (truth.owner.is_none() && !truth.dirty && !truth.asleep));
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

    /// The rule holds in every sequence of five events, a million in all.
    #[test]
    fn no_path_hands_a_used_function_on() {
        let truth = Truth {
            owner: None,
            dirty: true,
            last: None,
            denied: false,
            failed: false,
            recovering: false,
            asleep: false,
        };
        assert_eq!(walk(Life::new(), truth, 5), 16u64.pow(5));
    }

    /// `xl pci-assignable-add`, `create`, `destroy` and `pci-assignable-remove` take two resets.
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

    /// A guest whose creation failed may have used the function.
    #[test]
    fn a_requested_function_is_not_clean_any_more() {
        let mut life = Life::new();
        life.was_reset(Outcome::Reset);
        assert_eq!(life.flr(), Flr::Nothing);
        assert_eq!(life.flr(), Flr::Reset);
        assert!(life.needs_reset());
    }

    /// Only a reset repairs a broken function. If it is assigned to a guest in Xen, the guest is
    /// known until it returns the function.
    #[test]
    fn a_broken_function_stays_so() {
        let mut life = Life::new();
        life.was_reset(Outcome::Failed);
        assert_eq!(life.flr(), Flr::Reset);
        life.touch();
        assert_eq!(life.export(1), Ok(Export::Lost(EIO)));
        assert_eq!((life.state(), life.guest()), (State::Lost(1), Some(1)));
        assert_eq!(life.export(2), Err(ExportError::Busy));
        life.was_reset(Outcome::Reset);
        assert_eq!(life.state(), State::Lost(1));
        life.release();
        assert!(life.is_due());
    }

    /// Until its reset, a function whose reset is postponed goes to its last guest only, or to the
    /// one for which an administrator insists.
    #[test]
    fn a_postponed_reset_is_waited_for() {
        let mut life = Life::new();
        life.was_reset(Outcome::Postponed);
        assert!(life.is_due());
        assert_eq!(life.export_unreset(1, true), Ok(Export::Done));
        life.release();
        assert_eq!(life.export_unreset(1, false), Ok(Export::Done));
        life.release();
        // This one must not use it, but is known to have it.
        assert_eq!(life.export_unreset(2, false), Ok(Export::Lost(EIO)));
        assert_eq!((life.guest(), life.is_due()), (Some(2), false));
        life.release();
        // Nor may it be used by the others now.
        assert_eq!(life.export_unreset(1, false), Ok(Export::Lost(EIO)));
        life.release();
        life.was_reset(Outcome::Reset);
        assert_eq!(life.export_unreset(2, false), Ok(Export::Done));
    }

    /// Nobody gets a function that sleeps: it has to be woken, or reset.
    #[test]
    fn a_sleeping_function_is_woken_first() {
        let mut life = Life::new();
        life.slept();
        assert_eq!(life.state(), State::Returned);
        life.was_reset(Outcome::Reset);
        life.slept();
        assert_eq!(life.state(), State::Asleep);
        assert!(life.needs_reset() && !life.is_due() && !life.can_sleep());
        assert_eq!(
            (life.flr(), life.export(1)),
            (Flr::Reset, Ok(Export::Reset))
        );
        // Not even if an administrator insists.
        assert_eq!(life.export_unreset(1, true), Ok(Export::Lost(EIO)));
        life.release();
        life.was_reset(Outcome::Reset);
        life.slept();
        life.woke();
        assert_eq!(life.export(1), Ok(Export::Done));
    }

    /// Linux may reset the link until it has recovered from an error, so no guest may use the
    /// function, and it is not reset under one that has it all the same.
    #[test]
    fn recovery_is_waited_for() {
        let mut life = Life::new();
        life.was_reset(Outcome::Reset);
        assert_eq!(life.export(1), Ok(Export::Done));
        life.set_recovering(true);
        life.release();
        assert!(!life.is_due());
        assert_eq!(life.export(2), Ok(Export::Lost(EAGAIN)));
        life.set_recovering(false);
        assert_eq!((life.guest(), life.is_due()), (Some(2), false));
        life.release();
        assert!(life.is_due());
        // That one has no right to it.
        assert_eq!(life.export_unreset(2, false), Ok(Export::Lost(EIO)));
    }

    /// A recovery that Linux gives up leaves registers that nobody has restored.
    #[test]
    fn what_was_not_recovered_is_reset() {
        let mut life = Life::new();
        life.was_reset(Outcome::Reset);
        life.set_recovering(true);
        life.give_up_recovery();
        assert!(life.is_due());
        assert_eq!(life.export(1), Ok(Export::Reset));
    }
}
