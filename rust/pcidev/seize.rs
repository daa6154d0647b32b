// SPDX-License-Identifier: GPL-2.0

//! What is done for a function that is handed to guests, and undone after.

use kernel::{
    pci::Device,
    prelude::*,
    rbtree::RBTree, //
};

use xen::{
    gsi,
    irq,
    module,
    msix,
    pci::{
        DeviceExt,
        MsixTable, //
    },
    physdev,
    sysfs,
    trace,
    Sbdf, //
};

use crate::{
    files,
    state::State,
    table::{
        Holder,
        Msix, //
    },
    HOLD,
    UNMASK, //
};

/// An MSI-X table that is held. It pins the module: undoing it masks an interrupt that a guest may
/// be using, and cannot be made good while Xen quarantines the function.
struct Held {
    hold: msix::Hold,
    table: MsixTable,
    _pin: module::Pinned,
}

/// What has to be given back for one function.
struct Function {
    _files: sysfs::Added,
    line: Option<gsi::Mapping>,
    held: Option<Held>,
}

/// What has to be given back.
pub(crate) struct Functions {
    functions: RBTree<Sbdf, Function>,
    /// The GSIs that were unmasked; once is enough for as long as dom0 runs.
    unmasked: KVec<u32>,
}

impl Functions {
    /// Nothing to give back.
    pub(crate) fn new() -> Self {
        Self {
            functions: RBTree::new(),
            unmasked: KVec::new(),
        }
    }

    /// Adds a function; false if it is there already.
    pub(crate) fn add(&mut self, dev: &Device, sbdf: Sbdf) -> Result<bool> {
        if self.functions.get(&sbdf).is_some() {
            return Ok(false);
        }
        let function = Function {
            _files: files::DIRECTORY.add(dev)?,
            line: None,
            held: None,
        };
        self.functions
            .try_create_and_insert(sbdf, function, GFP_KERNEL)?;
        Ok(true)
    }

    /// Gives everything back for a function that goes away. No guest can have it after.
    pub(crate) fn remove(&mut self, sbdf: Sbdf) {
        if let Some(held) = self.functions.remove(&sbdf).and_then(|f| f.held) {
            trace::release(sbdf, held.hold.release());
        }
    }

    fn unmask(&mut self, dev: &Device, line: &gsi::Mapping) -> Result {
        if self.unmasked.contains(&line.gsi()) {
            return Ok(());
        }
        self.unmasked.reserve(1, GFP_KERNEL)?;
        {
            // The function must not raise an interrupt that nobody takes.
            let _quiet = dev.mask_intx()?;
            match KBox::pin_init(
                irq::Registration::new(line.irq(), c"xen-pcidev", irq::NotMine),
                GFP_KERNEL,
            ) {
                // Masked again with the end of the request, unless others use the line.
                Ok(_request) => (),
                // A dom0 driver has the line for itself, and so has unmasked it.
                Err(e) if e == EBUSY => (),
                Err(e) => return Err(e),
            }
        }
        self.unmasked.push(line.gsi(), GFP_KERNEL)?;
        Ok(())
    }
}

impl State {
    /// Before the driver's probe: unmasks the function's GSI natively.
    ///
    /// Once `PHYSDEVOP_setup_gsi`, which the stock driver's probe issues, was seen for a GSI that
    /// dom0 never unmasked, Xen does not give dom0 that interrupt until reboot.
    ///
    /// Called for every function without a driver when a driver registers, so it says nothing and
    /// leaves nothing behind for those that the driver refuses.
    pub(crate) fn before_seizure(&self, dev: &Device) -> Result {
        let sbdf = dev.sbdf()?;
        if let (true, Ok(route)) = (UNMASK.get(), self.facts(sbdf)?.route) {
            let line = route.map()?;
            let mut functions = self.functions.lock();
            let result = functions.unmask(dev, &line);
            trace::unmask(sbdf, line.gsi(), line.irq(), result);
            result?;
            let irq = line.irq();
            if let Some(function) = functions.functions.get_mut(&sbdf) {
                function.line = Some(line);
            }
            drop(functions);
            self.update(sbdf, |facts| facts.irq = Some(irq));
        }
        Ok(())
    }

