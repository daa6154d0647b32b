// SPDX-License-Identifier: GPL-2.0

//! Interrupts, each of which is an event descriptor that QEMU delivers.
//!
//! INTx is a level. QEMU masks it when it fires; at the next access to a BAR it takes the function
//! for served and unmasks it, and INTx fires again if it is still high.

use crate::engine::Interrupt;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK,
    VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX,
};

/// Who listens to which interrupt.
#[derive(Debug, Default)]
pub struct Interrupts {
    events: BTreeMap<(u32, u32), File>,
    /// INTx is high.
    pub level: bool,
    masked: bool,
}

impl Interrupts {
    /// What QEMU orders by SET_IRQS.
    pub fn set(&mut self, index: u32, flags: u32, start: u32, count: u32, files: Vec<File>) {
        if flags & VFIO_IRQ_SET_ACTION_TRIGGER != 0 {
            let end = match count {
                0 => u32::MAX,
                count => start.saturating_add(count),
            };
            self.events
                .retain(|(other, vector), _| *other != index || !(start..end).contains(vector));
            let vectors = (start..end).map(|vector| (index, vector));
            self.events.extend(vectors.zip(files));
            if index == VFIO_PCI_INTX_IRQ_INDEX {
                self.masked = false;
            }
        } else if index == VFIO_PCI_INTX_IRQ_INDEX && flags & VFIO_IRQ_SET_ACTION_MASK != 0 {
            self.masked = true;
        } else if index == VFIO_PCI_INTX_IRQ_INDEX && flags & VFIO_IRQ_SET_ACTION_UNMASK != 0 {
            self.masked = false;
        }
    }

    /// Raises an interrupt; whether anybody listens.
    pub fn raise(&mut self, interrupt: Interrupt) -> bool {
        match interrupt {
            Interrupt::Intx => {
                self.level = true;
                self.events.contains_key(&(VFIO_PCI_INTX_IRQ_INDEX, 0))
            }
            Interrupt::Msi(vector) => self.fire(VFIO_PCI_MSI_IRQ_INDEX, vector.into()),
            Interrupt::Msix(vector) => self.fire(VFIO_PCI_MSIX_IRQ_INDEX, vector.into()),
        }
    }

    /// Lets INTx fire if it is high and neither masked nor disabled.
    pub fn fire_intx(&mut self, disabled: bool) {
        if self.level && !self.masked && !disabled && self.fire(VFIO_PCI_INTX_IRQ_INDEX, 0) {
            self.masked = true;
        }
    }

    fn fire(&self, index: u32, vector: u32) -> bool {
        let event = self.events.get(&(index, vector));
        event.is_some_and(|mut event| event.write_all(&1u64.to_ne_bytes()).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::Interrupts;
    use crate::engine::Interrupt;
    use std::fs::File;

    fn null() -> File {
        File::options().write(true).open("/dev/null").unwrap()
    }

    #[test]
    fn vectors_come_and_go() {
        let mut interrupts = Interrupts::default();
        interrupts.set(2, 0x24, 1, 2, vec![null(), null()]);
        assert!(interrupts.raise(Interrupt::Msix(2)));
        assert!(!interrupts.raise(Interrupt::Msix(0)));
        assert!(!interrupts.raise(Interrupt::Msi(1)));
        interrupts.set(2, 0x21, 0, 0, vec![]);
        assert!(!interrupts.raise(Interrupt::Msix(2)));
    }

    #[test]
    fn intx_is_masked_when_it_fires() {
        let mut interrupts = Interrupts::default();
        interrupts.set(0, 0x24, 0, 1, vec![null()]);
        assert!(interrupts.raise(Interrupt::Intx));
        interrupts.fire_intx(true);
        assert!(!interrupts.masked);
        interrupts.fire_intx(false);
        assert!(interrupts.masked);
        interrupts.set(0, 0x11, 0, 1, vec![]);
        assert!(!interrupts.masked && interrupts.level);
    }
}
