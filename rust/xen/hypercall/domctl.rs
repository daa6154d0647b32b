// SPDX-License-Identifier: GPL-2.0

//! Domain control operations (domctls): binding a pirq of dom0 to a vector, which a PVH dom0 can do
//! in no other way, and asking whether a function is assigned.
//!
//! Each domctl names the version of the interface, and Xen refuses (`EACCES`) every version but its
//! own. The operations here have the same layout in all of [`VERSIONS`]. Linux has no header for
//! them. Xen's header is `xen/include/public/domctl.h`.

use kernel::prelude::*;

use crate::{
    bindings,
    linux::fault,
    pci::Sbdf, //
};

/// The interface versions of Xen 4.19 to 4.21, and of Xen 4.22.
const VERSIONS: [u32; 2] = [0x17, 0x18];

const BIND_PT_IRQ: u32 = 38;
const TEST_ASSIGN_DEVICE: u32 = 45;
const UNBIND_PT_IRQ: u32 = 48;
const PT_IRQ_TYPE_MSI: u32 = 2;
const DEV_PCI: u32 = 0;

const DOM0: u16 = 0;
/// `DOMID_INVALID`: the question is about all domains.
const ALL: u16 = 0x7ff4;

/// `struct xen_domctl_bind_pt_irq` for an MSI.
#[repr(C)]
#[derive(Clone, Copy)]
struct BindMsi {
    machine_irq: u32,
    irq_type: u32,
    vector: u8,
    pad: [u8; 3],
    flags: u32,
    table: u64,
}

/// `struct xen_domctl_assign_device` for a PCI function.
#[repr(C)]
#[derive(Clone, Copy)]
struct AssignDevice {
    kind: u32,
    flags: u32,
    sbdf: u32,
}

/// The argument `T`, in the space that Xen copies.
#[repr(C)]
union Argument<T: Copy> {
    typed: T,
    all: [u64; 16],
}

/// `struct xen_domctl`.
#[repr(C)]
struct Domctl<T: Copy> {
    cmd: u32,
    version: u32,
    domain: u16,
    pad: [u16; 3],
    argument: Argument<T>,
}

/// A pirq of dom0 that Xen has bound, and so started, as for an MSI that dom0 handles. Dropping it
/// unbinds the pirq.
///
/// # Invariants
///
/// If `pirq` is set, Xen has bound it to dom0.
pub(crate) struct Bound {
    pirq: Option<u32>,
}

impl Bound {
    /// Binds `pirq`, so that its MSI can be unmasked. An interrupt that it raises is delivered to
    /// no handler.
    ///
    /// Errors: `EACCES` if Xen's version of the interface is not in [`VERSIONS`]; else those of
    /// `XEN_DOMCTL_bind_pt_irq`.
    pub(crate) fn new(pirq: u32) -> Result<Self> {
        bind(BIND_PT_IRQ, pirq)?;
        // INVARIANT: Xen has bound the pirq.
        Ok(Self { pirq: Some(pirq) })
    }

    /// Unbinds the pirq, as dropping the value does, and returns Xen's error. After an error the
    /// pirq is still bound. It must not be unmapped then: Xen would not map the MSI for any other
    /// domain.
    pub(crate) fn release(&mut self) -> Result {
        if let Some(pirq) = self.pirq {
            bind(UNBIND_PT_IRQ, pirq)?;
            // INVARIANT: Xen has unbound the pirq.
            self.pirq = None;
        }
        Ok(())
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Err(e) = self.release() {
            pr_warn!("Xen did not unbind a pirq: {e:?}\n");
        }
    }
}

/// Binds or unbinds the pirq.
fn bind(cmd: u32, pirq: u32) -> Result {
    let msi = BindMsi {
        machine_irq: pirq,
        irq_type: PT_IRQ_TYPE_MSI,
        // Vector 0xff, which Linux treats as spurious, of virtual APIC 0xfd, which does not exist:
        // Xen assigns even APIC IDs only.
        vector: 0xff,
        pad: [0; 3],
        flags: 0xfd,
        table: 0,
    };
    call(cmd, DOM0, msi)
}

/// Returns whether Xen has assigned the function to a guest. Xen has to know the function.
///
/// Errors: `EACCES` if Xen's version of the interface is not in [`VERSIONS`]; else those of
/// `XEN_DOMCTL_test_assign_device`.
pub(crate) fn is_assigned(sbdf: Sbdf) -> Result<bool> {
    let function = AssignDevice {
        kind: DEV_PCI,
        flags: 0,
        sbdf: sbdf.to_u32(),
    };
    match call(TEST_ASSIGN_DEVICE, ALL, function) {
        Ok(()) => Ok(false),
        Err(e) if e == EINVAL => Ok(true),
        Err(e) => Err(e),
    }
}

fn call<T: Copy>(cmd: u32, domain: u16, typed: T) -> Result {
    fault::point("hypercall (domctl)")?;
    let mut result = Err(EACCES);
    for version in VERSIONS {
        let mut arg = Domctl {
            cmd,
            version,
            domain,
            pad: [0; 3],
            argument: Argument { all: [0; 16] },
        };
        arg.argument.typed = typed;
        // SAFETY: `arg` has the layout of this version of the interface, and outlives the call.
        result = match unsafe { bindings::HYPERVISOR_domctl((&raw mut arg).cast()) } {
            0 => Ok(()),
            errno => Err(Error::from_errno(errno)),
        };
        if result != Err(EACCES) {
            break;
        }
    }
    result
}
