// SPDX-License-Identifier: GPL-2.0

//! The backend side of XenStore: which functions which guest has.
//!
//! Toolstacks describe a guest's functions in `backend/pci/DOMAIN/0`: `num_devs`, and for each one
//! `dev-N` and `state-N`. Answers are `vdev-N`, `state-N`, `root-N` and `state`. HVM guests have no
//! frontend that would connect; what they write to their side is not looked at.
//!
//! Xenbus does not make a device of a backend whose frontend is not there, and a guest can remove
//! its frontend as soon as it sees it. The directory is followed all the same: what a guest has is
//! the toolstack's to say.

use kernel::{
    fmt, new_mutex, new_work,
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        ArcBorrow,
        Mutex, //
    },
    workqueue::{
        Work,
        WorkItem, //
    },
};

use xen::{
    pci::DeviceExt,
    pci_backend,
    xenbus::{
        self,
        State, //
    },
    xenstore::{
        self,
        Observer,
        Transaction, //
    },
    Sbdf, //
};

use crate::{
    life::{
        Domain,
        Refusal, //
    },
    state,
    topology::{
        self,
        Place,
        Topology, //
    },
    PASSTHROUGH, //
};

/// Guests have few functions: no more are looked at.
const MOST: u32 = 1024;

/// The backend of one guest.
#[pin_data]
pub(crate) struct Backend {
    /// Its directory.
    node: CString,
    domain: Domain,
    /// None if xenbus has no device for it; nothing is answered then.
    dev: Option<ARef<xenbus::Device>>,
    /// Only used by the work.
    #[pin]
    guest: Mutex<Guest>,
    /// Whether it was said that its frontend wants to connect, or is gone.
    frontend: Atomic<bool>,
    /// Whether its directory may be written to.
    #[pin]
    is_there: Mutex<bool>,
    #[pin]
    work: Work<Backend>,
}

kernel::impl_has_work! {
    impl HasWork<Self> for Backend { self.work }
}

/// What was done for a guest.
struct Guest {
    topology: Topology,
    /// Entries that were complained of.
    refused: KVec<Entry>,
}

/// A function in the directory.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    index: u32,
    /// None if it is not understood.
    function: Option<Sbdf>,
}

/// The driver of backends.
pub(crate) struct Backends;

impl xenbus::Driver for Backends {
    const NAME: &'static CStr = c"xen-pciback";
    const TYPE: &'static CStr = c"pci";
    type Data = Backend;

    fn probe(dev: ARef<xenbus::Device>) -> Result<Arc<Backend>> {
        let node = CString::try_from(dev.node())?;
        let backend = Backend::new(node, dev.domain(), Some(dev.clone()))?;
        dev.switch(State::InitWait)?;
        state::with(|state| {
            let mut backends = state.backends.lock();
            backends.reserve(1, GFP_KERNEL)?;
            // What was followed without a device, until now.
            backends.retain(|other| *other.node != *backend.node);
            Ok(backends.push(backend.clone(), GFP_KERNEL)?)
        })?;
        backend.queue();
        Ok(backend)
    }

    fn other_end(backend: ArcBorrow<'_, Backend>, state: State) {
        // All that a guest can make us do: one line in the log.
        let connects = matches!(state, State::Initialised | State::Connected);
        if connects && !backend.frontend.xchg(true, Relaxed) {
            pr_warn!(
                "domain {} has a PCI frontend, which is not served: HVM guests need none\n",
                backend.domain
            );
        }
    }

    fn remove(backend: ArcBorrow<'_, Backend>) {
        *backend.is_there.lock() = false;
        backend.forget();
    }
}

/// Hears of what toolstacks write.
pub(crate) struct Changes;

impl Observer for Changes {
    const PATH: &'static CStr = pci_backend::PATH;

    fn changed(path: &CStr) {
        if !pci_backend::tells(path.to_bytes()) {
            return;
        }
        let result = state::with(|state| {
            let mut known = false;
            for backend in state.backends.lock().iter() {
                if pci_backend::is_in(path.to_bytes(), backend.node.to_bytes()) {
                    known = true;
                    backend.queue();
                } else if pci_backend::is_in(backend.node.to_bytes(), path.to_bytes()) {
                    // All of it may have been removed at once.
                    backend.queue();
                }
            }
            if known {
                return Ok(());
            }
            match pci_backend::directory(path.to_bytes()) {
                Some((node, domain)) => Backend::follow_without_device(state, node, domain),
                None => Ok(()),
            }
        });
        if let Err(e) = result {
            pr_warn!("cannot follow {path:?}: {e:?}\n");
        }
    }
}