    /// After the driver's probe: holds the function's MSI-X table.
    pub(crate) fn seized(&self, dev: &Device) -> Result {
        let sbdf = dev.sbdf()?;
        trace::seize(sbdf);
        self.update(sbdf, |facts| facts.holder = Holder::Pciback);
        let facts = self.facts(sbdf)?;
        let Some(table) = facts.table.filter(|_| HOLD.get()) else {
            return Ok(());
        };
        let mut functions = self.functions.lock();
        let Some(function) = functions.functions.get_mut(&sbdf) else {
            return Err(ENODEV);
        };
        if function.held.is_none() {
            let result = hold(dev, table);
            let pirq = match result.as_ref().map(|held| held.hold.means()) {
                Ok(msix::Means::Mapped(pirq)) => pirq,
                _ => -1,
            };
            trace::hold(
                sbdf,
                table.entries,
                pirq,
                result.as_ref().map(|_| ()).map_err(|e| *e),
            );
            match result {
                Ok(held) => {
                    dev_info!(
                        dev,
                        "MSI-X table of {} entries held for guests\n",
                        table.entries
                    );
                    function.held = Some(held);
                }
                Err(e) => refused(dev, e),
            }
        }
        let msix = if function.held.is_some() {
            Msix::Held
        } else {
            Msix::Refused
        };
        drop(functions);
        self.update(sbdf, |facts| facts.msix = msix);
        Ok(())
    }

    /// Takes up a function that was seized before this module was loaded. A guest may have it:
    /// nothing is done that could disturb one.
    pub(crate) fn adopt_seized(&self, dev: &Device) -> Result {
        let sbdf = dev.sbdf()?;
        if let Ok(route) = self.facts(sbdf)?.route {
            let line = route.map()?;
            let irq = line.irq();
            if let Some(function) = self.functions.lock().functions.get_mut(&sbdf) {
                function.line = Some(line);
            }
            self.update(sbdf, |facts| facts.irq = Some(irq));
        }
        self.seized(dev)
    }

    /// After the driver has left, or has refused the function.
    pub(crate) fn released(&self, dev: &Device) -> Result {
        let sbdf = dev.sbdf()?;
        self.update(sbdf, |facts| {
            facts.holder = Holder::Nobody;
            facts.irq = None;
        });
        let line = match self.functions.lock().functions.get_mut(&sbdf) {
            Some(function) => function.line.take(),
            None => None,
        };
        drop(line);
        if !self.let_go(dev)? {
            dev_warn!(
                dev,
                "taken from xen-pciback while Xen still has it for a guest or in quarantine: its MSI-X table stays held; xl pci-assignable-add, then pci-assignable-remove gives it back\n"
            );
        }
        Ok(())
    }

    /// Undoes the hold if Xen gives the function to dom0; false if there is a hold that must stay.
    pub(crate) fn let_go(&self, dev: &Device) -> Result<bool> {
        let sbdf = dev.sbdf()?;
        let mut functions = self.functions.lock();
        let Some(function) = functions.functions.get_mut(&sbdf) else {
            return Ok(true);
        };
        match &function.held {
            Some(held) if !msix::owned_by_dom0(dev, held.table)? => return Ok(false),
            _ => (),
        }
        if let Some(held) = function.held.take() {
            let result = held.hold.release();
            trace::release(sbdf, result);
            match result {
                Ok(()) => dev_info!(dev, "MSI-X table released\n"),
                Err(e) => dev_warn!(dev, "Xen did not release the MSI-X table: {:?}\n", e),
            }
        }
        drop(functions);
        self.update(sbdf, |facts| facts.msix = Msix::Free);
        Ok(true)
    }
}

fn hold(dev: &Device, table: MsixTable) -> Result<Held> {
    physdev::has_function(dev)?;
    Ok(Held {
        _pin: module::Pinned::new()?,
        hold: msix::Hold::new(dev, table)?,
        table,
    })
}

fn refused(dev: &Device, e: Error) {
    match e {
        ENODEV => dev_err!(
            dev,
            "guests cannot use its MSI-X: dom0 does not own it in Xen (quarantined, in use, or refused by Xen); xl pci-assignable-remove and -add it again with xen-pcidev loaded\n"
        ),
        ENXIO => dev_err!(
            dev,
            "guests cannot use its MSI-X: its memory decoding is off; unbind it and bind it to xen-pciback again\n"
        ),
        e => dev_err!(
            dev,
            "guests cannot use its MSI-X: Xen refused to map its table ({:?}); see xl dmesg\n",
            e
        ),
    }
}
