// SPDX-License-Identifier: GPL-2.0

//! Binding a pirq of dom0, which a PVH dom0 can only do by a control operation.
//!
//! Control operations belong to one version of Xen: each call names the version of the interface,
//! and Xen refuses (`EACCES`) any but its own. The two operations here look the same in all the
//! versions that are tried. Linux has no header for them; Xen's is `xen/include/public/domctl.h`.

use kernel::prelude::*;

use crate::{
    bindings,
    linux::fault, //
};

/// Versions of the interface: Xen 4.19 and 4.20; 4.21 and later.
const VERSIONS: [u32; 2] = [0x17, 0x18];

const BIND_PT_IRQ: u32 = 38;
const UNBIND_PT_IRQ: u32 = 48;
const PT_IRQ_TYPE_MSI: u32 = 2;

/// `struct xen_domctl_bind_pt_irq`, of an MSI.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct BindMsi {
    machine_irq: u32,
    irq_type: u32,
    vector: u8,
    flags: u32,
    table: u64,
}

/// `struct xen_domctl` with that argument.
#[repr(C, align(8))]
struct Domctl {
    cmd: u32,
    version: u32,
    domain: u16,
    pad: [u16; 3],
    bind: BindMsi,
    rest: [u8; 128 - size_of::<BindMsi>()],
}

/// A pirq of dom0 that Xen has started, as for an MSI that dom0 takes.
///
/// # Invariants
///
/// The pirq, if there is one, is bound to dom0.
pub(crate) struct Bound {
    pirq: Option<u32>,
}

impl Bound {
    /// Binds `pirq`, so that its MSI can be unmasked. Should it be raised, nobody hears of it.
    ///
    /// Errors: `EACCES` on a Xen with another version of the interface; else those of the
    /// operation.
    pub(crate) fn new(pirq: u32) -> Result<Self> {
        call(BIND_PT_IRQ, pirq)?;
        // INVARIANT: Bound just now.
        Ok(Self { pirq: Some(pirq) })
    }

    /// Undoes it, as dropping it does. After an error it is still bound, and must not be unmapped:
    /// Xen would not give the MSI to anybody else.
    pub(crate) fn release(&mut self) -> Result {
        if let Some(pirq) = self.pirq {
            call(UNBIND_PT_IRQ, pirq)?;
            // INVARIANT: It is not any more.
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
                // To an APIC that does not exist (Xen gives virtual ones even numbers), by the
                // vector that Linux takes for spurious.
                vector: 0xff,
                flags: 0xfd,
                table: 0,
            },
            rest: [0; 128 - size_of::<BindMsi>()],
        };
        // SAFETY: The argument is laid out as this version of the interface has it, and outlives
        // the call.
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
