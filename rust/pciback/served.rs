// SPDX-License-Identifier: GPL-2.0

//! A function as a PV guest uses it: its configuration space and its message interrupts.

use core::mem;

use kernel::{
    pci::Device,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::Relaxed,
        Arc, //
    }, //
};

use xen::{
    pci::{
        ConfigSpace,
        DeviceExt,
        DeviceLock,
        MsixTable, //
    },
    vpci::guest, //
};

use crate::{
    function::Function,
    interrupts::{
        Actions,
        Interrupts,
        Kind,
        Message, //
    },
    layout::{
        Config,
        Traits,
        Virtual, //
    },
    life::Domain,
    operation::{
        Access,
        Answer,
        Operation,
        Refusal, //
    },
    space::Space,
    PERMISSIVE, //
};

/// What a PV guest uses of a function that it may have.
pub(crate) struct Slot {
    /// What the guest sees as its interrupt line: the pirq of its INTx, or 0.
    line: u8,
    served: Option<Served>,
    /// Whether Xen had assigned the function when it was asked.
    was_assigned: bool,
    /// Whether a failure was logged. A guest may cause any number.
    was_told: bool,
}

/// A function that a PV guest uses. Dropping it stops the function, and takes its interrupts from
/// the guest. Whoever does that holds the device lock.
struct Served {
    function: Arc<Function>,
    space: Space,
    interrupts: Interrupts<Hardware>,
    is_started: bool,
}

impl Slot {
    /// Called when the function is attached. A toolstack has mapped its line by then; later, it may
    /// have unmapped it, and not have said so. May sleep.
    pub(crate) fn new(function: &Function, domain: Domain, is_pv: bool) -> Self {
        let mut slot = Self {
            line: 0,
            served: None,
            was_assigned: false,
            was_told: false,
        };
        if let Some(gsi) = is_pv.then(|| function.gsi()).flatten() {
            match guest::line(domain, gsi).and_then(|line| Ok(line.try_into()?)) {
                Ok(line) => slot.line = line,
                Err(ENOENT) => (),
                Err(error) => slot.tell(function, domain, "find its interrupt line", error),
            }
        }
        slot
    }

    fn tell(&mut self, function: &Function, domain: Domain, what: &str, error: Error) {
        if !mem::replace(&mut self.was_told, true) {
            dev_warn!(
                function.dev,
                "cannot {} for domain {}: {:?}; later failures are not logged\n",
                what,
                domain,
                error
            );
        }
    }

    /// Stops the function, and takes its interrupts from the guest. May sleep.
    pub(crate) fn stop(&mut self) {
        if let Some(served) = self.served.take() {
            let dev = served.function.dev.clone();
            let _lock = DeviceLock::new(&dev);
            drop(served);
        }
    }

