// SPDX-License-Identifier: GPL-2.0

//! The reset that a toolstack requests (`do_flr`).

use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    },
    time::Instant, //
};

use xen::pci::ConfigSpace;

use crate::{
    function::Function,
    life::{
        Flr,
        Outcome, //
    }, //
};

impl Function {
    /// Serves a request for a reset (`do_flr`). Sleeps for as long as the reset takes.
    ///
    /// This also resets a function that was unbound while assigned: libxl requests the reset when
    /// it destroys the guest, and does not use another method.
    ///
    /// Errors: `ENODEV` if neither the driver nor a guest has the function any more; `EBUSY` if
    /// another driver has it, or if a guest has one that is reset with it; `EAGAIN` while Linux
    /// recovers from an error; `ENOTTY` if the function cannot be reset; else those of the reset.
    pub(crate) fn flr(self: &Arc<Self>) -> Result {
        let result = {
            let dev = self.lock_for_reset()?;
            if !self.registry.has(self.sbdf, self) {
                return Err(ENODEV);
            }
            let is_seized = self.is_seized();
            if !is_seized && dev.driver_name().is_some() {
                return Err(EBUSY);
            }
            // If this fails, the function is reset.
            let _ = self.rouse(&dev);
            let wanted = {
                let mut inner = self.inner.lock();
                if inner.life.is_recovering() && inner.life.guest().is_none() {
                    return Err(EAGAIN);
                }
                inner.requested_at = Some(Instant::now());
                let wanted = inner.life.flr();
                if wanted == Flr::Quiesce {
                    self.is_leaving.store(true, Relaxed);
                }
                wanted
            };
            if wanted != Flr::Quiesce && self.vpci.is_assigned() {
                // The guest may use the function until the toolstack has taken it away in Xen.
                self.inner.lock().life.distrust();
                self.queue();
                return ConfigSpace::of(&dev).quiesce();
            }
            match wanted {
                Flr::Nothing if self.is_as_saved() => return Ok(()),
                Flr::Quiesce => {
                    let config = ConfigSpace::of(&dev);
                    return match self.pv_guest() {
                        // It may access what it has mapped (XSA-120).
                        Some(_) => config.stop_sending(),
                        None => config.quiesce(),
                    };
                }
                Flr::Nothing | Flr::Reset => (),
            }
            let result = self.reset(&dev, false);
            // If this request only finds registers changed, the function is not distrusted: its
            // siblings may be with the same guest already.
            if wanted == Flr::Reset && result == Ok(Outcome::Postponed) {
                self.inner.lock().life.distrust();
            }
            if !is_seized {
                // Leave the function stopped. A dom0 driver enables it.
                let _ = ConfigSpace::of(&dev).quiesce();
            }
            self.inner.lock().life.touch();
            result
        };
        self.look_after();
        match result? {
            Outcome::Unresettable => Err(ENOTTY),
            Outcome::Postponed => Err(EBUSY),
            Outcome::Reset | Outcome::Failed => Ok(()),
        }
    }
}
