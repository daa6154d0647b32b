// SPDX-License-Identifier: GPL-2.0

//! A PV guest that requests interrupts, while its function changes its owner.

use core::ffi::CStr;

use checker::Scenario;
use kernel::{context, sync::aref::ARef};
use xen::{
    hypercall::domain,
    pci::{bus::Observer as _, driver},
    xenbus::{self, store, watch::Observer as _, Probed, State, PV_GUEST},
};

use crate::{
    backends::{BackendDriver, Changes, Ends},
    machine::{Machine, SBDF},
    unplug::Unplug,
};

pub(crate) const ALL: &[Scenario] = &[
    ("served-while-detached", served_while_detached),
    ("served-while-it-ends", served_while_it_ends),
    ("served-while-its-end-is-read", served_while_its_end_is_read),
    ("served-while-unbound", served_while_unbound),
    ("served-while-taken-in-xen", served_while_taken_in_xen),
    ("served-while-leaving", served_while_leaving),
    ("served-while-reset", served_while_reset),
    ("served-while-recovering", served_while_recovering),
    ("served-while-unplugged", served_while_unplugged),
    ("served-while-it-closes", served_while_it_closes),
    ("unplugged-from-a-stub-domain", unplugged_from_a_stub_domain),
    ("unplugged-of-unknown-kind", unplugged_of_unknown_kind),
    ("served-before-assigned", served_before_assigned),
    ("ended-without-a-frontend", ended_without_a_frontend),
    ("xsa-43-not-logged", xsa_43_not_logged),
    ("failure-logged-once", failure_logged_once),
    ("unmapped-again", unmapped_again),
    ("unmapped-by-others", unmapped_by_others),
    ("xsa-155-read-once", xsa_155_read_once),
    ("xsa-332-events-wait", xsa_332_events_wait),
    ("xsa-349-only-queued", xsa_349_only_queued),
];

/// The directory of the guest, which is a stub domain if it has a target.
const STUB_DOMAIN: &CStr = c"/local/domain/9";
/// The target, which has the function in Xen.
const TARGET: u16 = 1;

/// A guest with a function, connected.
struct Served {
    machine: Machine,
    dev: ARef<xenbus::Device>,
    backend: Probed<BackendDriver>,
}

impl Served {
    fn new() -> Self {
        let machine = Machine::seized();
        machine
            .device
            .registers(|registers| registers.in_xen = true);
        Self::connected(machine)
    }

    fn by_a_stub_domain() -> Self {
        let machine = Machine::seized();
        store::change(|store| store.set(STUB_DOMAIN, c"target", TARGET));
        Self::connected(machine)
    }

    fn connected(machine: Machine) -> Self {
        let dev = directory();
        store::change(|store| {
            for (node, value) in [(c"magic", 7), (c"pci-op-ref", 8), (c"event-channel", 9)] {
                store.set(c"/front", node, value);
            }
        });
        let backend = Probed::new(BackendDriver(machine.backends.clone()), &dev);
        // Only what follows is tried in every order.
        machine.backends.drain();
        backend.other_end(State::Initialised);
        machine.backends.drain();
        assert!(xenbus::is_connected());
        Self {
            machine,
            dev,
            backend,
        }
    }

    /// The guest enables the first entry of its MSI-X table, at 0000:00:00.0.
    fn requests(&self) {
        xenbus::request(&[(0, 4), (7, 1)]);
    }

    /// The guest allows DMA of it.
    fn does_dma(&self) {
        xenbus::request(&[(0, 1), (5, 4), (6, 4), (7, 4)]);
    }

    fn detach(&self) {
        store::change(|store| store.set(self.dev.node(), c"state-0", 5));
        Changes(self.machine.backends.clone()).changed(self.dev.node());
    }

