// SPDX-License-Identifier: GPL-2.0

//! The registers of a PCI card that is compatible with the NE2000: an Ethernet controller DP8390,
//! 16 KiB of memory for packets, and a PROM with the address, all behind 32 I/O ports. It is on a
//! wire on which nobody else speaks.

/// Ports that it takes.
pub const LENGTH: u64 = 0x20;

/// The data port, and after it that of resets.
const DATA: u64 = 0x10;
const RESET: u64 = 0x18;

/// Where the controller sees the memory.
const MEMORY: usize = 0x4000;
const MEMORY_SIZE: usize = 0x4000;

const COMMAND: u8 = 0x00;
const STOP: u8 = 0x01;
const TRANSMIT: u8 = 0x04;
const NO_DMA: u8 = 0x20;

const ISR_SENT: u8 = 0x02;
const ISR_DMA_DONE: u8 = 0x40;
const ISR_RESET: u8 = 0x80;

/// In the data configuration: each access moves a word at least.
const WORDS: u8 = 0x01;

/// Transmit status: sent without a collision.
const SENT: u8 = 0x01;

/// The controller and its memory.
#[derive(Debug)]
pub struct Ne2000 {
    /// What the PROM has.
    mac: [u8; 6],
    memory: Box<[u8]>,
    command: u8,
    /// Interrupts that wait, and those that may.
    isr: u8,
    imr: u8,
    dcfg: u8,
    tsr: u8,
    /// Where the next byte comes from or goes to, and how many do.
    address: u16,
    count: u16,
    /// Registers without a meaning here: pages 0 (as written) and 1.
    page0: [u8; 16],
    page1: [u8; 16],
    /// Packets that were sent.
    pub sent: u32,
}

impl Ne2000 {
    /// A card that was just switched on.
    pub fn new(mac: [u8; 6]) -> Ne2000 {
        Ne2000 {
            mac,
            memory: vec![0; MEMORY_SIZE].into(),
            command: STOP | NO_DMA,
            isr: ISR_RESET,
            imr: 0,
            dcfg: 0,
            tsr: 0,
            address: 0,
            count: 0,
            page0: [0; 16],
            page1: [0; 16],
            sent: 0,
        }
    }

    /// Whether INTx is high.
    pub fn interrupt(&self) -> bool {
        self.isr & self.imr & 0x7f != 0
    }

    /// Reads ports.
    pub fn read(&mut self, at: u64, data: &mut [u8]) {
        match at {
            DATA..RESET => {
                let bytes = self.next(data.len());
                for (byte, address) in data.iter_mut().zip(bytes) {
                    *byte = self.memory(address);
                }
            }
            RESET..LENGTH => {
                self.command = STOP | NO_DMA;
                self.isr |= ISR_RESET;
                data.fill(0);
            }
            _ => {
                for (at, byte) in (at..DATA).zip(data) {
                    *byte = self.register(at as u8);
                }
            }
        }
    }

    /// Writes ports.
    pub fn write(&mut self, at: u64, data: &[u8]) {
        match at {
            DATA..RESET => {
                let addresses = self.next(data.len());
                for (&byte, address) in data.iter().zip(addresses) {
                    let place = usize::from(address).checked_sub(MEMORY);
                    if let Some(cell) = place.and_then(|place| self.memory.get_mut(place)) {
                        *cell = byte;
                    }
                }
            }
            RESET..LENGTH => {}
            _ => {
                for (at, &byte) in (at..DATA).zip(data) {
                    self.set_register(at as u8, byte);
                }
            }
        }
    }

    /// The addresses that an access to the data port moves.
    fn next(&mut self, length: usize) -> Vec<u16> {
        let least = if self.dcfg & WORDS == 0 { 1 } else { 2 };
        let length = length.max(least) as u16;
        let addresses = (0..length).map(|n| self.address.wrapping_add(n)).collect();
        if self.command & NO_DMA == 0 && self.count > 0 {
            self.address = self.address.wrapping_add(length);
            self.count = self.count.saturating_sub(length);
            if self.count == 0 {
                self.isr |= ISR_DMA_DONE;
            }
        }
        addresses
    }

    /// The PROM has each byte twice: it is as wide as a word.
    fn memory(&self, address: u16) -> u8 {
        let address = usize::from(address);
        match address {
            0..0x20 => self.mac.get(address / 2).copied().unwrap_or(0x57),
            _ => {
                let place = address.checked_sub(MEMORY);
                place
                    .and_then(|place| self.memory.get(place))
                    .copied()
                    .unwrap_or(0xff)
            }
        }
    }

    fn page(&self) -> u8 {
        self.command >> 6
    }

    fn register(&self, at: u8) -> u8 {
        match (self.page(), at) {
            (_, COMMAND) => self.command,
            (0, 0x04) => self.tsr,
            (0, 0x07) => self.isr,
            // Where remote DMA is now.
            (0, 0x08) => self.address as u8,
            (0, 0x09) => (self.address >> 8) as u8,
            // The boundary. All others of the page are other registers when read, and 0:
            // collisions, the status of reception, counters of errors.
            (0, 0x03) => self.page0[3],
            (1, at) => self.page1[usize::from(at)],
            _ => 0,
        }
    }

