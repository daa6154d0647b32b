// SPDX-License-Identifier: GPL-2.0

//! The states through which a backend leads its frontend.
//!
//! HVM guests have no frontend that matters. A PV guest offers a page and a channel
//! ([`State::Initialised`]); the backend connects, and the guest looks for its functions. When a
//! toolstack adds or removes one, it writes [`State::Reconfiguring`]: the guest lets go of those
//! that leave, says so by the same state, and looks again at [`State::Reconfigured`].
//!
//! A toolstack changes nothing unless it finds the backend in [`State::Connected`]: libxl looks
//! every 100 ms, for 10 s. A guest may do anything, or nothing. So it can take the backend out of
//! that state a few times only, and not for long: see [`Handshake`].

use xen::xenbus::State;

/// How a frontend is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not at all: the guest is no PV guest, or has no frontend yet.
    None,
    /// A guest waits, and is turned away.
    Refused,
    /// Its page is mapped, and its channel is bound.
    Connected,
    /// The guest has closed its frontend.
    Closed,
}

/// Returns whether a frontend in this state has offered its page.
pub(crate) fn offers(frontend: State) -> bool {
    matches!(frontend, State::Initialised | State::Reconfiguring)
}

/// Returns whether a frontend in this state uses its page.
pub(crate) fn uses(frontend: State) -> bool {
    matches!(
        frontend,
        State::Initialised | State::Connected | State::Reconfiguring | State::Reconfigured
    )
}

/// Returns how a frontend in this state is served that is not connected.
pub(crate) fn unconnected(frontend: State) -> Link {
    match frontend {
        State::Closing | State::Closed => Link::Closed,
        frontend if uses(frontend) => Link::Refused,
        _ => Link::None,
    }
}

/// How often a backend looks for what its frontend does, before it goes on without. A guest that
/// is destroyed is paused.
const PATIENCE: u32 = 4;

/// Whether a frontend was turned away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Farewell {
    #[default]
    NotYet,
    /// The backend is closing, and waits for the frontend to close.
    Now,
    /// Once is enough: a driver that comes again finds a connected backend before it could see
    /// this one close.
    Said,
}

/// What a backend remembers of its frontend. It leaves [`State::Connected`] because of the guest
/// twice at most for each change by a toolstack: to turn it away, which it does once in the
/// guest's life, and when the guest lets go of functions late. Each time it waits for the guest no
/// longer than it is patient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handshake {
    /// The frontend has used its page, so that the guest is a PV guest.
    has_come: bool,
    /// The toolstack has changed something, and the frontend has not let go since.
    is_asked: bool,
    farewell: Farewell,
    /// How often the backend has looked in vain for what its frontend does.
    waited: u32,
}

impl Handshake {
    /// Returns whether the backend waits in this state for its frontend.
    pub(crate) fn waits(&self, state: State, link: Link) -> bool {
        let is_asking = matches!(state, State::Reconfiguring | State::Reconfigured);
        is_asking && link == Link::Connected || self.farewell == Farewell::Now
    }

    /// Returns the state that follows `state` of the backend, if it changes. A backend that is
    /// `online` stays until the toolstack has ended it.
    pub(crate) fn next(
        &mut self,
        state: State,
        is_online: bool,
        frontend: State,
        link: Link,
    ) -> Option<State> {
        let is_patient = self.waited < PATIENCE;
        self.has_come |= link != Link::None;
        // Only toolstacks write that.
        self.is_asked |= state == State::Reconfiguring;
        self.farewell = match self.farewell {
            Farewell::NotYet if link == Link::Refused && is_patient => Farewell::Now,
            Farewell::Now if link != Link::Refused || !is_patient => Farewell::Said,
            farewell => farewell,
        };
        let is_closing = matches!(state, State::Closing | State::Closed);
        let next = match link {
            _ if is_closing && !is_online => {
                self.farewell = Farewell::Said;
                State::Closed
            }
            Link::Refused if self.farewell == Farewell::Now => State::Closing,
            Link::Refused | Link::Closed => State::Connected,
            Link::None if self.has_come => State::Connected,
            Link::None if is_closing || state == State::Connected => state,
            Link::None => State::Initialised,
            Link::Connected => match frontend {
                _ if self.waits(state, link) && !is_patient => State::Connected,
                State::Reconfiguring if self.is_asked && is_patient => {
                    self.is_asked = false;
                    // From here on it has time to see that.
                    self.waited = 0;
                    State::Reconfigured
                }
                State::Connected if state == State::Reconfigured => State::Connected,
                _ if self.waits(state, link) => state,
                _ => State::Connected,
            },
        };
        self.waited = if self.waits(next, link) {
            self.waited.saturating_add(1)
        } else {
            0
        };
        (next != state).then_some(next)
    }
}