impl WorkItem for Backend {
    type Pointer = Arc<Backend>;

    fn run(this: Arc<Backend>) {
        if let Err(e) = this.follow() {
            this.report(e, fmt!("cannot follow {:?}", &*this.node));
        }
    }
}

impl Backend {
    fn new(node: CString, domain: Domain, dev: Option<ARef<xenbus::Device>>) -> Result<Arc<Self>> {
        let kind = if PASSTHROUGH.get() {
            topology::Kind::Real
        } else {
            topology::Kind::Virtual
        };
        Arc::pin_init(
            pin_init!(Self {
                node,
                domain,
                dev,
                guest <- new_mutex!(Guest {
                    topology: Topology::new(kind),
                    refused: KVec::new(),
                }),
                frontend: Atomic::new(false),
                is_there <- new_mutex!(true),
                work <- new_work!("pciback::Backend"),
            }),
            GFP_KERNEL,
        )
    }

    /// Follows a directory that a toolstack has made, and of which xenbus has no device.
    fn follow_without_device(state: &state::State, node: &str, domain: Domain) -> Result {
        let node = CString::try_from_fmt(fmt!("{node}"))?;
        if let Err(e) = xenstore::read(&node, c"state") {
            // It is not complete, or was removed.
            return if e == ENOENT { Ok(()) } else { Err(e) };
        }
        let backend = Self::new(node, domain, None)?;
        state.backends.lock().push(backend.clone(), GFP_KERNEL)?;
        backend.queue();
        Ok(())
    }

    /// Its guest has nothing any more.
    fn forget(&self) {
        let _ = state::with(|state| {
            state
                .backends
                .lock()
                .retain(|other| !core::ptr::eq(&**other, self));
            state.release(self.domain, |_| false);
            Ok(())
        });
    }

    fn queue(self: &Arc<Self>) {
        let _ = state::with(|state| {
            // Queued already: it will see what has changed meanwhile.
            let _ = state.toolstack.enqueue(self.clone());
            Ok(())
        });
    }

    fn report(&self, error: Error, message: fmt::Arguments<'_>) {
        let is_there = self.is_there.lock();
        match (&self.dev, CString::try_from_fmt(message)) {
            (Some(dev), Ok(message)) if *is_there => dev.report(error, &message),
            (None, Ok(message)) => pr_err!("{:?}: {:?}\n", &*message, error),
            _ => (),
        }
    }

    /// Does what the toolstack has written.
    fn follow(&self) -> Result {
        let Some(wanted) = self.state_in(c"state")? else {
            // It is being removed; xenbus says so for its devices.
            if self.dev.is_none() {
                self.forget();
            }
            return Ok(());
        };
        let mut guest = self.guest.lock();
        let entries = if self.is_to_close(wanted)? {
            KVec::new()
        } else {
            self.entries()?
        };
        let has = |function| entries.iter().any(|entry| entry.function == Some(function));
        state::with(|state| {
            state.release(self.domain, has);
            Ok(())
        })?;
        guest.topology.retain(has);
        guest.refused.retain(|refused| entries.contains(refused));

        let mut placed = KVec::new();
        for entry in &entries {
            let exported = match entry.function {
                Some(function) => self.export(&mut guest.topology, function),
                None => Err(EINVAL),
            };
            match exported {
                Ok(place) => placed.push((entry.index, place), GFP_KERNEL)?,
                Err(e) => self.refuse(&mut guest, *entry, e)?,
            }
        }
        let Some(dev) = &self.dev else {
            if !placed.is_empty() && !self.frontend.xchg(true, Relaxed) {
                pr_warn!(
                    "domain {} has removed its PCI frontend; its functions are known all the same\n",
                    self.domain
                );
            }
            return Ok(());
        };
        let is_there = self.is_there.lock();
        if *is_there {
            self.publish(&guest.topology, &placed)?;
            match wanted {
                State::Closing => dev.switch(State::Closed)?,
                State::Initialising | State::InitWait => dev.switch(State::Initialised)?,
                State::Reconfiguring => {
                    dev.switch(State::Reconfigured)?;
                    dev.switch(State::Initialised)?;
                }
                _ => (),
            }
        }
        Ok(())
    }