    /// Does an operation of the guest on its function, and calls `answer`. May sleep.
    ///
    /// A toolstack has a function reset, and takes it away in Xen, before it says so in XenStore.
    /// It waits for no operation. But it assigns the function of a stub domain, to this domain's
    /// guest, only after the stub domain had the time to look for it. Until then, the stub domain
    /// only looks.
    pub(crate) fn operate(
        &mut self,
        function: &Arc<Function>,
        domain: Domain,
        is_stub: bool,
        operation: Operation,
        answer: &dyn Fn(Answer<'_>),
    ) {
        // Nobody resets or unbinds it meanwhile.
        let _lock = DeviceLock::new(&function.dev);
        // Xen may log each question.
        let asks = is_stub && !self.was_assigned
            || self.served.is_none()
            || !matches!(operation, Operation::Read(_));
        let is_assigned = asks && function.vpci.ask_assigned() == Ok(true);
        self.was_assigned |= is_assigned;
        let is_early = is_stub && !self.was_assigned;
        let is_theirs = function.is_seized()
            && !function.is_leaving.load(Relaxed)
            && !function.has_failed()
            && (!asks || is_assigned || is_early);
        let looked = if is_theirs && self.served.is_none() {
            Served::new(function, domain, self.line).map(|served| self.served = Some(served))
        } else {
            Ok(())
        };
        let done = match &mut self.served {
            Some(served) if is_theirs && is_early => served.try_look(&operation, answer),
            Some(served) if is_theirs => served.try_operate(&operation, answer),
            Some(_) if operation == Operation::Disable => {
                self.served = None;
                return answer(Answer::Done);
            }
            _ if is_theirs => looked,
            _ => return answer(Answer::Refused(Refusal::NoFunction)),
        };
        if let Err(error) = done {
            answer(Answer::Refused(Refusal::Failed));
            // What the guest may not do is its own fault.
            if !matches!(error, EACCES | EBUSY) {
                self.tell(function, domain, what(&operation), error);
            }
        }
        if is_assigned && is_theirs && function.vpci.ask_assigned() != Ok(true) {
            // A function that does not answer does no DMA.
            let _ = ConfigSpace::of(&function.dev).stop_sending();
        }
    }
}

impl Served {
    /// Looks at the function for the guest. The caller holds the device lock.
    fn new(function: &Arc<Function>, domain: Domain, line: u8) -> Result<Self> {
        let dev = &function.dev;
        let hardware = Hardware::new(dev, domain)?;
        let mut lengths = [0; 7];
        for (bar, length) in (0..6).zip(&mut lengths) {
            if !dev.resource_is_fixed(bar) {
                *length = dev.resource_len(bar)?;
            }
        }
        let traits = Traits {
            lengths,
            virtual_function: dev.is_virtfn().then(|| virtual_function(dev)).transpose()?,
            line,
            is_permissive: PERMISSIVE.get() || function.permissive.load(Relaxed),
            controls_interrupts: function.interrupt_control.load(Relaxed),
        };
        let mut space = Space::new(&hardware.config, &traits)?;
        for quirk in function.quirks.lock().iter() {
            space.allow(quirk)?;
        }
        Ok(Self {
            function: function.clone(),
            space,
            interrupts: Interrupts::new(hardware),
            is_started: false,
        })
    }

