// SPDX-License-Identifier: GPL-2.0

//! A PCI function: its properties, and the resources held for it while xen-pciback has it.

use kernel::{
    new_mutex,
    new_spinlock,
    pci::{
        Device,
        Vendor, //
    },
    prelude::*,
    sync::{
        Arc,
        Mutex,
        SpinLock, //
    }, //
};

use xen::{
    gsi::{
        self,
        NoRoute,
        Route, //
    },
    linux::module,
    pci::{
        reset::ReplacedMethods,
        Awake,
        ConfigFile,
        ConfigSpace,
        DeviceExt,
        FirmwareRegisters,
        Locked,
        MsixTable,
        Sbdf, //
    },
    vpci, //
};

use crate::{
    graphics::Guard,
    info::{
        Holder,
        Info,
        Msix, //
    },
    lines::Lines,
    trace,
    HOLD,
    RESET,
    UNMASK, //
};

/// A PCI function.
#[pin_data]
pub(crate) struct Function {
    sbdf: Sbdf,
    /// The properties. A spinlock, as look-ups must not sleep.
    #[pin]
    info: SpinLock<Info>,
    /// Locked inside the device lock, and outside the lock of `info`.
    #[pin]
    resources: Mutex<Resources>,
    /// What guests get of an Intel GPU. Locked inside the lock of `resources`, which may be held
    /// for as long as a reset takes.
    #[pin]
    guard: Mutex<Option<Guard>>,
}

/// The resources that are released when xen-pciback does not have the function any more.
struct Resources {
    /// Keeps the Linux irq of the INTx line, so that look-ups can report it.
    line: Option<gsi::Mapping>,
    hold: Option<Hold>,
    /// Those of an Intel GPU before it was reset.
    firmware: Option<FirmwareRegisters>,
    /// Whether what guests must not see is hidden, or that was tried.
    is_hidden: bool,
    config_file: Option<ConfigFile>,
    forbidden_reset: Option<ReplacedMethods>,
}

/// A hold on the function's MSI-X table. It pins the module: a release masks an interrupt that a
/// guest may use, and cannot be repaired while Xen quarantines the function.
struct Hold {
    hold: vpci::Hold,
    _pin: module::Pinned,
}

