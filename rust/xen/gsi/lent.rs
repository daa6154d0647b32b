// SPDX-License-Identifier: GPL-2.0

//! GSIs that are lent to guests.
//!
//! After a level-triggered interrupt, Xen delivers none until all domains that its GSI is bound to
//! have ended that one, or 1 ms has passed. It binds a GSI to a PVH dom0 when dom0 unmasks it for
//! the first time, and keeps it bound when dom0 masks it. A dom0 that does not use the line ends no
//! interrupt, so that a guest gets at most 1,000 of them in a second.

use kernel::prelude::*;

use crate::{
    bindings,
    gsi::{
        irq,
        Mapping, //
    },
    hypercall::domctl, //
};

/// A GSI that is unbound from dom0 in Xen. Dropping this value binds it again. May sleep.
pub struct Lent {
    line: Mapping,
    /// The name of the handler that unmasks the line for a moment.
    name: &'static CStr,
    is_back: bool,
}

impl Lent {
    /// Unbinds the GSI of `line`, which dom0 must have unmasked before: Xen gives its interrupts to
    /// guests only. May sleep.
    ///
    /// The caller has to give it back before a driver of dom0 requests the irq.
    ///
    /// Errors: `EBUSY` if the irq has a handler in dom0; `EACCES` if Xen's version of the interface
    /// is unknown; `EPERM` if Xen has not mapped the GSI to dom0.
    pub fn new(line: Mapping, name: &'static CStr) -> Result<Self> {
        // SAFETY: The function accepts any number.
        if unsafe { bindings::irq_has_action(line.irq()) } {
            return Err(EBUSY);
        }
        domctl::bind_to_dom0(line.gsi(), false)?;
        Ok(Self {
            line,
            name,
            is_back: false,
        })
    }

    /// Binds the GSI to dom0 again. May sleep.
    ///
    /// After an error the GSI stays lent. Errors: those of `request_irq()` without `EBUSY`; `EBUSY`
    /// if a PV guest does not share the interrupt, or too many guests do (Xen's `irq-max-guests`);
    /// `EPERM` if Xen has not mapped the GSI to dom0; `ENOMEM`.
    pub fn give_back(&mut self) -> Result {
        if self.is_back {
            return Ok(());
        }
        // Xen reads the trigger mode from dom0's pin. Its debug build asserts that it is unmasked.
        let _unmasked = irq::unmask(self.line.irq(), self.name)?;
        domctl::bind_to_dom0(self.line.gsi(), true)?;
        self.is_back = true;
        Ok(())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Err(e) = self.give_back() {
            pr_err!(
                "GSI {}: Xen does not bind it to dom0 ({:?}): no INTx on it in dom0 until xen-pcidev is loaded and a function on it was made assignable and returned\n",
                self.line.gsi(),
                e
            );
        }
    }
}