#[kernel::macros::kunit_tests(xen_pciback_handshake)]
mod tests {
    use super::*;

    /// Backends of HVM guests are ready at once, and stay so.
    #[test]
    fn hvm_guests_need_none() {
        let next = |state, is_online| {
            Handshake::default().next(state, is_online, State::Unknown, Link::None)
        };
        for state in [State::Initialising, State::InitWait, State::Reconfiguring] {
            assert_eq!(next(state, true), Some(State::Initialised));
        }
        assert_eq!(next(State::Initialised, true), None);
        assert_eq!(next(State::Closing, true), None);
        assert_eq!(next(State::Closing, false), Some(State::Closed));
        assert_eq!(next(State::Closed, false), None);
    }

    /// As xen-pcifront goes through it, with a function that is attached later.
    #[test]
    fn pv_guests_are_led() {
        let mut handshake = Handshake::default();
        for (state, frontend, wanted) in [
            (State::Initialised, State::Initialised, State::Connected),
            (State::Connected, State::Connected, State::Connected),
            (State::Reconfiguring, State::Connected, State::Reconfiguring),
            (
                State::Reconfiguring,
                State::Reconfiguring,
                State::Reconfigured,
            ),
            (
                State::Reconfigured,
                State::Reconfiguring,
                State::Reconfigured,
            ),
            (State::Reconfigured, State::Connected, State::Connected),
        ] {
            let found = handshake.next(state, true, frontend, Link::Connected);
            assert_eq!(found.unwrap_or(state), wanted);
        }
    }

    /// Looks until the backend has given up a frontend that stays as it is, in `state`.
    fn give_up(handshake: &mut Handshake, state: State, frontend: State) {
        for look in 1..=PATIENCE {
            let next = handshake.next(state, true, frontend, Link::Connected);
            let is_last = look == PATIENCE;
            assert_eq!(next, is_last.then_some(State::Connected));
        }
    }

    /// A toolstack does not wait for a guest that does nothing, which may do so later, once.
    #[test]
    fn guests_do_not_block_toolstacks() {
        let mut handshake = Handshake::default();
        handshake.next(
            State::Reconfiguring,
            true,
            State::Connected,
            Link::Connected,
        );
        give_up(&mut handshake, State::Reconfiguring, State::Connected);
        for (state, wanted) in [
            (State::Connected, Some(State::Reconfigured)),
            (State::Reconfigured, None),
        ] {
            let late = handshake.next(state, true, State::Reconfiguring, Link::Connected);
            assert_eq!(late, wanted);
        }
    }

    /// A guest that lets go at the last moment has time to see the answer, once.
    #[test]
    fn slow_guests_see_the_answer() {
        let mut handshake = Handshake::default();
        for _ in 1..PATIENCE {
            handshake.next(
                State::Reconfiguring,
                true,
                State::Connected,
                Link::Connected,
            );
        }
        let frontend = State::Reconfiguring;
        let answer = handshake.next(State::Reconfiguring, true, frontend, Link::Connected);
        assert_eq!(answer, Some(State::Reconfigured));
        give_up(&mut handshake, State::Reconfigured, frontend);
        for _ in 0..2 * PATIENCE {
            let next = handshake.next(State::Connected, true, frontend, Link::Connected);
            assert_eq!(next, None);
        }
    }

