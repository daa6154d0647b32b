// SPDX-License-Identifier: GPL-2.0

//! What guests get of an Intel GPU.
//!
//! If a guest has the option `gfx_passthru` and the GPU is a VGA controller, QEMU maps the pages at
//! the host's address of the OpRegion to the guest, whatever is there: machine page 0 if the
//! address is 0. Dom0 cannot see the option, but without it QEMU refuses a GPU at 0000:00:02.0. So
//! the rule is:
//!
//! * A GPU at 0000:00:02.0 with a valid OpRegion is open to guests. It is shown as QEMU expects it:
//!   as a VGA controller with a ROM that can be read, and that is no resource. The domains that
//!   have the GPU in XenStore may have the OpRegion mapped, and get a copy of an extended VBT. A
//!   guest whose QEMU is in dom0 gets a copy of the OpRegion, too. What another has written to the
//!   OpRegion is undone when no guest has the GPU any more.
//! * Any other GPU of Intel is shown as a display that is no VGA controller, so that QEMU maps
//!   nothing, and refuses it at 0000:00:02.0. Addresses of the host in its configuration space are
//!   hidden.

use kernel::{
    pci::Device,
    prelude::*,
    sync::Arc, //
};

use xen::{
    igd::{
        self,
        GuestCopy,
        Permission,
        SharedOpRegion, //
    },
    linux::module,
    pci::{
        is_intel_gpu,
        ConfigObserver,
        DeviceExt,
        FirmwareRegisters,
        FixedFile,
        Hiding,
        InTree,
        Locked,
        MissingFile,
        ReadableRom,
        Sbdf, //
    },
    vpci, //
};

use crate::{
    GUARD,
    PRIMARY,
    VBT, //
};

/// Where QEMU expects the GPU.
const PLACE: Sbdf = Sbdf::new(0, 0, 0x10);

/// The base class and subclass of a VGA controller.
const VGA: u32 = 0x03_00;
/// The class of a display that is no VGA controller.
const OTHER_DISPLAY: u32 = 0x03_80_00;
/// The register that has the class, above the revision.
const CLASS: u16 = 0x08;

/// What is changed of an Intel GPU in sysfs while xen-pciback has it. It pins the module: without
/// the file `config` a device model takes the address of the OpRegion for 0.
pub(crate) struct Guard {
    function: vpci::Function,
    /// What has to be hidden in its configuration space.
    pub(crate) hidden: KVec<Hiding>,
    open: Option<OpenGpu>,
    class: Option<Class>,
    _pin: Option<module::Pinned>,
}

