// SPDX-License-Identifier: GPL-2.0

//! A function as QEMU sees it: the requests of the vfio-user protocol.
//!
//! No request fails. After one that did, the crate's server would read the rest of it as the next;
//! and a card answers a wrong read with all ones.

use crate::animal::Animal;
use crate::resets::Kind;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vfio_bindings::bindings::vfio::{
    vfio_region_info, VFIO_IRQ_INFO_AUTOMASKED, VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_MASKABLE,
    VFIO_IRQ_INFO_NORESIZE, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_INTX_IRQ_INDEX,
    VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS,
    VFIO_PCI_ROM_REGION_INDEX, VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
};
use vfio_user::{DmaMapFlags, DmaUnmapFlags, IrqInfo, ServerBackend, ServerRegion};

/// A function that its server, the clock and tests share.
#[derive(Clone)]
pub struct Shared(pub Arc<Mutex<Animal>>);

impl Shared {
    /// The function, even if a thread panicked while it had it.
    pub fn lock(&self) -> MutexGuard<'_, Animal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerBackend for Shared {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        let mut animal = self.lock();
        match region {
            0..=5 => animal.read_bar(region as usize, offset, data),
            VFIO_PCI_ROM_REGION_INDEX => animal.read_rom(offset, data),
            VFIO_PCI_CONFIG_REGION_INDEX => animal.read_config(offset as usize, data),
            _ => data.fill(0xff),
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut animal = self.lock();
        match region {
            0..=5 => animal.write_bar(region as usize, offset, data),
            VFIO_PCI_CONFIG_REGION_INDEX => animal.write_config(offset as usize, data),
            _ => {}
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        file: Option<File>,
    ) -> io::Result<()> {
        // Memory without a file, such as a ROM of the machine, cannot be reached.
        let Some(file) = file else { return Ok(()) };
        let writable = flags.contains(DmaMapFlags::WRITE);
        self.lock().dma.map(address, size, offset, writable, file)
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        let mut animal = self.lock();
        match flags.contains(DmaUnmapFlags::UNMAP_ALL) {
            true => animal.dma.clear(),
            false => animal.dma.unmap(address, size),
        }
        Ok(())
    }

    /// The bus is reset; QEMU says so too when the machine is.
    fn reset(&mut self) -> io::Result<()> {
        self.lock().reset(Kind::Bus);
        Ok(())
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        files: Vec<File>,
    ) -> io::Result<()> {
        let mut animal = self.lock();
        animal.interrupts.set(index, flags, start, count, files);
        animal.fire_intx();
        Ok(())
    }
}

/// The regions that the function tells QEMU of.
pub fn regions(animal: &Animal) -> Vec<ServerRegion> {
    let region = |index: u32| {
        let size = match index {
            0..=5 => animal
                .description
                .bar(index as u8)
                .map_or(0, |bar| bar.size.0),
            VFIO_PCI_ROM_REGION_INDEX => {
                animal.description.rom.as_ref().map_or(0, |rom| rom.size.0)
            }
            VFIO_PCI_CONFIG_REGION_INDEX => crate::config::SIZE as u64,
            _ => 0,
        };
        let flags = match (size, index) {
            (0, _) => 0,
            (_, VFIO_PCI_ROM_REGION_INDEX) => VFIO_REGION_INFO_FLAG_READ,
            _ => VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
        };
        ServerRegion {
            region_info: vfio_region_info {
                argsz: size_of::<vfio_region_info>() as u32,
                flags,
                index,
                size,
                ..Default::default()
            },
            sparse_areas: Vec::new(),
            mmap_fd: None,
        }
    };
    (0..VFIO_PCI_NUM_REGIONS).map(region).collect()
}

/// The interrupts that the function tells QEMU of.
pub fn interrupts(animal: &Animal) -> Vec<IrqInfo> {
    let function = &animal.description;
    let interrupt = |index: u32| {
        let (count, flags) = match index {
            VFIO_PCI_INTX_IRQ_INDEX => (
                u32::from(function.pin != 0),
                VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED,
            ),
            VFIO_PCI_MSI_IRQ_INDEX => (
                function.msi.as_ref().map_or(0, |msi| msi.vectors.into()),
                VFIO_IRQ_INFO_NORESIZE,
            ),
            VFIO_PCI_MSIX_IRQ_INDEX => (
                function.msix.as_ref().map_or(0, |msix| msix.vectors.into()),
                VFIO_IRQ_INFO_NORESIZE,
            ),
            _ => (0, 0),
        };
        IrqInfo {
            index,
            flags: flags | VFIO_IRQ_INFO_EVENTFD,
            count,
        }
    };
    (0..VFIO_PCI_NUM_IRQS).map(interrupt).collect()
}
