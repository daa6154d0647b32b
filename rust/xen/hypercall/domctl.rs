// SPDX-License-Identifier: GPL-2.0

//! Binding a pirq of dom0 to a vector. A PVH dom0 can do this only by a domain control operation
//! (domctl).
//!
//! Each domctl names the version of the interface, and Xen refuses (`EACCES`) every version but its
//! own. The two operations here have the same layout in all of [`VERSIONS`]. Linux has no header
//! for them. Xen's header is `xen/include/public/domctl.h`.

use kernel::prelude::*;

use crate::{
    bindings,
    linux::fault, //
};

/// The interface versions of Xen 4.19 and 4.20, and of Xen 4.21 and later.
const VERSIONS: [u32; 2] = [0x17, 0x18];

const BIND_PT_IRQ: u32 = 38;
const UNBIND_PT_IRQ: u32 = 48;
const PT_IRQ_TYPE_MSI: u32 = 2;

/// `struct xen_domctl_bind_pt_irq` for an MSI.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct BindMsi {
    machine_irq: u32,
    irq_type: u32,
    vector: u8,
    flags: u32,
    table: u64,
}

/// `struct xen_domctl` with a `struct xen_domctl_bind_pt_irq` as its argument.
#[repr(C, align(8))]
struct Domctl {
    cmd: u32,
    version: u32,
    domain: u16,
    pad: [u16; 3],
    bind: BindMsi,
    rest: [u8; 128 - size_of::<BindMsi>()],
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
        call(BIND_PT_IRQ, pirq)?;
        // INVARIANT: Xen has bound the pirq.
        Ok(Self { pirq: Some(pirq) })
    }

    /// Unbinds the pirq, as dropping the value does, and returns Xen's error. After an error the
    /// pirq is still bound. It must not be unmapped then: Xen would not map the MSI for any other
    /// domain.
    pub(crate) fn release(&mut self) -> Result {
        if let Some(pirq) = self.pirq {
            call(UNBIND_PT_IRQ, pirq)?;
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

fn call(cmd: u32, pirq: u32) -> Result {
    fault::point("hypercall (domctl)")?;
    let mut result = Err(EACCES);
    for version in VERSIONS {
        let mut arg = Domctl {
            cmd,
            version,
            domain: 0,
            pad: [0; 3],
            bind: BindMsi {
                machine_irq: pirq,
                irq_type: PT_IRQ_TYPE_MSI,
                // Vector 0xff, which Linux treats as spurious, of virtual APIC 0xfd, which does not
                // exist: Xen assigns even APIC IDs only.
                vector: 0xff,
                flags: 0xfd,
                table: 0,
            },
            rest: [0; 128 - size_of::<BindMsi>()],
        };
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
