// SPDX-License-Identifier: GPL-2.0

//! The connection to the frontend of a PV guest: the page that it shares, and an event channel.
//!
//! The guest writes anything to the page at any time, and sends any number of events. A request is
//! copied once. No event comes before the last one was served.

use kernel::{
    new_work,
    prelude::*,
    str::CString,
    sync::Arc,
    workqueue::{
        Work,
        WorkItem, //
    }, //
};

use xen::xenbus::{
    self,
    pci_backend::decimal,
    store,
    EventChannel,
    Handler,
    SharedPage, //
};

use crate::operation::{
    Answer,
    Request,
    WORDS, //
};

/// Who serves requests.
pub(crate) trait Server: Send + Sync {
    /// Called in interrupt context when the guest has sent an event: queues the pump.
    fn wake(&self, pump: Arc<Pump>);
    /// Serves a request by [`Connection::turn`].
    fn serve(&self);
}

/// The work that serves a guest.
#[pin_data]
pub(crate) struct Pump {
    server: Arc<dyn Server>,
    #[pin]
    work: Work<Pump>,
}

kernel::impl_has_work! {
    impl HasWork<Self> for Pump { self.work }
}

impl WorkItem for Pump {
    type Pointer = Arc<Pump>;

    fn run(this: Arc<Pump>) {
        this.server.serve();
    }
}

/// What an event does.
struct Bell(Arc<Pump>);

impl Handler for Bell {
    fn event(&self) {
        self.0.server.wake(self.0.clone());
    }
}

/// What a frontend offers in XenStore: the numbers of a grant and of an event channel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer {
    grant: u32,
    port: u32,
}

impl Offer {
    /// Reads the offer. May sleep. Errors: `EINVAL` if it is incomplete, or of another version of
    /// the interface; `ENOMEM`; else those of XenStore.
    pub(crate) fn read(dev: &xenbus::Device) -> Result<Self> {
        const MAGIC: u32 = 7;
        // This node is the toolstack's. What is below the directory that it names is the guest's.
        let frontend = store::read(dev.node(), c"frontend")?.ok_or(EINVAL)?;
        let frontend = core::str::from_utf8(frontend.bytes()).map_err(|_| EINVAL)?;
        let frontend = CString::try_from_fmt(fmt!("{frontend}"))?;
        let number = |node| {
            let value = store::read(&frontend, node)?;
            value
                .and_then(|value| decimal::<u32>(value.bytes()))
                .ok_or(EINVAL)
        };
        if number(c"magic")? != MAGIC {
            return Err(EINVAL);
        }
        Ok(Self {
            grant: number(c"pci-op-ref")?,
            port: number(c"event-channel")?,
        })
    }
}

/// A connection. Dropping it ends events first, and may sleep.
pub(crate) struct Connection {
    channel: EventChannel<Bell>,
    page: SharedPage,
    pump: Arc<Pump>,
    offer: Offer,
}

impl Connection {
    /// Maps the page and binds the channel. May sleep. Errors are those of these calls, and
    /// `ENOMEM`.
    pub(crate) fn new(dev: &xenbus::Device, offer: Offer, server: Arc<dyn Server>) -> Result<Self> {
        let pump = Arc::pin_init(
            pin_init!(Pump {
                server,
                work <- new_work!("pciback::Pump"),
            }),
            GFP_KERNEL,
        )?;
        let page = SharedPage::map(dev, offer.grant)?;
        let channel = EventChannel::bind(dev, offer.port, c"xen-pciback", Bell(pump.clone()))?;
        Ok(Self {
            channel,
            page,
            pump,
            offer,
        })
    }

    /// Returns whether the frontend still offers the same.
    pub(crate) fn is_of(&self, offer: Offer) -> bool {
        self.offer == offer
    }

    /// Looks for a request that came before anybody listened.
    pub(crate) fn begin(&self) {
        self.pump.server.wake(self.pump.clone());
    }

    /// Serves a request, if there is one. `serve` gets it, and calls what it gets with the answer.
    pub(crate) fn turn(&self, serve: impl FnOnce(Request, &dyn Fn(Answer<'_>))) {
        // The page is a `struct xen_pci_sharedinfo`: flags, and a `struct xen_pci_op`.
        const FLAGS: usize = 0;
        const OPERATION: usize = 1;
        const ACTIVE: u8 = 0;
        let is_active = self.page.read(FLAGS) & 1 << ACTIVE != 0;
        if is_active {
            // XSA-155: from here on, only the copy is used.
            let request: [u32; WORDS] = self.page.copy(OPERATION);
            let answer = |answer: Answer<'_>| {
                for (index, word) in answer.encode() {
                    self.page.write(index.saturating_add(OPERATION), word);
                }
            };
            match Request::decode(&request) {
                Ok(request) => serve(request, &answer),
                Err(refusal) => answer(Answer::Refused(refusal)),
            }
            self.page.clear_bit(ACTIVE);
            self.channel.notify();
        }
        // XSA-332: an event without a request delays the next ones.
        self.channel.done(!is_active);
    }
}