    /// Whether the toolstack wants it closed.
    fn is_to_close(&self, wanted: State) -> Result<bool> {
        if !matches!(wanted, State::Closing | State::Closed) {
            return Ok(false);
        }
        if self.dev.is_some() {
            return Ok(true);
        }
        // Xenbus writes the same when it finds no frontend.
        match xenstore::read(&self.node, c"online") {
            Ok(online) => Ok(online.bytes() != b"1"),
            Err(e) if e == ENOENT => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// The functions that the guest is to have.
    fn entries(&self) -> Result<KVec<Entry>> {
        let mut entries = KVec::new();
        let count = match xenstore::read(&self.node, c"num_devs") {
            Ok(count) => pci_backend::decimal(count.bytes()).ok_or(EINVAL)?,
            Err(e) if e == ENOENT => 0,
            Err(e) => return Err(e),
        };
        if count > MOST {
            return Err(E2BIG);
        }
        for index in 0..count {
            let node = CString::try_from_fmt(fmt!("dev-{index}"))?;
            let state = CString::try_from_fmt(fmt!("state-{index}"))?;
            let name = match xenstore::read(&self.node, &node) {
                Ok(name) => name,
                // Its place in the list is closed up next.
                Err(e) if e == ENOENT => continue,
                Err(e) => return Err(e),
            };
            if matches!(self.state_in(&state)?, Some(State::Closing | State::Closed)) {
                continue;
            }
            let function = pci_backend::function(name.bytes());
            entries.push(Entry { index, function }, GFP_KERNEL)?;
        }
        Ok(entries)
    }

    /// A state that is written down, if it is.
    fn state_in(&self, node: &CStr) -> Result<Option<State>> {
        match xenstore::read(&self.node, node) {
            Ok(value) => Ok(Some(pci_backend::state(value.bytes()))),
            Err(e) if e == ENOENT => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn export(&self, topology: &mut Topology, function: Sbdf) -> Result<Place> {
        let device = state::device(function)?;
        let place = topology.place(function, device.dev.is_virtfn())?;
        let exported = device.export(self.domain).map_err(|refusal| match refusal {
            Refusal::Busy(_) => EBUSY,
            Refusal::Broken => EIO,
        });
        if exported.is_err() {
            topology.retain(|other| other != function);
        } else if !*self.is_there.lock() {
            // The guest has gone meanwhile, with what it had until then.
            device.release(self.domain);
            return Err(ENODEV);
        }
        exported.map(|()| place)
    }

    /// Complains, once, of an entry.
    fn refuse(&self, guest: &mut Guest, entry: Entry, error: Error) -> Result {
        if guest.refused.contains(&entry) {
            return Ok(());
        }
        guest.refused.push(entry, GFP_KERNEL)?;
        let Some(function) = entry.function else {
            let index = entry.index;
            self.report(
                error,
                fmt!("dev-{index} is no address such as 0000:03:00.0"),
            );
            return Ok(());
        };
        let why = match error {
            ENODEV => "xen-pciback does not have it: xl pci-assignable-add",
            EBUSY => "another domain has it",
            EIO => "it could not be reset",
            ENOSPC => "32 devices are the most that a guest can have",
            _ => "see the error",
        };
        self.report(
            error,
            fmt!("domain {} is not to have {function}: {why}", self.domain),
        );
        Ok(())
    }

    /// Writes where the functions are, unless it is written.
    fn publish(&self, topology: &Topology, placed: &[(u32, Place)]) -> Result {
        let dir = &self.node;
        let mut news = KVec::new();
        for (index, place) in placed {
            let state = CString::try_from_fmt(fmt!("state-{index}"))?;
            if self.state_in(&state)? != Some(State::Initialised) {
                let node = CString::try_from_fmt(fmt!("vdev-{index}"))?;
                news.push((node, CString::try_from_fmt(fmt!("{place}"))?), GFP_KERNEL)?;
                let value = CString::try_from_fmt(fmt!("{}", State::Initialised as u32))?;
                news.push((state, value), GFP_KERNEL)?;
            }
        }
        if news.is_empty() {
            return Ok(());
        }
        let mut roots = 0u32;
        for (segment, bus) in topology.roots() {
            let node = CString::try_from_fmt(fmt!("root-{roots}"))?;
            news.push(
                (
                    node,
                    CString::try_from_fmt(fmt!("{segment:04x}:{bus:02x}"))?,
                ),
                GFP_KERNEL,
            )?;
            roots = roots.saturating_add(1);
        }
        let count = CString::try_from_fmt(fmt!("{roots}"))?;
        news.push(
            (CString::try_from_fmt(fmt!("root_num"))?, count),
            GFP_KERNEL,
        )?;
        Transaction::run(|transaction| {
            // What is gone must not be made again.
            if !transaction.exists(dir, c"state")? {
                return Ok(());
            }
            news.iter()
                .try_for_each(|(node, value)| transaction.write(dir, node, value))
        })
    }
}
