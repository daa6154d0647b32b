// SPDX-License-Identifier: GPL-2.0

//! The states through which a backend leads its frontend.
//!
//! HVM guests have no frontend that matters. A PV guest offers a page and a channel
//! ([`State::Initialised`]); the backend connects, and the guest looks for its functions. When a
//! toolstack adds or removes one, it writes [`State::Reconfiguring`]: the guest lets go of those
//! that leave, says so by the same state, and looks again at [`State::Reconfigured`].

use xen::xenbus::State;

/// How a frontend is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not at all: the guest is no PV guest, or has no frontend yet.
    None,
    /// A PV guest waits, and is turned away.
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

/// Returns whether the backend waits in this state for its frontend.
pub(crate) fn waits(state: State, link: Link) -> bool {
    link == Link::Connected && matches!(state, State::Reconfiguring | State::Reconfigured)
}

/// Returns the state that follows `state` of the backend, if it changes. A backend that is
/// `online` stays until the toolstack has ended it. Without patience, the frontend is not waited
/// for: libxl takes no function from a PV guest whose backend is in another state than
/// [`State::Connected`].
pub(crate) fn next(
    state: State,
    is_online: bool,
    frontend: State,
    link: Link,
    is_patient: bool,
) -> Option<State> {
    let next = match (state, link) {
        (State::Closing | State::Closed, _) if !is_online => State::Closed,
        (_, Link::Closed) => State::Connected,
        (State::Closing | State::Closed, _) => return None,
        (_, Link::Refused) => State::Closing,
        (_, Link::Connected) => match frontend {
            _ if waits(state, link) && !is_patient => State::Connected,
            State::Reconfiguring => State::Reconfigured,
            State::Connected if state == State::Reconfigured => State::Connected,
            _ if waits(state, link) => return None,
            _ => State::Connected,
        },
        (State::Connected | State::Reconfigured, Link::None) => return None,
        (_, Link::None) => State::Initialised,
    };
    (next != state).then_some(next)
}

#[kernel::macros::kunit_tests(xen_pciback_handshake)]
mod tests {
    use super::*;

    /// Backends of HVM guests are ready at once, and stay so.
    #[test]
    fn hvm_guests_need_none() {
        let next = |state, is_online| next(state, is_online, State::Unknown, Link::None, true);
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
            let found = next(state, true, frontend, Link::Connected, true);
            assert_eq!(found.unwrap_or(state), wanted);
        }
    }

    /// A toolstack does not wait for a guest that does nothing, which may do so later.
    #[test]
    fn guests_do_not_block_toolstacks() {
        for state in [State::Reconfiguring, State::Reconfigured] {
            for frontend in [State::Connected, State::Reconfiguring] {
                assert_eq!(
                    next(state, true, frontend, Link::Connected, false),
                    Some(State::Connected)
                );
            }
        }
        assert_eq!(
            next(
                State::Connected,
                true,
                State::Reconfiguring,
                Link::Connected,
                false
            ),
            Some(State::Reconfigured)
        );
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
        for (state, link, wanted) in [
            (State::Initialised, Link::Refused, State::Closing),
            (State::Closing, Link::Refused, State::Closing),
            (State::Closing, Link::Closed, State::Connected),
            (State::Reconfiguring, Link::Closed, State::Connected),
        ] {
            let found = next(state, true, State::Closed, link, true);
            assert_eq!(found.unwrap_or(state), wanted);
        }
        let ended = next(State::Closing, false, State::Closed, Link::Closed, true);
        assert_eq!(ended, Some(State::Closed));
        assert!(!uses(State::Closed) && !offers(State::Connected));
    }
}
