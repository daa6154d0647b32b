// SPDX-License-Identifier: GPL-2.0

//! What Xen's virtual PCI knows of a function: that it exists, and its resets.

use kernel::{
    pci::Device,
    prelude::*, //
};

use crate::{
    bindings,
    hypercall::{
        domctl,
        physdev::{
            self,
            FunctionKind,
            ResetKind, //
        },
    },
    pci::{
        as_raw,
        reset::Kind,
        Command,
        ConfigSpace,
        DeviceExt,
        InTree,
        Locked,
        Sbdf, //
    }, //
};

/// The identity of a function in hypercalls: its address, its kind and its proximity domain.
///
/// C header: [`include/xen/interface/physdev.h`](srctree/include/xen/interface/physdev.h)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    pub(super) sbdf: Sbdf,
    kind: FunctionKind,
    pxm: Option<u32>,
}

impl Function {
    /// Collects what Linux passes to Xen when it adds `dev`. Does not ask Xen. May sleep: it
    /// evaluates ACPI's `_PXM`.
    ///
    /// Errors: `ERANGE` for a segment above 0xffff.
    pub fn of(dev: &InTree<'_>) -> Result<Self> {
        // SAFETY: By the type invariant of `InTree`, `dev` is a valid `struct pci_dev` that is not
        // removed while it is borrowed, so the PF of a VF exists.
        let (physfn, is_extended, pxm) = unsafe {
            let raw = as_raw(dev);
            (
                dev.is_virtfn()
                    .then(|| &*bindings::pci_physfn(raw).cast::<Device>()),
                bindings::pci_is_extfn(raw),
                bindings::pci_pxm(raw),
            )
        };
        Ok(Self {
            sbdf: dev.sbdf()?,
            kind: match physfn {
                Some(physfn) => FunctionKind::Virtual(physfn.sbdf()?),
                None if is_extended => FunctionKind::Extended,
                None => FunctionKind::Plain,
            },
            pxm: u32::try_from(pxm).ok(),
        })
    }

    /// Checks that Xen accepted the function when Linux added it; `ENODEV` if Xen refused it. Xen
    /// 4.20 refuses every SR-IOV VF. Xen keeps an incomplete entry for a refused function.
    ///
    /// This repeats `PHYSDEVOP_pci_device_add`, which changes nothing for an accepted function. It
    /// is the only safe check: other operations on an incomplete entry can crash Xen.
    pub fn is_known(&self) -> Result {
        physdev::pci_device_add(self.sbdf, self.kind, self.pxm)
    }

    /// Returns whether Xen has assigned the function to a guest. Toolstacks do that before they say
    /// so in XenStore. Returns false if Xen cannot be asked. Xen has to know the function.
    pub fn is_assigned(&self) -> bool {
        self.ask_assigned().unwrap_or(false)
    }

    /// As [`Function::is_assigned`], but fails if Xen cannot be asked: `EACCES` for a version of
    /// Xen whose control operations are not known.
    pub fn ask_assigned(&self) -> Result<bool> {
        domctl::is_assigned(self.sbdf)
    }

    /// Makes Xen drop all its state of the function, and discover the function again.
    ///
    /// Dom0 has to own the function, and no driver may use its interrupts. The function is stopped
    /// meanwhile, so that vPCI unmaps its BARs from dom0 and maps them again.
    ///
    /// Errors: `EINVAL` if `dev` is another function; `EBUSY` for a function with VFs; `EIO` if the
    /// function does not answer; else those of `PHYSDEVOP_pci_device_remove` and
    /// `PHYSDEVOP_pci_device_add`. If only the second operation fails, Xen does not have the
    /// function any more.
    pub fn rediscover(&self, dev: &Locked) -> Result {
        self.require(dev)?;
        if dev.has_virtfns() {
            return Err(EBUSY);
        }
        let _command = Command::keep(dev)?;
        let config = ConfigSpace::of(dev);
        config.quiesce()?;
        // Xen 4.22 crashes when it drops the vPCI state of a function that does not answer.
        config.require_present()?;
        physdev::pci_device_remove(self.sbdf)?;
        self.is_known()
    }

    /// Tells Xen that the function was reset. Its vPCI drops its state, such as which BARs are
    /// mapped, and reads the configuration of the function again.
    ///
    /// Xen ignores the call for a function that dom0 does not own: such a function has no vPCI. For
    /// a function with MSI-X, restore the BARs first. While they are zero, Xen finds dom0's memory
    /// at the address of the MSI-X table.
    ///
    /// Errors:
    ///
    /// * `EINVAL` if `dev` is another function;
    /// * `EIO` if the function does not answer. Xen is not told then: Xen 4.22 would crash;
    /// * `ENODEV` for a function that Xen refused. Xen is not told: any version would crash;
    /// * `ENOSYS` for Xen before 4.20;
    /// * `EEXIST` for MSI-X without BARs. The function then has no vPCI, and dom0 accesses it
    ///   directly until this call succeeds;
    /// * else those of Xen's `vpci_assign_device()`.
    pub fn was_reset(&self, dev: &Locked, kind: Kind) -> Result {
        self.require(dev)?;
        ConfigSpace::of(dev).require_present()?;
        self.is_known()?;
        let kind = match kind {
            Kind::Warm => ResetKind::Warm,
            Kind::Hot => ResetKind::Hot,
            Kind::Flr => ResetKind::Flr,
        };
        physdev::pci_device_reset(self.sbdf, kind)
    }

    /// Fails with `EINVAL` if `dev` is another function.
    pub(super) fn require(&self, dev: &Device) -> Result {
        (dev.sbdf()? == self.sbdf).then_some(()).ok_or(EINVAL)
    }
}
