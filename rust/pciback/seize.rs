// SPDX-License-Identifier: GPL-2.0

//! How the driver takes a function, and gives it up.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use xen::pci::{
    Command,
    ConfigSpace,
    Locked,
    Saved, //
};

use crate::{
    function::{
        AsFound,
        Function, //
    },
    life::Outcome, //
};

impl Function {
    /// Prepares the function for guests: enables it, saves its configuration, and resets it. After
    /// an error it is as the driver found it, but stopped if a reset failed. Logs errors. Sleeps
    /// for as long as the reset takes.
    pub(crate) fn seize(self: &Arc<Self>, dev: &Locked) -> Result {
        let failed =
            |step| move |e: &Error| dev_err!(dev, "not seized: {} failed: {:?}\n", step, e);

        let mut command = Command::keep(dev).inspect_err(failed("reading it"))?;
        // A dom0 driver enables bus mastering when it is ready for DMA. Until then, DMA of the last
        // owner must not go on.
        command.forbid_dma();
        let config = ConfigSpace::of(dev);
        if !config
            .has_its_bars()
            .inspect_err(failed("reading its BARs"))?
        {
            dev_err!(
                dev,
                "not seized: its BARs were lost by a reset; remove it (echo 1 >remove) and rescan\n"
            );
            return Err(EIO);
        }
        let mut found = AsFound {
            enabled: dev.enable().inspect_err(failed("enabling it"))?,
            command,
        };
        dev.clear_master();
        let result = match Saved::new(dev).inspect_err(failed("saving its configuration")) {
            Ok(saved) => {
                self.saved.populate(saved);
                let result = self
                    .reset_in_callback(dev, true)
                    .inspect_err(failed("resetting it"));
                if result.is_err() {
                    found.leave_stopped(dev);
                }
                result.map(|_| ())
            }
            Err(e) => Err(e),
        };
        match result {
            Ok(()) => self.inner.lock().seized = Some(found),
            Err(_) => found.restore(dev),
        }
        result
    }

    /// Gives the function up: the driver is being unbound. Resets the function unless it is clean,
    /// and restores the state in which the driver found it.
    pub(crate) fn give_up(self: &Arc<Self>, dev: &Locked) {
        // The reset of a function that does not answer would wait a minute for it.
        let is_present = ConfigSpace::of(dev).is_present();
        if is_present {
            // If this fails, the function is reset.
            let _ = self.rouse(dev);
        }
        let (guest, needs_reset, found) = {
            let mut inner = self.inner.lock();
            let life = &inner.life;
            (life.guest(), life.needs_reset(), inner.seized.take())
        };
        let Some(mut found) = found else { return };
        let is_assigned = guest.is_none() && self.vpci.is_assigned();
        let is_fit = is_present
            && !is_assigned
            && (!needs_reset && self.is_as_saved()
                || self
                    .reset_in_callback(dev, false)
                    .is_ok_and(|outcome| outcome != Outcome::Postponed));
        if let Some(domain) = guest {
            dev_warn!(
                dev,
                "unbound while assigned to domain {}; run xl pci-detach or xl destroy\n",
                domain
            );
            found.command.leave_stopped();
        } else if !is_fit {
            found.leave_stopped(dev);
        }
        found.restore(dev);
        if is_assigned {
            // Who unplugs it has to wait for its guest.
            self.queue();
        } else if guest.is_none() {
            self.warn_of_mappings(None);
            dev.clear_assigned();
            self.registry.remove(self.sbdf, self);
        }
        self.queue_others();
    }
}
