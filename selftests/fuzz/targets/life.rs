// SPDX-License-Identifier: GPL-2.0

//! `Life`: every byte is something that happens to a function.

use kernel::prelude::{
    EAGAIN,
    EIO, //
};

use crate::life::{
    Export,
    ExportError,
    Flr,
    Life,
    Outcome,
    State, //
};

/// The same in facts that do not depend on each other.
#[derive(Default)]
struct Truth {
    owner: Option<u16>,
    /// The last reset failed.
    failed: bool,
    /// A guest, or somebody before us, has had it since it was reset.
    used: bool,
    /// Somebody has had the right to use it since, or it has no reset.
    touched: bool,
    recovering: bool,
    /// It was put to sleep, and neither woken nor reset since.
    asleep: bool,
    /// The last guest that could use it, until it is reset.
    last: Option<u16>,
    /// The owner must not use it.
    denied: bool,
}

impl Truth {
    fn state(&self) -> State {
        match self.owner {
            Some(owner) if self.failed => State::Lost(owner),
            Some(owner) => State::Assigned(owner),
            None if self.used => State::Returned,
            None if self.failed => State::Broken,
            None if self.touched => State::Touched,
            None if self.asleep => State::Asleep,
            None => State::Clean,
        }
    }

    fn was_reset(&mut self, outcome: Outcome) {
        if self.owner.is_none() && outcome != Outcome::Postponed {
            self.last = None;
            self.asleep = false;
            self.failed = outcome == Outcome::Failed;
            self.touched = outcome == Outcome::Unresettable;
            self.used = false;
        }
    }

    fn flr(&mut self) -> Flr {
        if self.owner.is_some() {
            return Flr::Quiesce;
        }
        if self.asleep {
            return Flr::Reset;
        }
        let was_touched = std::mem::replace(&mut self.touched, true);
        if self.failed || self.used || was_touched {
            Flr::Reset
        } else {
            Flr::Nothing
        }
    }

    fn export(&mut self, domain: u16) -> Result<Export, ExportError> {
        if self.owner.is_some() {
            return Err(ExportError::Busy);
        }
        if (self.used || self.asleep) && !self.recovering {
            return Ok(Export::Reset);
        }
        self.owner = Some(domain);
        self.asleep = false;
        self.denied = self.recovering && !self.failed;
        Ok(if self.denied {
            Export::Lost(EAGAIN)
        } else if self.failed {
            Export::Lost(EIO)
        } else {
            Export::Done
        })
    }

    fn export_unreset(&mut self, domain: u16, insists: bool) -> Result<Export, ExportError> {
        let export = self.export(domain);
        if export != Ok(Export::Reset) {
            return export;
        }
        self.owner = Some(domain);
        self.denied = std::mem::take(&mut self.asleep) || !insists && self.last != Some(domain);
        Ok(if self.denied {
            Export::Lost(EIO)
        } else {
            Export::Done
        })
    }

    fn can_sleep(&self) -> bool {
        self.state() == State::Clean && !self.recovering
    }

    fn distrust(&mut self) {
        self.used |= self.touched && self.owner.is_none() && !self.failed;
    }

    fn release(&mut self) {
        if let Some(owner) = self.owner.take() {
            let denied = std::mem::take(&mut self.denied);
            self.last = (!self.failed && !denied).then_some(owner);
            self.used = true;
            self.failed = false;
        }
    }
}

pub(crate) fn run(input: &[u8]) {
    let mut life = Life::new();
    let mut truth = Truth {
        used: true,
        ..Truth::default()
    };
    for byte in input {
        // Three guests are enough to mix up.
        let domain = u16::from(byte >> 4) % 3 + 1;
        match byte & 15 {
            0 => assert_eq!(life.flr(), truth.flr()),
            1 => {
                life.touch();
                truth.touched |= !truth.asleep;
            }
            2 => {
                life.release();
                truth.release();
            }
            3 | 4 => assert_eq!(life.export(domain), truth.export(domain)),
            which @ (5 | 6) => {
                life.set_recovering(which == 5);
                truth.recovering = which == 5;
            }
            which @ (9 | 10) => {
                let insists = which == 10;
                let export = life.export_unreset(domain, insists);
                assert_eq!(export, truth.export_unreset(domain, insists));
            }
            12 => {
                life.distrust();
                truth.distrust();
            }
            13 => {
                assert_eq!(life.can_sleep(), truth.can_sleep());
                truth.asleep |= truth.can_sleep();
                life.slept();
            }
            14 => {
                truth.asleep = false;
                life.woke();
            }
            15 if byte >> 4 < 8 => {
                life.give_up_recovery();
                truth.recovering = false;
                truth.used |= truth.owner.is_none() && !truth.failed;
                truth.asleep = false;
            }
            which => {
                let outcome = match which {
                    7 => Outcome::Unresettable,
                    8 => Outcome::Failed,
                    11 => Outcome::Postponed,
                    _ => Outcome::Reset,
                };
                life.was_reset(outcome);
                truth.was_reset(outcome);
            }
        }
        assert_eq!(life.state(), truth.state());
        assert_eq!(life.guest(), truth.owner);
        assert_eq!(life.is_recovering(), truth.recovering);
        assert_eq!(life.needs_reset(), truth.state() != State::Clean);
        let is_due = truth.state() == State::Returned && !truth.recovering;
        assert_eq!(life.is_due(), is_due);
    }
}
