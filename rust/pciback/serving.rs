// SPDX-License-Identifier: GPL-2.0

//! Serving a PV guest: its connection, and its requests.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use xen::xenbus::{
    self,
    State, //
};

use crate::{
    backend::Backend,
    connection::{
        Connection,
        Offer,
        Pump,
        Server, //
    },
    handshake::{
        self,
        Link, //
    },
    operation::{
        Answer,
        Refusal,
        Request, //
    },
    PV, //
};

impl Server for Backend {
    fn wake(&self, pump: Arc<Pump>) {
        // Fails only if it is queued already. It then sees the request.
        let _ = self.backends.serving.enqueue(pump);
    }

    fn serve(&self) {
        if let Some(connection) = &*self.connection.lock() {
            connection.turn(|request, answer| self.operate(request, answer));
        }
    }
}

impl Backend {
    fn operate(&self, request: Request, answer: &dyn Fn(Answer<'_>)) {
        let mut guest = self.guest.lock();
        match guest.at(request.place) {
            Some(attached) => attached.slot.operate(
                attached.assignment.function(),
                self.domain,
                self.frontend.is_stub(),
                request.operation,
                answer,
            ),
            None => answer(Answer::Refused(Refusal::NoFunction)),
        }
    }

    /// Connects to the frontend of a PV guest, or ends the connection, as its state wants it.
    /// Returns how it is served. May sleep. If XenStore cannot be read, fails and changes nothing.
    pub(crate) fn link(self: &Arc<Self>, dev: &xenbus::Device, state: State) -> Result<Link> {
        // Of other guests, nothing else is read.
        let offer = (self.frontend.is_pv() && handshake::offers(state)).then(|| Offer::read(dev));
        if let Some(Err(e)) = offer {
            // That would be the guest's fault.
            if e != EINVAL {
                return Err(e);
            }
        }
        let mut connection = self.connection.lock();
        // A frontend that begins anew offers something else.
        let is_current = |connection: &Connection| match offer {
            Some(offer) => offer.is_ok_and(|offer| connection.is_of(offer)),
            None => handshake::uses(state),
        };
        if connection
            .as_ref()
            .is_some_and(|connection| !is_current(connection))
        {
            Self::end(&mut connection, &mut self.guest.lock());
        }
        if connection.is_none() && PV.get() {
            *connection = offer.and_then(|offer| self.connect(dev, offer));
        }
        Ok(match &*connection {
            Some(_) => Link::Connected,
            None => handshake::unconnected(state),
        })
    }

    /// Connects to the frontend, but not again after a failure: a guest may offer anything.
    fn connect(self: &Arc<Self>, dev: &xenbus::Device, offer: Result<Offer>) -> Option<Connection> {
        if self.frontend.has_failed() {
            return None;
        }
        let connection = offer.and_then(|offer| {
            self.frontend.look_at_target(self.domain)?;
            Connection::new(dev, offer, self.clone())
        });
        match connection {
            Ok(connection) => {
                connection.begin();
                Some(connection)
            }
            Err(e) => {
                self.frontend.fail();
                dev.report(e, c"cannot connect to the PCI frontend of the guest");
                None
            }
        }
    }
}