    /// Does an operation without an effect on the function, which is not the guest's yet: its DMA
    /// would reach the memory of dom0.
    fn try_look(&mut self, operation: &Operation, answer: &dyn Fn(Answer<'_>)) -> Result {
        let config = &Unwritten(&self.interrupts.actions().config);
        match operation {
            Operation::Read(access) => answer(Answer::Value(self.space.read(config, *access)?)),
            Operation::Write(access, value) => {
                self.space.write(config, *access, *value)?;
                answer(Answer::Done);
            }
            _ => return Err(EACCES),
        }
        Ok(())
    }

    fn try_operate(&mut self, operation: &Operation, answer: &dyn Fn(Answer<'_>)) -> Result {
        let hardware = self.interrupts.actions();
        if !self.is_started {
            hardware.start()?;
            self.is_started = true;
        }
        let (config, has_table) = (&hardware.config, hardware.table.is_some());
        match operation {
            Operation::Read(access) => answer(Answer::Value(self.space.read(config, *access)?)),
            Operation::Write(access, value) => {
                self.space.write(config, *access, *value)?;
                answer(Answer::Done);
            }
            Operation::EnableMsi => {
                // Xen would forget the table, and with it the hold that dom0 has.
                if has_table {
                    return Err(EBUSY);
                }
                self.space.require_no_messages(config)?;
                answer(Answer::Value(self.interrupts.enable_msi()?.into()));
            }
            Operation::EnableMsix(entries) => {
                self.space.require_no_messages(config)?;
                let size = self.space.msix_entries();
                let pirqs = self.interrupts.enable_msix(entries, size)?;
                answer(Answer::Pirqs(entries, pirqs));
            }
            Operation::Disable => {
                self.interrupts.disable()?;
                answer(Answer::Done);
            }
        }
        Ok(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let hardware = self.interrupts.actions();
        // Another driver may have it by now.
        if self.function.is_seized() {
            // A function that does not answer sends nothing.
            let _ = hardware.config.stop_sending();
        }
        // What unmaps the interrupts would turn INTx on.
        hardware.is_ours = false;
    }
}

/// Returns what the operation does, for the log.
fn what(operation: &Operation) -> &'static str {
    match operation {
        Operation::Read(_) => "read a register",
        Operation::Write(..) => "write a register",
        Operation::EnableMsi => "enable MSI",
        Operation::EnableMsix(_) => "enable MSI-X",
        Operation::Disable => "disable the interrupts",
    }
}

/// Returns what Linux knows of a virtual function.
fn virtual_function(dev: &Device) -> Result<Virtual> {
    let [vendor, device, ..] = dev.ids();
    let (mut starts, mut flags) = ([0; 6], [0; 6]);
    for ((bar, start), flags) in (0..6).zip(&mut starts).zip(&mut flags) {
        *start = dev.resource_start(bar)?;
        *flags = dev.bar_flags(bar);
    }
    Ok(Virtual {
        ids: [vendor, device],
        starts,
        flags,
    })
}

/// The function, and Xen's interrupts of the guest.
struct Hardware {
    /// Whether it is written to.
    is_ours: bool,
    domain: Domain,
    dev: ARef<Device>,
    config: ConfigSpace,
    table: Option<MsixTable>,
}

impl Hardware {
    fn new(dev: &Device, domain: Domain) -> Result<Self> {
        let config = ConfigSpace::of(dev);
        Ok(Self {
            is_ours: true,
            domain,
            dev: dev.into(),
            table: config.msix_table()?,
            config,
        })
    }

    /// Lets the function decode its BARs and raise INTx. It does no DMA before the guest asks for
    /// it.
    fn start(&self) -> Result {
        const COMMAND: u16 = 0x04;
        const IO_AND_MEMORY: u16 = 0x3;
        self.config.write(COMMAND, IO_AND_MEMORY)
    }

    fn stop_messages(&self) {
        if self.is_ours {
            // A function that does not answer sends none.
            let _ = self.config.disable_messages();
        }
    }
}

impl Actions for Hardware {
    fn map(&mut self, message: Message) -> Result<u16> {
        match message {
            Message::Msi => guest::map_msi(self.domain, &self.dev),
            Message::Msix(entry) => {
                guest::map_msix(self.domain, &self.dev, self.table.ok_or(ENODEV)?, entry)
            }
        }
    }

    fn unmap(&mut self, pirq: u16) -> Result {
        match guest::unmap(self.domain, pirq) {
            // It is not mapped.
            Err(EINVAL) => Ok(()),
            unmapped => unmapped,
        }
    }

    fn enable(&mut self, kind: Kind) -> Result {
        self.config.enable_messages(kind == Kind::Msix)
    }

    fn disable(&mut self, _kind: Kind) {
        self.stop_messages();
    }
}

/// A function's configuration space, in which writes have no effect.
struct Unwritten<'a>(&'a ConfigSpace);

impl Config for Unwritten<'_> {
    fn read(&self, access: Access) -> Result<u32> {
        Config::read(self.0, access)
    }

    fn write(&self, _access: Access, _value: u32) -> Result {
        Ok(())
    }
}

impl Config for ConfigSpace {
    fn read(&self, access: Access) -> Result<u32> {
        let offset = access.offset();
        match access.size() {
            1 => ConfigSpace::read::<u8>(self, offset).map(u32::from),
            2 => ConfigSpace::read::<u16>(self, offset).map(u32::from),
            _ => ConfigSpace::read::<u32>(self, offset),
        }
    }

    fn write(&self, access: Access, value: u32) -> Result {
        let offset = access.offset();
        // CAST: The value has this size.
        match access.size() {
            1 => ConfigSpace::write(self, offset, value as u8),
            2 => ConfigSpace::write(self, offset, value as u16),
            _ => ConfigSpace::write(self, offset, value),
        }
    }
}