    fn set_register(&mut self, at: u8, value: u8) {
        match (self.page(), at) {
            (_, COMMAND) => self.order(value),
            (0, 0x07) => self.isr &= !value | ISR_RESET,
            (0, 0x08) => self.address = self.address & 0xff00 | u16::from(value),
            (0, 0x09) => self.address = self.address & 0xff | (u16::from(value) << 8),
            (0, 0x0a) => self.count = self.count & 0xff00 | u16::from(value),
            (0, 0x0b) => self.count = self.count & 0xff | (u16::from(value) << 8),
            (0, 0x0e) => self.dcfg = value,
            (0, 0x0f) => self.imr = value,
            (0, at) => self.page0[usize::from(at)] = value,
            (1, at) => self.page1[usize::from(at)] = value,
            _ => {}
        }
    }

    fn order(&mut self, value: u8) {
        self.command = value & !TRANSMIT;
        if value & STOP != 0 {
            self.isr |= ISR_RESET;
            return;
        }
        self.isr &= !ISR_RESET;
        if value & TRANSMIT != 0 {
            // The packet is on the wire at once, and nobody answers.
            self.sent += 1;
            self.tsr = SENT;
            self.isr |= ISR_SENT;
        }
        if value & NO_DMA == 0 && self.count == 0 {
            self.isr |= ISR_DMA_DONE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 0x29];

    fn byte(card: &mut Ne2000, at: u64) -> u8 {
        let mut data = [0];
        card.read(at, &mut data);
        data[0]
    }

    fn outb(card: &mut Ne2000, writes: &[(u64, u8)]) {
        for &(at, value) in writes {
            card.write(at, &[value]);
        }
    }

    #[test]
    fn the_prom_has_its_address() {
        let mut card = Ne2000::new(MAC);
        outb(
            &mut card,
            &[
                (0x0e, 0x49),
                (0x0a, 32),
                (0x0b, 0),
                (0x08, 0),
                (0x09, 0),
                (0, 0x0a),
            ],
        );
        let prom: Vec<u8> = (0..16).map(|_| byte(&mut card, DATA)).collect();
        assert_eq!(prom[..6], MAC);
        assert_eq!(prom[14..], [0x57, 0x57]);
        assert_eq!(byte(&mut card, 0x07) & ISR_DMA_DONE, ISR_DMA_DONE);
    }

    #[test]
    fn packets_are_stored_and_sent() {
        let mut card = Ne2000::new(MAC);
        outb(
            &mut card,
            &[(0, 0x22), (0x0e, 0x49), (0x0f, 0x3f), (0x07, 0xff)],
        );
        outb(
            &mut card,
            &[(0x0a, 6), (0x0b, 0), (0x08, 0), (0x09, 0x40), (0, 0x12)],
        );
        card.write(DATA, &[1, 2, 3, 4]);
        assert!(!card.interrupt());
        card.write(DATA, &[5, 6]);
        // Its driver polls this one.
        assert!(!card.interrupt() && byte(&mut card, 0x07) == ISR_DMA_DONE);
        outb(
            &mut card,
            &[(0x07, 0xff), (0x0a, 4), (0x08, 2), (0x09, 0x40), (0, 0x0a)],
        );
        let mut data = [0; 4];
        card.read(DATA, &mut data);
        assert_eq!(data, [3, 4, 5, 6]);
        outb(&mut card, &[(0, 0x26)]);
        assert!(card.interrupt());
        assert_eq!(
            (card.sent, byte(&mut card, 0), byte(&mut card, 4)),
            (1, 0x22, SENT)
        );
        outb(&mut card, &[(0x07, ISR_SENT)]);
        assert!(!card.interrupt());
    }

    #[test]
    fn pages_and_resets() {
        let mut card = Ne2000::new(MAC);
        outb(&mut card, &[(0, 0x61), (0x0d, 0xff), (1, 7), (0, 0x20)]);
        assert_eq!(byte(&mut card, 0x0d), 0);
        outb(&mut card, &[(0, 0x61)]);
        assert_eq!((byte(&mut card, 1), byte(&mut card, 0x0d)), (7, 0xff));
        outb(&mut card, &[(0, 0x22)]);
        assert_eq!(byte(&mut card, 0x07) & ISR_RESET, 0);
        byte(&mut card, RESET);
        assert_eq!(byte(&mut card, 0x07) & ISR_RESET, ISR_RESET);
        // Nothing lies there.
        outb(
            &mut card,
            &[(0x0a, 1), (0x08, 0xff), (0x09, 0xff), (0, 0x0a)],
        );
        assert_eq!(byte(&mut card, DATA), 0xff);
    }
}