/// The file `class`.
enum Class {
    Shown(#[expect(dead_code, reason = "for its drop")] FixedFile),
    Missing(#[expect(dead_code, reason = "for its drop")] MissingFile),
}

impl Guard {
    /// Decides what guests may have of `dev`, whose firmware has set `registers`. `None` if it is
    /// no Intel GPU, or if the parameter is off. The caller has to hide [`Guard::hidden`], and to
    /// call [`Guard::show`]. May sleep.
    pub(crate) fn new(dev: &Locked, registers: Option<&FirmwareRegisters>) -> Option<Self> {
        if !GUARD.get() || !is_intel_gpu(dev) {
            return None;
        }
        let in_tree = dev.in_tree()?;
        let mut guard = Self {
            function: vpci::Function::of(&in_tree).ok()?,
            hidden: KVec::new(),
            open: None,
            class: None,
            _pin: module::Pinned::new().ok(),
        };
        if guard.is_in_use() {
            // Its device model must not lose the file `config`.
            dev_warn!(
                dev,
                "already assigned: its guest may read host addresses; run xl pci-assignable-remove and -add before the next guest\n"
            );
            return Some(guard);
        }
        if guard._pin.is_some() {
            guard.open =
                opregion(dev, registers).and_then(|opregion| OpenGpu::new(&in_tree, opregion));
        }
        if let Err(e) = guard.list(dev, registers) {
            log_closed(dev, e);
            guard.open = None;
        }
        Some(guard)
    }

    /// Lists what has to be hidden. `ENOMEM`.
    fn list(&mut self, dev: &Locked, registers: Option<&FirmwareRegisters>) -> Result {
        match (&self.open, registers) {
            // Not as they are: a reset may clear them under a device model.
            (Some(_), Some(registers)) => {
                for (offset, value) in registers.iter() {
                    self.hidden
                        .push(Hiding::Register { offset, value }, GFP_KERNEL)?;
                }
                if shows_as_vga(dev) {
                    let value = VGA << 16 | u32::from(dev.revision_id());
                    let class = Hiding::Register {
                        offset: CLASS,
                        value,
                    };
                    self.hidden.push(class, GFP_KERNEL)?;
                }
            }
            _ => {
                for offset in FirmwareRegisters::offsets(dev).iter().copied() {
                    self.hidden
                        .push(Hiding::Register { offset, value: 0 }, GFP_KERNEL)?;
                }
            }
        }
        Ok(())
    }

    /// Shows the class that device models are to see. If nothing could be hidden, the GPU is not
    /// open to guests. Cannot fail. May sleep.
    pub(crate) fn show(&mut self, dev: &Locked, is_hidden: bool) {
        let Some(in_tree) = dev.in_tree() else {
            return;
        };
        if !is_hidden {
            self.open = None;
        }
        self.class = match self.open {
            None if is_vga(dev) => Some(Class::closed(&in_tree)),
            Some(_) if shows_as_vga(dev) => FixedFile::class(&in_tree, VGA << 8)
                .inspect_err(|e| log_closed(dev, *e))
                .map(Class::Shown)
                .ok(),
            _ => None,
        };
    }

    /// Returns whether a guest has the function, or Xen cannot be asked.
    pub(crate) fn is_in_use(&self) -> bool {
        self.function.ask_assigned() != Ok(false)
    }

    /// Returns the OpRegion of a GPU that is open to guests.
    pub(crate) fn opregion(&self) -> Option<&SharedOpRegion> {
        self.open.as_ref().map(|open| &open.opregion)
    }

    /// Returns what has to be told of reads of the file `config`.
    pub(crate) fn observer(&self) -> Option<Arc<dyn ConfigObserver>> {
        let copy = self.open.as_ref()?.copy.clone()?;
        Some(copy)
    }

    /// Permits `owner`, and `target` if `owner` is the stub domain of that, to have the OpRegion
    /// mapped. The HVM guest of the two gets a copy of an extended VBT. May sleep.
    pub(crate) fn assigned(&mut self, sbdf: Sbdf, owner: u16, target: Option<u16>) {
        let Some(open) = &mut self.open else {
            return;
        };
        if let (Some(copy), None, false) = (&open.copy, target, open.has_permission(owner, owner)) {
            match copy.promise(owner) {
                Ok(()) => (),
                // It has ended.
                Err(e) if e == ESRCH => (),
                Err(e) => pr_warn!(
                    "{sbdf}: domain {owner} gets no copy of the OpRegion ({e:?}), and can write to that of the host\n"
                ),
            }
        }
        for domain in [Some(owner), target].into_iter().flatten() {
            if open.has_permission(owner, domain) {
                continue;
            }
            match open.opregion.give_vbt(domain) {
                Ok(()) => (),
                // A PV guest, or one that has ended.
                Err(e) if e == ENOTSUPP || e == ESRCH => (),
                Err(e) => pr_warn!(
                    "{sbdf}: domain {domain} gets no extended VBT ({e:?}): its driver may find no displays\n"
                ),
            }
            match open.permit(owner, domain) {
                Ok(()) => (),
                // It has ended.
                Err(e) if e == ESRCH => (),
                Err(e) => pr_warn!(
                    "{sbdf}: domain {domain} gets no permission for the OpRegion ({e:?}), which a stub domain needs: detach the GPU and attach it again\n"
                ),
            }
        }
    }

    /// Ends the permissions that were given for `owner`. May sleep.
    pub(crate) fn unassigned(&mut self, owner: u16) {
        if let Some(open) = &mut self.open {
            open.permissions.retain(|(other, _)| *other != owner);
            if let Some(copy) = &open.copy {
                copy.forget(owner);
            }
        }
    }

    /// Undoes what a guest has written to the OpRegion. May sleep.
    pub(crate) fn returned(&self, sbdf: Sbdf) {
        if let Some(Err(e)) = self.open.as_ref().map(|open| open.opregion.restore()) {
            pr_warn!(
                "{sbdf}: the next owner finds what the last one wrote to the OpRegion: {e:?}\n"
            );
        }
    }
}

/// Returns the OpRegion if QEMU may map it to a guest, and logs whether it may.
fn opregion(dev: &Locked, registers: Option<&FirmwareRegisters>) -> Option<SharedOpRegion> {
    if dev.sbdf() != Ok(PLACE) {
        dev_info!(
            dev,
            "guests get no OpRegion: QEMU maps only that of 0000:00:02.0\n"
        );
        return None;
    }
    let address = registers.map_or(0, FirmwareRegisters::opregion);
    let region = registers
        .ok_or(igd::Invalid::NoAnswer)
        .and_then(|_| SharedOpRegion::new(address));
    match region {
        Ok(region) => {
            let (major, minor) = region.header().version;
            dev_info!(
                dev,
                "OpRegion {}.{} at {:#x}: guests with gfx_passthru get it\n",
                major,
                minor,
                address
            );
            Some(region)
        }
        Err(e) => {
            dev_err!(
                dev,
                "OpRegion at {:#x} is not valid ({}): guests cannot have this GPU; look for new firmware (BIOS)\n",
                address,
                e.reason()
            );
            None
        }
    }
}

impl Class {
    /// No VGA controller. Without memory for that, a file that cannot be read: QEMU then refuses
    /// the function.
    fn closed(dev: &InTree<'_>) -> Self {
        match FixedFile::class(dev, OTHER_DISPLAY) {
            Ok(file) => Self::Shown(file),
            Err(e) => {
                dev_err!(
                    dev,
                    "its file class cannot be replaced ({:?}) and is missing: QEMU refuses it\n",
                    e
                );
                Self::Missing(MissingFile::class(dev))
            }
        }
    }
}

fn log_closed(dev: &Device, e: Error) {
    dev_err!(
        dev,
        "cannot be shown as QEMU expects it ({:?}): guests cannot have this GPU\n",
        e
    );
}

/// Returns whether a GPU that is no VGA controller is shown as one.
fn shows_as_vga(dev: &Device) -> bool {
    !is_vga(dev) && PRIMARY.get()
}

fn is_vga(dev: &Device) -> bool {
    dev.pci_class().as_raw() >> 8 == VGA
}

/// What is prepared for a GPU that is open to guests.
struct OpenGpu {
    opregion: SharedOpRegion,
    copy: Option<Arc<GuestCopy>>,
    /// Each with a domain that has the function in XenStore. Such a domain and its stub domain may
    /// share one.
    permissions: KVec<(u16, Arc<Permission>)>,
    _rom: Rom,
    _resource: FixedFile,
}

enum Rom {
    Readable(#[expect(dead_code, reason = "for its drop")] ReadableRom),
    Made(#[expect(dead_code, reason = "for its drop")] FixedFile),
}

impl OpenGpu {
    /// `None` on an error, which is logged: the GPU is then not open.
    fn new(dev: &InTree<'_>, mut opregion: SharedOpRegion) -> Option<Self> {
        let made = Rom::new(dev).and_then(|rom| {
            let mut copy = None;
            if VBT.get() {
                opregion.move_vbt()?;
                copy = Some(opregion.guest_copy()?);
            }
            Ok(Self {
                opregion,
                copy,
                permissions: KVec::new(),
                _rom: rom,
                _resource: FixedFile::resource_without_rom(dev)?,
            })
        });
        made.inspect_err(|e| log_closed(dev, *e)).ok()
    }

    fn has_permission(&self, owner: u16, domain: u16) -> bool {
        self.permissions
            .iter()
            .any(|(other, permission)| (*other, permission.domain()) == (owner, domain))
    }

    /// Permits `domain` to have the OpRegion mapped for as long as `owner` has the function.
    fn permit(&mut self, owner: u16, domain: u16) -> Result {
        let known = self
            .permissions
            .iter()
            .find(|(_, permission)| permission.domain() == domain);
        let permission = match known {
            Some((_, permission)) => permission.clone(),
            None => Arc::new(self.opregion.permit(domain)?, GFP_KERNEL)?,
        };
        self.permissions.push((owner, permission), GFP_KERNEL)?;
        Ok(())
    }
}

impl Rom {
    fn new(dev: &InTree<'_>) -> Result<Self> {
        match ReadableRom::new(dev) {
            Err(e) if e == ENOENT => {
                let [vendor, device, ..] = dev.ids();
                FixedFile::rom(dev, &igd::empty_rom(vendor, device)).map(Self::Made)
            }
            rom => rom.map(Self::Readable),
        }
    }
}