    /// The function is unplugged.
    fn unplug(&self) {
        let device = &self.machine.device;
        device.registers(|registers| registers.present = false);
        driver::unbind(device);
        Unplug(self.machine.functions.clone()).removing(device);
        device.registers(|registers| {
            assert!(!registers.in_xen, "Xen forgets a function that a guest has");
        });
    }

    /// How a toolstack says that the guest is destroyed.
    fn destroy(&self) -> impl Fn() + 'static {
        let (dev, backends) = (self.dev.clone(), self.machine.backends.clone());
        move || {
            store::change(|store| store.remove(dev.node()));
            Changes(backends.clone()).changed(dev.node());
        }
    }

    fn end(self) -> Machine {
        self.machine
            .device
            .registers(|registers| registers.in_xen = false);
        store::change(|store| store.remove(self.dev.node()));
        drop(self.backend);
        self.machine.backends.drain();
        assert!(!xenbus::is_connected(), "a page stays mapped");
        self.machine.device.registers(|registers| {
            assert_eq!(registers.pirqs, 0, "interrupts stay mapped");
            let sends = registers.messages && registers.present;
            assert!(!sends, "a message comes to nobody");
        });
        self.machine
    }
}

/// What a toolstack writes for a guest with a function.
fn directory() -> ARef<xenbus::Device> {
    let dev = xenbus::Device::new(PV_GUEST);
    store::change(|store| {
        for (node, value) in [
            (c"dev-0", SBDF.to_string()),
            (c"state-0", "1".into()),
            (c"num_devs", "1".into()),
            (c"online", "1".into()),
            (c"state", "1".into()),
            (c"frontend", "/front".into()),
        ] {
            store.set(dev.node(), node, value);
        }
    });
    dev
}

/// A toolstack takes the function away.
fn served_while_detached() {
    let served = Served::new();
    served.requests();
    served.detach();
    served.end().ends_free();
}

/// A toolstack takes the function away in Xen, and has not said so yet.
fn served_while_taken_in_xen() {
    let served = Served::new();
    let device = served.machine.device.clone();
    served.does_dma();
    let did_dma = device.registers(|registers| {
        registers.in_xen = false;
        registers.dma
    });
    served.machine.backends.drain();
    device.registers(|registers| {
        assert!(
            did_dma || !registers.dma,
            "it got DMA after it lost the function"
        );
    });
    served.does_dma();
    served.machine.backends.drain();
    assert_eq!(xenbus::error(), -1, "it reaches a function that it lost");
    served.end().ends_free();
}

/// As libxl takes it away: it has the function reset first.
fn served_while_leaving() {
    let served = Served::new();
    let device = served.machine.device.clone();
    served.does_dma();
    served.machine.flr()();
    device.registers(|registers| registers.in_xen = false);
    served.machine.backends.drain();
    device.registers(|registers| assert!(!registers.dma, "DMA goes on between owners"));
    served.end().ends_free();
}

/// The guest is destroyed.
fn served_while_it_ends() {
    let served = Served::new();
    served.requests();
    served.end().ends_free();
}

/// It ends while its directory is read: its page is unmapped first.
fn served_while_its_end_is_read() {
    let served = Served::new();
    let device = served.machine.device.clone();
    device.use_by(PV_GUEST);
    device.registers(|registers| registers.in_xen = false);
    xenbus::end();
    Changes(served.machine.backends.clone()).changed(served.dev.node());
    store::change(|store| store.remove(served.dev.node()));
    served.end().ends_free();
}

/// An administrator unbinds the function.
fn served_while_unbound() {
    let served = Served::new();
    served.requests();
    driver::unbind(&served.machine.device);
    served.end().ends_stopped();
}

/// A toolstack has it reset.
fn served_while_reset() {
    let served = Served::new();
    served.requests();
    served.machine.flr()();
    served.end().ends_free();
}

