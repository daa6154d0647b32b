// SPDX-License-Identifier: GPL-2.0

//! What is done for a function that is handed to guests, and undone after.

use kernel::{
    pci::Device,
    prelude::*,
    rbtree::RBTree, //
};

use xen::{
    gsi::{
        self,
        NoRoute,
        Route, //
    },
    irq,
    module,
    msix,
    pci::{
        DeviceExt,
        Locked,
        MsixTable, //
    },
    physdev,
    pm::Awake,
    reset::ResetForbidden,
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
    RESET,
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
    unreset: Option<ResetForbidden>,
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

    /// Whether a function is there.
    pub(crate) fn has(&self, sbdf: Sbdf) -> bool {
        self.functions.get(&sbdf).is_some()
    }

    /// Adds a function.
    pub(crate) fn add(&mut self, dev: &Device, sbdf: Sbdf) -> Result {
        let function = Function {
            _files: files::DIRECTORY.add(dev)?,
            line: None,
            held: None,
            unreset: None,
        };
        self.functions
            .try_create_and_insert(sbdf, function, GFP_KERNEL)?;
        Ok(())
    }

    /// Gives everything back for a function that goes away. No guest can have it after.
    pub(crate) fn remove(&mut self, sbdf: Sbdf) {
        if let Some(mut held) = self.functions.remove(&sbdf).and_then(|f| f.held) {
            // It has said what there is to say; what cannot be undone goes with the function.
            let _ = held.release(sbdf);
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
    pub(crate) fn before_seizure(&self, dev: &Locked, sbdf: Sbdf) -> Result {
        let _awake = Awake::new(dev);
        if dev.driver_hears_resets() {
            // The other xen-pciback: it is done with a function when it has it, and it asks Xen.
            self.set_pciback_coming(false);
        } else {
            self.forbid_reset(dev, sbdf);
            // Xen refuses a function with MSI-X that is plugged in, as its BARs are not set yet
            // when Linux adds it. The question makes Xen look again. The stock driver does not ask,
            // and brings Xen down with its first word about a function that was refused.
            if let Err(e) = physdev::has_function(dev) {
                dev_err!(
                    dev,
                    "Xen refused this function ({:?}, see xl dmesg): xen-pciback must not take it\n",
                    e
                );
            }
        }
        let (true, Ok(route)) = (UNMASK.get(), self.route(dev, sbdf)?) else {
            return Ok(());
        };
        let line = route.map()?;
        let result = self.functions.lock().unmask(dev, &line);
        trace::unmask(sbdf, line.gsi(), line.irq(), result);
        result?;
        self.keep_line(sbdf, line);
        Ok(())
    }

    /// The function's route. ACPI does not tell "none" from "no memory to look": it is asked again.
    fn route(&self, dev: &Locked, sbdf: Sbdf) -> Result<Result<Route, NoRoute>> {
        let known = self.facts(sbdf)?.route;
        if known != Err(NoRoute::Unrouted) {
            return Ok(known);
        }
        let route = Route::of(dev);
        self.update(sbdf, |facts| facts.route = route);
        Ok(route)
    }

    /// Keeps the driver's probe or remove from resetting the function.
    ///
    /// The stock driver tells Xen of its reset while the BARs are still zero. If an MSI-X table is
    /// behind one, Xen finds dom0's memory in its place (`EEXIST`): the probe fails, and after a
    /// remove dom0 cannot use the function's MSI-X. Without a method it resets nothing, and tells
    /// Xen of BARs that are right.
    fn forbid_reset(&self, dev: &Locked, sbdf: Sbdf) {
        if RESET.get() {
            if let Some(function) = self.functions.lock().functions.get_mut(&sbdf) {
                function.unreset.get_or_insert_with(|| dev.forbid_reset());
            }
        }
    }

    /// Allows resets again; whether they were forbidden.
    fn allow_reset(&self, sbdf: Sbdf) -> bool {
        match self.functions.lock().functions.get_mut(&sbdf) {
            Some(function) => function.unreset.take().is_some(),
            None => false,
        }
    }

    /// Does the reset that the driver was kept from.
    fn reset_now(&self, dev: &Locked, sbdf: Sbdf) {
        if self.allow_reset(sbdf) {
            let result = dev.reset();
            trace::reset(sbdf, result);
            match result {
                Ok(()) => (),
                Err(e) if e == ENOTTY => dev_warn!(
                    dev,
                    "cannot be reset: what one owner leaves in it, the next one finds\n"
                ),
                Err(e) => dev_err!(
                    dev,
                    "reset failed ({:?}): do not give it to a guest, unplug it or reboot\n",
                    e
                ),
            }
        }
    }

    /// Keeps the line's irq for as long as the function is seized, so that it can be told.
    fn keep_line(&self, sbdf: Sbdf, line: gsi::Mapping) {
        let irq = line.irq();
        let old = match self.functions.lock().functions.get_mut(&sbdf) {
            Some(function) => function.line.replace(line),
            None => return,
        };
        drop(old);
        self.update(sbdf, |facts| facts.irq = Some(irq));
    }

    /// After the driver's probe: holds the function's MSI-X table.
    ///
    /// Called for functions that were seized before this module was loaded, too. A guest may have
    /// one: nothing is done that could disturb it.
    pub(crate) fn seized(&self, dev: &Locked, sbdf: Sbdf) -> Result {
        self.update(sbdf, |facts| facts.holder = Holder::Pciback);
        if self.pciback_is_coming() {
            // The driver is not done with it; this is called again when it is.
            return Ok(());
        }
        trace::seize(sbdf);
        self.reset_now(dev, sbdf);
        let facts = self.facts(sbdf)?;
        if let (None, Ok(route)) = (facts.irq, facts.route) {
            self.keep_line(sbdf, route.map()?);
        }
        // Read again: when it was added, the function may have been in a deep sleep.
        let table = dev.msix_table()?;
        self.update(sbdf, |facts| facts.table = table);
        let Some(table) = table.filter(|_| HOLD.get()) else {
            return Ok(());
        };
        let mut functions = self.functions.lock();
        let function = functions.functions.get_mut(&sbdf).ok_or(ENODEV)?;
        // One that had to stay when the function was last released is as good.
        if function.held.is_none() {
            match Held::new(dev, sbdf, table) {
                Ok(held) => function.held = Some(held),
                Err(e) => refused(dev, e),
            }
        }
        let msix = match function.held {
            Some(_) => Msix::Held,
            None => Msix::Refused,
        };
        drop(functions);
        self.update(sbdf, |facts| facts.msix = msix);
        Ok(())
    }

    /// Before the driver's remove.
    pub(crate) fn before_release(&self, dev: &Locked, sbdf: Sbdf) -> Result {
        if !dev.driver_hears_resets() {
            self.forbid_reset(dev, sbdf);
        }
        Ok(())
    }

    /// After the driver has left, or has refused the function.
    pub(crate) fn released(&self, dev: &Locked, sbdf: Sbdf) -> Result {
        let _awake = Awake::new(dev);
        if self.facts(sbdf)?.holder == Holder::Pciback {
            self.reset_now(dev, sbdf);
        } else {
            self.allow_reset(sbdf);
        }
        self.update(sbdf, |facts| {
            facts.holder = Holder::Nobody;
            facts.irq = None;
        });
        let line = match self.functions.lock().functions.get_mut(&sbdf) {
            Some(function) => function.line.take(),
            None => None,
        };
        drop(line);
        if !self.let_go(dev, sbdf)? {
            dev_warn!(
                dev,
                "taken from xen-pciback while Xen still has it for a guest or in quarantine: its MSI-X table stays held; xl pci-assignable-add, then pci-assignable-remove gives it back\n"
            );
        }
        Ok(())
    }

    /// Undoes the hold if Xen gives the function to dom0; false if there is a hold that must stay.
    pub(crate) fn let_go(&self, dev: &Locked, sbdf: Sbdf) -> Result<bool> {
        let mut functions = self.functions.lock();
        let Some(function) = functions.functions.get_mut(&sbdf) else {
            return Ok(true);
        };
        if let Some(held) = &mut function.held {
            if !msix::owned_by_dom0(dev, held.table)? {
                return Ok(false);
            }
            // What is still held can be given back the next time.
            held.give_back(dev, sbdf)?;
        }
        let gone = function.held.take();
        drop(functions);
        drop(gone);
        self.update(sbdf, |facts| facts.msix = Msix::Free);
        Ok(true)
    }
}

impl Held {
    fn new(dev: &Locked, sbdf: Sbdf, table: MsixTable) -> Result<Self> {
        let result = physdev::has_function(dev).and_then(|()| {
            Ok(Self {
                _pin: module::Pinned::new()?,
                hold: msix::Hold::new(dev, table)?,
                table,
            })
        });
        let (pirq, errno) = match &result {
            Ok(held) => (held.hold.pirq(), Ok(())),
            Err(e) => (None, Err(*e)),
        };
        trace::hold(sbdf, table.entries, pirq, errno);
        if let Ok(held) = &result {
            if let Err(e) = held.hold.last_entry() {
                dev_warn!(
                    dev,
                    "guests cannot use its last MSI-X entry: Xen did not bind it ({:?}); is this Xen newer than xen-pcidev?\n",
                    e
                );
            }
            dev_info!(
                dev,
                "MSI-X table of {} entries held for guests\n",
                table.entries
            );
        }
        result
    }

    fn give_back(&mut self, dev: &Locked, sbdf: Sbdf) -> Result {
        let result = self.hold.give_back(dev, self.table);
        tell_release(sbdf, result)
    }

    fn release(&mut self, sbdf: Sbdf) -> Result {
        let result = self.hold.release();
        tell_release(sbdf, result)
    }
}

fn tell_release(sbdf: Sbdf, result: Result) -> Result {
    trace::release(sbdf, result);
    match result {
        Ok(()) => pr_info!("{sbdf}: MSI-X table released\n"),
        Err(e) => pr_warn!("{sbdf}: Xen did not release the MSI-X table: {e:?}\n"),
    }
    result
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
