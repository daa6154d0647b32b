// SPDX-License-Identifier: GPL-2.0

//! Xen's virtual PCI (vPCI): what it knows of a function, and keeping that right.

mod msix_hold;

use kernel::{
    pci::Device,
    prelude::*, //
};

use crate::{
    bindings,
    hypercall::physdev::{
        self,
        FunctionKind,
        ResetKind, //
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

pub use self::msix_hold::{
    owned_by_dom0,
    Hold, //
};

/// A function as Xen is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    sbdf: Sbdf,
    kind: FunctionKind,
    pxm: Option<u32>,
}

impl Function {
    /// What Linux told Xen of `dev` when it was added. Xen is not asked. May sleep.
    pub fn of(dev: &InTree<'_>) -> Result<Self> {
        // SAFETY: A valid `struct pci_dev`, which is not removed; a VF that is not keeps its PF.
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

    /// Asks Xen whether it has the function, rather than a half-made entry of one that it refused
    /// when Linux added it (`ENODEV` then; every SR-IOV VF on Xen 4.20).
    ///
    /// This is the only safe question about such an entry: others can bring Xen down. It is
    /// `PHYSDEVOP_pci_device_add` once more, which changes nothing for a function that Xen has.
    pub fn is_known(&self) -> Result {
        physdev::pci_device_add(self.sbdf, self.kind, self.pxm)
    }

    /// Makes Xen forget the function, and all that it knows of it, and find it again.
    ///
    /// Dom0 has to own it, and no driver may use its interrupts. Meanwhile it is stopped, so that
    /// vPCI takes its BARs out of dom0's memory and puts them back.
    ///
    /// Errors: `EINVAL` if `dev` is another function; `EBUSY` for a function with VFs; `EIO` if it
    /// does not answer; else those of `PHYSDEVOP_pci_device_remove` and `_add`. If only the second
    /// fails, Xen does not have the function any more.
    pub fn rediscover(&self, dev: &Locked) -> Result {
        self.require(dev)?;
        // SAFETY: `dev` is a valid `struct pci_dev`.
        if unsafe { bindings::pci_num_vf(as_raw(dev)) } != 0 {
            return Err(EBUSY);
        }
        let _command = Command::keep(dev)?;
        let config = ConfigSpace::of(dev);
        config.quiesce()?;
        // Xen 4.22 crashes if it drops the vPCI of a function that does not answer.
        config.require_present()?;
        physdev::pci_device_remove(self.sbdf)?;
        self.is_known()
    }

    /// Tells Xen that the function was reset: its vPCI forgets what it knows, such as which BARs
    /// are in use, and reads the function anew.
    ///
    /// Xen ignores this for a function that dom0 does not own, which has no vPCI. For one with
    /// MSI-X it has to be told when the BARs are back: as long as they are zero, Xen finds dom0's
    /// memory where the table would be.
    ///
    /// Errors: `EINVAL` if `dev` is another function; `EIO` if it does not answer, and Xen is not
    /// told (4.22 would crash); `ENODEV` for a function that Xen refused (any version would);
    /// `ENOSYS` for Xen before 4.20; `EEXIST` for MSI-X without BARs, after which the function has
    /// no vPCI and dom0 reaches it directly until this succeeds; else those of Xen's
    /// `vpci_assign_device()`.
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
    fn require(&self, dev: &Device) -> Result {
        (dev.sbdf()? == self.sbdf).then_some(()).ok_or(EINVAL)
    }
}