    /// A guest that is turned away sees that. Toolstacks see a backend that serves.
    #[test]
    fn guests_leave() {
        for (frontend, link) in [
            (State::Unknown, Link::None),
            (State::Initialising, Link::None),
            (State::Initialised, Link::Refused),
            (State::Closing, Link::Closed),
        ] {
            assert_eq!(unconnected(frontend), link);
        }
        for end in [Link::Closed, Link::None, Link::Connected] {
            let mut handshake = Handshake::default();
            for (state, link, wanted) in [
                (State::Initialised, Link::Refused, State::Closing),
                (State::Closing, Link::Refused, State::Closing),
                (State::Closing, end, State::Connected),
                (State::Reconfiguring, Link::Closed, State::Connected),
                (State::Connected, Link::Refused, State::Connected),
                (State::Reconfiguring, Link::Refused, State::Connected),
            ] {
                let found = handshake.next(state, true, State::Initialised, link);
                assert_eq!(found.unwrap_or(state), wanted);
            }
            let ended = handshake.next(State::Closing, false, State::Closed, end);
            assert_eq!(ended, Some(State::Closed));
            assert!(!handshake.waits(State::Closed, end));
        }
        assert!(!uses(State::Closed) && !offers(State::Connected));
    }

    const FAREWELLS: [Farewell; 3] = [Farewell::NotYet, Farewell::Now, Farewell::Said];
    const STATES: u32 = 9;

    /// What a backend does next depends on this.
    #[derive(Clone, Copy)]
    struct Moment {
        handshake: Handshake,
        state: State,
    }

    impl Moment {
        const COUNT: usize = 2 * FAREWELLS.len() * STATES as usize * (PATIENCE as usize + 1);

        /// All moments of a backend whose frontend has come once.
        fn all() -> impl Iterator<Item = Self> {
            let of = |is_asked, farewell, waited| Handshake {
                has_come: true,
                is_asked,
                farewell,
                waited,
            };
            [false, true].into_iter().flat_map(move |is_asked| {
                FAREWELLS.into_iter().flat_map(move |farewell| {
                    (0..STATES).flat_map(move |state| {
                        (0..=PATIENCE).map(move |waited| Self {
                            handshake: of(is_asked, farewell, waited),
                            state: State::from(state),
                        })
                    })
                })
            })
        }

        /// Its place in [`Self::all`].
        fn place(&self) -> usize {
            let memory = usize::from(self.handshake.is_asked) * FAREWELLS.len()
                + self.handshake.farewell as usize;
            (memory * STATES as usize + self.state as usize) * (PATIENCE as usize + 1)
                + self.handshake.waited as usize
        }

        /// What follows if the frontend is in this state by then.
        fn then(mut self, frontend: State, link: Link) -> Self {
            let next = self.handshake.next(self.state, true, frontend, link);
            self.state = next.unwrap_or(self.state);
            self
        }
    }

    /// What a frontend can be when the backend looks.
    fn frontends() -> impl Iterator<Item = (State, Link)> {
        (0..STATES).map(State::from).flat_map(|frontend| {
            let served = uses(frontend).then_some((frontend, Link::Connected));
            [Some((frontend, unconnected(frontend))), served]
                .into_iter()
                .flatten()
        })
    }

    /// Whatever its frontend does, a backend waits for it three times `PATIENCE` in all, until the
    /// toolstack writes again: 6 s of the 10 s that libxl looks for one that is connected.
    #[test]
    fn backends_are_connected_again() {
        const MOST: u32 = 3 * PATIENCE;
        // How often it is found in another state from then on, at most.
        let mut worst = [0u32; Moment::COUNT];
        loop {
            let mut is_known = true;
            for moment in Moment::all() {
                let mut found = 0;
                for (frontend, link) in frontends() {
                    let then = moment.then(frontend, link);
                    // Else it waits longer than it is patient.
                    assert!(then.handshake.waited <= PATIENCE);
                    let is_away = u32::from(then.state != State::Connected);
                    found = found.max(is_away + worst[then.place()]);
                }
                // Else a guest keeps its backend from being connected.
                assert!(found <= MOST);
                is_known &= found == worst[moment.place()];
                worst[moment.place()] = found;
            }
            if is_known {
                break;
            }
        }
        assert_eq!(worst.into_iter().max(), Some(MOST));
    }
}