/// Its link fails, which stops the guest; what it has requested before may come late.
fn served_while_recovering() {
    let served = Served::new();
    let device = served.machine.device.clone();
    served.does_dma();
    driver::recover(&device);
    served.machine.backends.drain();
    device.registers(|registers| assert!(!registers.dma, "DMA of a guest that was stopped"));
    assert_eq!(domain::stopped(), [PV_GUEST]);
    served.end().ends_free();
}

/// It is unplugged, which stops the guest; its toolstack destroys it.
fn served_while_unplugged() {
    let served = Served::new();
    served.requests();
    let destroy = served.destroy();
    let device = served.machine.device.clone();
    domain::set_toolstack(Some(Box::new(move |_| {
        device.registers(|registers| registers.in_xen = false);
        destroy();
    })));
    served.unplug();
    domain::set_toolstack(None);
    assert_eq!(domain::stopped(), [PV_GUEST]);
    served.end().unload();
}

/// Its guest has it in Xen, and may not go on with it, either.
fn unplugged_from_a_stub_domain() {
    let served = Served::by_a_stub_domain();
    let device = served.machine.device.clone();
    device.registers(|registers| registers.in_xen = true);
    let destroy = served.destroy();
    domain::set_toolstack(Some(Box::new(move |stopped| match stopped {
        PV_GUEST => destroy(),
        _ => device.registers(|registers| registers.in_xen = false),
    })));
    served.unplug();
    domain::set_toolstack(None);
    assert_eq!(domain::stopped(), [PV_GUEST, TARGET]);
    served.end().unload();
}

/// So it is with a Xen whose control operations are not known.
fn unplugged_of_unknown_kind() {
    domain::forget_kinds_of([TARGET]);
    unplugged_from_a_stub_domain();
}

/// A guest closes its frontend and connects again, while its toolstack takes the function away: it
/// has unmapped the line by then.
fn served_while_it_closes() {
    let served = Served::new();
    let device = served.machine.device.clone();
    served.does_dma();
    served.machine.backends.drain();
    served.requests();
    served.backend.other_end(State::Closing);
    served.machine.backends.drain();
    device.registers(|registers| {
        assert!(!registers.dma, "DMA goes on while nobody is served");
        assert!(registers.intx_off, "INTx comes while nobody is served");
        registers.line_taken = true;
    });
    served.backend.other_end(State::Initialised);
    served.machine.backends.drain();
    served.does_dma();
    served.machine.backends.drain();
    device.registers(|registers| {
        assert!(
            registers.dma && !registers.intx_off,
            "it is not served again"
        );
        registers.line_taken = false;
    });
    served.end().ends_free();
}

/// libxl assigns the function of a stub domain when this may have looked for it already.
fn served_before_assigned() {
    let served = Served::by_a_stub_domain();
    let device = served.machine.device.clone();
    served.does_dma();
    served.machine.backends.drain();
    assert_eq!(xenbus::error(), 0, "it finds no function");
    device.registers(|registers| assert!(!registers.had_dma, "DMA of what is not assigned"));
    served.does_dma();
    device.registers(|registers| registers.in_xen = true);
    served.machine.backends.drain();
    assert_eq!(xenbus::error(), 0, "it loses its function");
    served.does_dma();
    served.machine.backends.drain();
    device.registers(|registers| {
        assert!(registers.dma, "it gets no DMA");
        assert!(!registers.intx_off, "it gets no INTx");
        registers.in_xen = false;
    });
    served.backend.other_end(State::Closing);
    served.machine.backends.drain();
    served.backend.other_end(State::Initialised);
    served.machine.backends.drain();
    served.does_dma();
    served.machine.backends.drain();
    assert_eq!(xenbus::error(), -1, "it reaches a function that it lost");
    served.end().ends_free();
}

