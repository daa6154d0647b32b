// SPDX-License-Identifier: GPL-2.0

//! The INTx lines of functions that were offered to xen-pciback.
//!
//! dom0 must unmask a GSI before anybody sets it up, or Xen never binds it to dom0. A GSI that is
//! bound to dom0 costs guests 1 ms for each interrupt, unless dom0 handles it. So a GSI is lent to
//! guests while no driver of dom0 may use it.
//!
//! A PV guest can bind a GSI that is lent so that Xen does not share it. dom0 then gets it back
//! when the guest has lost the function or has ended: see [`crate::owed`].

use kernel::{
    new_mutex,
    pci::Device,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

use xen::{
    gsi::{
        irq,
        Lent,
        Mapping,
        Route,
        Trigger, //
    },
    pci::Command, //
};

use crate::{
    trace,
    LEND, //
};

const NAME: &CStr = c"xen-pcidev";

/// The lines that this module has unmasked. Unmasking one once is enough until dom0 reboots.
#[pin_data]
pub(crate) struct Lines {
    /// Locked inside the lock of a function's resources, and outside those of all functions.
    #[pin]
    lines: Mutex<KVec<Line>>,
}

struct Line {
    gsi: u32,
    lent: Option<Lent>,
    /// Whether it is lent only because Xen does not bind it to dom0.
    is_owed: bool,
}

impl Lines {
    /// Creates an empty list.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                lines <- new_mutex!(KVec::new()),
            }),
            GFP_KERNEL,
        )
    }

    /// Unmasks `line`, that of `dev`, unless that was done before. May sleep.
    pub(crate) fn unmask(&self, dev: &Device, line: &Mapping) -> Result {
        let mut lines = self.lines.lock();
        if lines.iter().any(|other| other.gsi == line.gsi()) {
            return Ok(());
        }
        lines.reserve(1, GFP_KERNEL)?;
        {
            // The function must not raise INTx while the line has no real handler.
            let command = Command::keep(dev)?;
            command.disable_intx()?;
            // Dropping it masks the line again, unless it has other handlers.
            drop(irq::unmask(line.irq(), NAME)?);
        }
        let line = Line {
            gsi: line.gsi(),
            lent: None,
            is_owed: false,
        };
        lines.push(line, GFP_KERNEL)?;
        Ok(())
    }

    /// Lends the line of `route` or gives it back, when the driver of a function on it has changed.
    /// `only_guests_use` says whether a guest may use the line, and no driver of dom0 may. It must
    /// be false before a driver of dom0 is probed. Returns whether dom0 is owed the line then. Logs
    /// what fails. May sleep.
    pub(crate) fn settle(&self, route: Route, only_guests_use: impl FnOnce() -> bool) -> bool {
        let mut lines = self.lines.lock();
        let Some(line) = lines.iter_mut().find(|line| line.gsi == route.gsi) else {
            return false;
        };
        // Xen does not wait for anybody to end an edge-triggered interrupt.
        let is_level = route.trigger == Trigger::Level;
        let is_wanted = LEND.get() && is_level && only_guests_use();
        match line.lent {
            None if is_wanted => line.lent = lend(route),
            Some(_) if is_wanted => line.is_owed = false,
            _ => line.give_back(),
        }
        line.is_owed
    }

    /// Gives back what Xen did not bind to dom0 before. Returns whether dom0 is still owed a line.
    /// May sleep.
    pub(crate) fn give_back_owed(&self) -> bool {
        let mut lines = self.lines.lock();
        for line in lines.iter_mut().filter(|line| line.is_owed) {
            line.give_back();
        }
        lines.iter().any(|line| line.is_owed)
    }
}

impl Line {
    fn give_back(&mut self) {
        let Some(lent) = &mut self.lent else {
            return;
        };
        let result = lent.give_back();
        trace::line(self.gsi, false, result);
        match result {
            Ok(()) => {
                if self.is_owed {
                    pr_info!("GSI {}: dom0 has it again\n", self.gsi);
                }
                self.lent = None;
            }
            Err(e) if !self.is_owed => pr_err!(
                "GSI {}: Xen does not bind it to dom0 ({:?}), dom0 gets no INTx on it: destroy the guest that uses it, or rebind a driver\n",
                self.gsi,
                e
            ),
            Err(_) => (),
        }
        self.is_owed = result.is_err();
    }
}

fn lend(route: Route) -> Option<Lent> {
    let lent = route.map().and_then(|line| Lent::new(line, NAME));
    match &lent {
        Ok(_) => trace::line(route.gsi, true, Ok(())),
        // It has a handler: one that is no PCI driver's, or that of a driver that is being unbound.
        Err(e) if *e == EBUSY => (),
        Err(e) => {
            trace::line(route.gsi, true, Err(*e));
            pr_warn!(
                "GSI {}: Xen does not unbind it from dom0 ({:?}): guests get 1,000 INTx interrupts per second at most\n",
                route.gsi,
                e
            );
        }
    }
    lent.ok()
}