impl Function {
    /// Creates the record of a function that was just added. May sleep.
    pub(crate) fn new(dev: &Device, sbdf: Sbdf) -> Result<Arc<Self>> {
        let info = Info {
            pin: dev.pin(),
            route: Route::of(dev),
            // A suspended function may not answer. `seize` reads the table again.
            table: ConfigSpace::of(dev).msix_table().unwrap_or(None),
            holder: Holder::Nobody,
            irq: None,
            may_use_line: false,
            msix: Msix::Free,
            opregion: FirmwareRegisters::of(dev)
                .ok()
                .flatten()
                .map(|firmware| firmware.opregion()),
        };
        Arc::pin_init(
            pin_init!(Self {
                sbdf,
                info <- new_spinlock!(info),
                resources <- new_mutex!(Resources {
                    line: None,
                    hold: None,
                    firmware: None,
                    is_hidden: false,
                    config_file: None,
                    forbidden_reset: None,
                }),
                guard <- new_mutex!(None),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the address.
    pub(crate) fn sbdf(&self) -> Sbdf {
        self.sbdf
    }

    /// Returns the properties. Does not sleep.
    pub(crate) fn info(&self) -> Info {
        *self.info.lock()
    }

    fn update(&self, change: impl FnOnce(&mut Info)) {
        change(&mut self.info.lock());
    }

    /// Asks for the route again if there was none: ACPI does not distinguish an unrouted pin from a
    /// lack of memory. May sleep.
    pub(crate) fn find_route(&self, dev: &Device) {
        if self.info().route == Err(NoRoute::Unrouted) {
            let route = Route::of(dev);
            self.update(|info| info.route = route);
        }
    }

    /// Records that a dom0 driver is being bound, or was bound.
    ///
    /// It may use the INTx line at any time. The port driver does not once it has MSI: it requests
    /// its interrupts in its probe.
    pub(crate) fn driven(&self, dev: &Locked) {
        let irq = dev.intx_irq();
        let may_use_line = dev.is_plain() || !dev.is_msi_enabled();
        self.update(|info| {
            info.holder = Holder::Driver;
            info.irq = irq;
            info.may_use_line = may_use_line;
        });
    }

    /// Called before xen-pciback's probe: unmasks the GSI of the function natively.
    ///
    /// The stock driver's probe issues `PHYSDEVOP_setup_gsi`. If dom0 has never unmasked the GSI by
    /// then, Xen does not deliver that interrupt to dom0 until the host reboots.
    ///
    /// When xen-pciback registers, the driver core calls this for every function without a driver.
    /// For functions that xen-pciback then refuses, it leaves nothing behind, and logs nothing but
    /// Xen's own refusal.
    pub(crate) fn before_probe(&self, dev: &Locked, lines: &Lines) -> Result {
        let _awake = Awake::new(dev);
        let mut resources = self.resources.lock();
        resources.remember_firmware(dev);
        if !dev.driver_hears_resets() {
            resources.forbid_reset(dev);
            // Xen 4.20 refuses a hot-plugged function with MSI-X, since its BARs are not set when
            // Linux adds it. This check makes Xen try again. The stock driver does not check, and
            // crashes Xen by an operation on a refused function.
            if let Err(e) = is_known(dev) {
                dev_err!(
                    dev,
                    "Xen refused this function ({:?}, see xl dmesg): do not bind it to xen-pciback\n",
                    e
                );
            }
        }
        let (true, Ok(route)) = (UNMASK.get(), self.info().route) else {
            return Ok(());
        };
        let line = route.map()?;
        let result = lines.unmask(dev, &line);
        trace::unmask(self.sbdf, line.gsi(), line.irq(), result);
        result?;
        self.keep_line(&mut resources, line);
        Ok(())
    }

    fn keep_line(&self, resources: &mut Resources, line: gsi::Mapping) {
        let irq = line.irq();
        resources.line = Some(line);
        self.update(|info| info.irq = Some(irq));
    }

    /// Records that xen-pciback was bound.
    pub(crate) fn taken(&self) {
        self.update(|info| info.holder = Holder::Pciback);
    }

    /// Called after xen-pciback's probe: resets the function in place of the stock driver, holds
    /// its MSI-X table, and hides what guests must not see. May sleep.
    ///
    /// Also called for functions that were bound before this module was loaded, and twice for some
    /// functions. A guest may have the function, so this must not disturb it.
    pub(crate) fn seize(&self, dev: &Locked) -> Result {
        trace::seize(self.sbdf);
        let mut resources = self.resources.lock();
        resources.remember_firmware(dev);
        if let Some(firmware) = &resources.firmware {
            let opregion = firmware.opregion();
            self.update(|info| info.opregion = Some(opregion));
        }
        self.reset(&mut resources, dev);
        let prepared = self.prepare(&mut resources, dev);
        self.hide(&mut resources, dev, prepared == Ok(true));
        prepared.map(|_| ())
    }

    /// Finds the irq, and holds the MSI-X table. Returns whether the hold is new: one may be kept
    /// from the last release.
    fn prepare(&self, resources: &mut Resources, dev: &Locked) -> Result<bool> {
        let info = self.info();
        if let (None, Ok(route)) = (info.irq, info.route) {
            self.keep_line(resources, route.map()?);
        }
        // Read the table again: the function may have been suspended when it was added.
        let table = ConfigSpace::of(dev).msix_table()?;
        self.update(|info| info.table = table);
        let Some(table) = table.filter(|_| HOLD.get()) else {
            return Ok(false);
        };
        let mut is_new = false;
        if resources.hold.is_none() {
            match self.hold(dev, table) {
                Ok(hold) => {
                    resources.hold = Some(hold);
                    is_new = true;
                }
                Err(e) => log_refusal(dev, e),
            }
        }
        let msix = match resources.hold {
            Some(_) => Msix::Held,
            None => Msix::Refused,
        };
        self.update(|info| info.msix = msix);
        Ok(is_new)
    }

    /// Hides from device models what guests must not see, once: a device model has the file open
    /// while a guest has the function. With a new hold, no guest has it.
    fn hide(&self, resources: &mut Resources, dev: &Locked, is_new_hold: bool) {
        if resources.is_hidden && !is_new_hold {
            return;
        }
        resources.is_hidden = true;
        let mut guard = self.guard.lock();
        if guard.is_none() {
            *guard = Guard::new(dev, resources.firmware.as_ref());
        }
        resources.config_file = None;
        let file = resources.config_file(dev, guard.as_ref());
        if let Some(guard) = &mut *guard {
            guard.show(dev, file.is_ok());
        }
        match file {
            Ok(file) => resources.config_file = file,
            Err(e) => dev_warn!(
                dev,
                "guests see registers that they must not use ({:?}): run xl pci-assignable-remove, then pci-assignable-add\n",
                e
            ),
        }
    }

    /// Does the reset that the stock driver was kept from, if any.
    fn reset(&self, resources: &mut Resources, dev: &Locked) {
        if resources.forbidden_reset.take().is_none() {
            return;
        }
        let result = dev.reset();
        trace::reset(self.sbdf, result);
        match result {
            Ok(()) => {
                if let Some(firmware) = &resources.firmware {
                    firmware.restore(dev);
                }
            }
            Err(e) if e == ENOTTY => {
                dev_warn!(dev, "no reset method: state leaks to the next owner\n")
            }
            Err(e) => dev_err!(
                dev,
                "reset failed ({:?}): do not give it to a guest, unplug it or reboot\n",
                e
            ),
        }
    }

    fn hold(&self, dev: &Locked, table: MsixTable) -> Result<Hold> {
        let result = is_known(dev).and_then(|function| {
            Ok(Hold {
                _pin: module::Pinned::new()?,
                hold: vpci::Hold::new(dev, function, table)?,
            })
        });
        let (pirq, status) = match &result {
            Ok(hold) => (hold.hold.pirq(), Ok(())),
            Err(e) => (None, Err(*e)),
        };
        trace::hold(self.sbdf, table.entries, pirq, status);
        if result.is_ok() {
            dev_info!(
                dev,
                "MSI-X table of {} entries held for guests\n",
                table.entries
            );
        }
        result
    }

    /// Called when the toolstack assigns the function to `owner`, and when something else of
    /// `owner` changes. `target` is the guest of which `owner` is the stub domain. May sleep.
    pub(crate) fn assigned(&self, owner: u16, target: Option<u16>) {
        if let Some(guard) = &mut *self.guard.lock() {
            guard.assigned(self.sbdf, owner, target);
        }
    }

    /// Calls `read` with the guard, if there is one. May sleep.
    pub(crate) fn with_guard<R>(&self, read: impl FnOnce(Option<&Guard>) -> R) -> R {
        read(self.guard.lock().as_ref())
    }

    /// Called when `owner` does not have the function any more, and with `is_free` no other guest.
    /// May sleep.
    pub(crate) fn unassigned(&self, owner: u16, is_free: bool) {
        if let Some(guard) = &mut *self.guard.lock() {
            guard.unassigned(owner);
            if is_free {
                guard.returned(self.sbdf);
            }
        }
    }

    /// Called before xen-pciback's remove.
    pub(crate) fn before_remove(&self, dev: &Locked) {
        if !dev.driver_hears_resets() {
            self.resources.lock().forbid_reset(dev);
        }
    }

    /// Called after a driver was unbound, or after its probe failed. Releases the resources of the
    /// function. May sleep.
    pub(crate) fn released(&self, dev: &Locked) -> Result {
        let _awake = Awake::new(dev);
        let mut resources = self.resources.lock();
        if self.info().holder == Holder::Pciback {
            self.reset(&mut resources, dev);
        }
        resources.forbidden_reset = None;
        self.update(|info| {
            info.holder = Holder::Nobody;
            info.irq = None;
            info.may_use_line = false;
        });
        resources.line = None;
        if !self.release_owned(&mut resources, dev)? {
            dev_warn!(
                dev,
                "unbound from xen-pciback while Xen has it assigned or quarantined: stays held for guests; run xl pci-assignable-add, then pci-assignable-remove\n"
            );
        }
        Ok(())
    }

    /// Releases a hold that had to stay before, if Xen has given the function to dom0 since.
    pub(crate) fn let_go(&self, dev: &Locked) -> Result {
        self.release_owned(&mut self.resources.lock(), dev)
            .map(|_| ())
    }

    /// Releases hold and guard if dom0 owns the function. Returns false if one must stay.
    fn release_owned(&self, resources: &mut Resources, dev: &Locked) -> Result<bool> {
        let mut guard = self.guard.lock();
        if guard.as_ref().is_some_and(Guard::is_in_use) {
            return Ok(false);
        }
        if let Some(hold) = &mut resources.hold {
            if !vpci::owned_by_dom0(dev, hold.hold.table())? {
                return Ok(false);
            }
            // If Xen does not release the hold, keep it and try again later.
            self.log_release(hold.hold.give_back(dev))?;
        }
        if let Some(guard) = guard.take() {
            guard.returned(self.sbdf);
        }
        resources.hold = None;
        resources.firmware = None;
        resources.config_file = None;
        resources.is_hidden = false;
        self.update(|info| info.msix = Msix::Free);
        Ok(true)
    }

    /// Releases all resources of a function that is being removed. No guest can get the function
    /// any more.
    pub(crate) fn unplugged(&self) {
        let mut resources = self.resources.lock();
        resources.line = None;
        *self.guard.lock() = None;
        resources.config_file = None;
        if let Some(mut hold) = resources.hold.take() {
            // `log_release()` logs the error. The hold ends with the function.
            let _ = self.log_release(hold.hold.release());
        }
    }

    fn log_release(&self, result: Result) -> Result {
        trace::release(self.sbdf, result);
        match result {
            Ok(()) => pr_info!("{}: MSI-X table released\n", self.sbdf),
            Err(e) => pr_warn!(
                "{}: Xen did not release the MSI-X table: {:?}\n",
                self.sbdf,
                e
            ),
        }
        result
    }
}

impl Resources {
    /// Reads what firmware has set, unless that was kept from the last release.
    fn remember_firmware(&mut self, dev: &Locked) {
        if self.firmware.is_none() {
            // One that does not answer is not open to guests.
            self.firmware = FirmwareRegisters::of(dev).unwrap_or(None);
        }
    }

    /// Makes the file `config` without what is to be hidden. `None` if nothing is.
    fn config_file(&self, dev: &Locked, guard: Option<&Guard>) -> Result<Option<ConfigFile>> {
        let mut hidden = KVec::new();
        if let Some(hold) = self.hold.as_ref().filter(|_| !needs_all_entries(dev)) {
            if let Some(hiding) = hold.hold.hiding()? {
                hidden.push(hiding, GFP_KERNEL)?;
            }
        }
        if let Some(guard) = guard {
            for hiding in &guard.hidden {
                hidden.push(*hiding, GFP_KERNEL)?;
            }
        }
        if hidden.is_empty() {
            return Ok(None);
        }
        let observer = guard.and_then(Guard::observer);
        ConfigFile::new(&dev.in_tree().ok_or(ENODEV)?, hidden, observer).map(Some)
    }

    /// Keeps the stock driver's probe or remove from resetting the function.
    ///
    /// The stock driver tells Xen of its reset while the BARs are still zero. For a function with
    /// MSI-X, Xen then finds dom0's memory at the address of the table (`EEXIST`). The probe fails,
    /// or, after a remove, dom0 cannot use the function's MSI-X. Without a reset method, the driver
    /// does not reset the function, and tells Xen while the BARs are valid.
    fn forbid_reset(&mut self, dev: &Locked) {
        if RESET.get() {
            self.forbidden_reset
                .get_or_insert_with(|| dev.forbid_reset());
        }
    }
}

/// Asks Xen whether it accepted the function. `dev` must have a driver (`ENODEV`).
fn is_known(dev: &Locked) -> Result<vpci::Function> {
    let function = vpci::Function::of(&dev.in_tree().ok_or(ENODEV)?)?;
    function.is_known()?;
    Ok(function)
}

fn log_refusal(dev: &Device, e: Error) {
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

/// Returns whether a guest's driver takes all entries of the function's MSI-X table or none, and
/// can do without interrupts of the last one: igbvf has three vectors for a VF, the last for
/// messages of the PF.
fn needs_all_entries(dev: &Device) -> bool {
    /// VFs of 82576 and I350.
    const OF_IGBVF: [u16; 2] = [0x10ca, 0x1520];
    dev.vendor_id() == Vendor::INTEL && OF_IGBVF.contains(&dev.device_id())
}