/// A guest has removed its frontend before anybody looked, and ends. Its directory stays.
fn ended_without_a_frontend() {
    let machine = Machine::seized();
    let dev = directory();
    let backend = Probed::new(BackendDriver(machine.backends.clone()), &dev);
    machine.backends.drain();
    assert_eq!(machine.guest(), Some(PV_GUEST));
    domain::end([PV_GUEST]);
    Ends(machine.backends.clone()).changed(Ends::PATH);
    machine.backends.drain();
    machine.functions.drain();
    assert_eq!(machine.guest(), None, "it stays with a guest that is gone");
    store::change(|store| store.remove(dev.node()));
    drop(backend);
    machine.ends_free();
}

/// Whatever a guest requests: it could fill dom0's log.
fn xsa_43_not_logged() {
    let served = Served::new();
    let lines = context::lines();
    for request in [
        &[(0, u32::MAX)][..],
        &[(0, 2), (4, u32::MAX)],
        &[(0, 4), (7, 129)],
        &[(0, 4), (7, 1), (9, 99 << 16)],
        &[(0, 1), (5, u32::MAX), (6, 4)],
    ] {
        xenbus::request(request);
        served.machine.backends.drain();
        assert_ne!(xenbus::error(), 0);
    }
    assert_eq!(context::lines(), lines, "a guest causes lines in the log");
    served.end().ends_free();
}

/// What fails is logged, but a guest that asks again and again does not fill the log.
fn failure_logged_once() {
    let served = Served::new();
    let device = &served.machine.device;
    device.registers(|registers| registers.unmappable = true);
    let lines = context::lines();
    for _ in 0..3 {
        xenbus::request(&[(0, 4), (7, 1)]);
        served.machine.backends.drain();
        assert_ne!(xenbus::error(), 0);
        assert_eq!(context::lines(), lines + 1, "a failure is not logged once");
    }
    device.registers(|registers| registers.unmappable = false);
    served.requests();
    served.end().ends_free();
}

/// The guest changes its page at any time.
fn xsa_155_read_once() {
    let served = Served::new();
    for _ in 0..2 {
        served.requests();
        served.machine.backends.drain();
    }
    served.end().ends_free();
}

/// Xen did not unmap an interrupt when the guest disabled it.
fn unmapped_again() {
    let served = Served::new();
    let device = &served.machine.device;
    served.requests();
    served.machine.backends.drain();
    device.registers(|registers| registers.unmappable = true);
    let lines = context::lines();
    xenbus::request(&[(0, 5)]);
    served.machine.backends.drain();
    assert_ne!(xenbus::error(), 0);
    assert_eq!(context::lines(), lines + 1, "the failure is not logged");
    device.registers(|registers| {
        assert!(!registers.messages, "the function still sends messages");
        registers.unmappable = false;
    });
    served.end().ends_free();
}

/// Xen does not have the interrupt any more that the guest disables.
fn unmapped_by_others() {
    let served = Served::new();
    let device = &served.machine.device;
    served.requests();
    served.machine.backends.drain();
    device.registers(|registers| registers.pirqs = 0);
    xenbus::request(&[(0, 5)]);
    served.machine.backends.drain();
    assert_eq!(xenbus::error(), 0);
    served.end().ends_free();
}

/// Events without requests are delayed, and a request that comes with them is served.
fn xsa_332_events_wait() {
    let served = Served::new();
    xenbus::send_event();
    xenbus::send_event();
    served.machine.backends.drain();
    assert_ne!(
        xenbus::spurious_events(),
        0,
        "a storm of events is not slowed down"
    );
    served.requests();
    xenbus::send_event();
    served.machine.backends.drain();
    let pirqs = served.machine.device.registers(|registers| registers.pirqs);
    assert_eq!(pirqs, 1, "a request is not served");
    served.end().ends_free();
}

/// XenStore's thread, which all share, does nothing else for a guest that writes all the time.
fn xsa_349_only_queued() {
    let served = Served::new();
    for state in [State::Reconfiguring, State::Connected, State::Closing] {
        context::atomic(|| served.backend.other_end(state));
    }
    served.end().ends_free();
}
