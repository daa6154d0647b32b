// SPDX-License-Identifier: GPL-2.0

//! What firmware tells the driver of an integrated Intel GPU, in its configuration space.
//!
//! The datasheets of the processors name the registers. Linux has the same knowledge in
//! `arch/x86/kernel/early-quirks.c`.

use std::ops::Range;

/// The size of stolen memory, and what else the processor has for its GPU (`GGC`).
const GGC: usize = 0x50;
/// The address of stolen memory up to generation 10.
const BDSM: usize = 0x5c;
/// Its address since generation 11.
const BDSM_64: usize = 0xc0;
const MIB: u64 = 1 << 20;

/// The generation of the GPU with the number `device`; `None` if it is unknown here.
fn generation(device: u32) -> Option<u32> {
    Some(match device >> 8 {
        0x01 => 6,
        0x04 | 0x0a | 0x0c | 0x0d | 0x0f => 7,
        0x16 | 0x22 => 8,
        0x19 | 0x1a | 0x31 | 0x3e | 0x59 | 0x5a | 0x87 | 0x9b => 9,
        0x45 | 0x4e | 0x8a => 11,
        0x46 | 0x4c | 0x9a | 0xa7 => 12,
        _ => return None,
    })
}

/// The bytes of stolen memory that the register GGC tells of.
fn size(generation: u32, ggc: u16) -> u64 {
    const LARGE: u64 = 32 * MIB;
    const SMALL: u64 = 4 * MIB;
    match (generation, u64::from(ggc >> 8), u64::from(ggc >> 3 & 0x1f)) {
        (..=7, _, units) => units * LARGE,
        (8, units, _) => units * LARGE,
        (_, units @ ..0xf0, _) => units * LARGE,
        (_, units, _) => (units - 0xf0 + 1) * SMALL,
    }
}

/// The stolen memory of the GPU `device` with this configuration space. `None` if there is none,
/// xen-pcidev hides the registers, or the generation is unknown.
pub fn stolen_memory(device: u32, config: &[u8]) -> Option<Range<u64>> {
    let generation = generation(device)?;
    let word = |at: usize| Some(u16::from_le_bytes(*config.get(at..)?.first_chunk()?));
    let long = |at: usize| {
        Some(u64::from(u32::from_le_bytes(
            *config.get(at..)?.first_chunk()?,
        )))
    };
    let start = match generation {
        ..=10 => long(BDSM)?,
        _ => long(BDSM_64)? | long(BDSM_64 + 4)? << 32,
    };
    // The lowest bit locks the register.
    let start = start / MIB * MIB;
    let size = size(generation, word(GGC)?);
    (start != 0 && size != 0).then_some(start..start.saturating_add(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stolen(device: u32, ggc: u16, at: usize, address: u64) -> Option<Range<u64>> {
        let mut config = [0; 256];
        config[GGC..][..2].copy_from_slice(&ggc.to_le_bytes());
        config[at..][..8].copy_from_slice(&address.to_le_bytes());
        stolen_memory(device, &config)
    }

    #[test]
    fn each_generation_counts_in_its_own_way() {
        for (device, ggc, at, mib) in [
            // Sandy Bridge, Haswell: bits 3 to 7, in units of 32 MiB.
            (0x0126, 0x0211, BDSM, 64),
            (0x0412, 0x0009, BDSM, 32),
            // Broadwell: bits 8 to 15.
            (0x1616, 0x01c1, BDSM, 32),
            (0x1616, 0xf0c1, BDSM, 0xf0 * 32),
            // Skylake and later: from 0xf0 on in units of 4 MiB.
            (0x1912, 0x01c1, BDSM, 32),
            (0x1912, 0xf0c1, BDSM, 4),
            (0x3e92, 0xffc1, BDSM, 64),
            // Ice Lake and later have 64 bits for the address.
            (0x8a52, 0x02c1, BDSM_64, 64),
            (0x46a6, 0xf1c1, BDSM_64, 8),
        ] {
            let found = stolen(device, ggc, at, 0x7cf0_0001);
            let wanted = 0x7cf0_0000..0x7cf0_0000 + mib * MIB;
            assert_eq!(found, Some(wanted), "{device:#x} {ggc:#x}");
        }
        let high = stolen(0x9a49, 0x01c1, BDSM_64, 0x12_8000_0000);
        assert_eq!(high, Some(0x12_8000_0000..0x12_8200_0000));
    }

    #[test]
    fn there_may_be_none() {
        assert_eq!(stolen(0x1912, 0x00c1, BDSM, 0x7cf0_0001), None);
        assert_eq!(stolen(0x1912, 0x01c1, BDSM, 0), None);
        assert_eq!(stolen(0x56a0, 0x01c1, BDSM, 0x7cf0_0001), None);
        assert_eq!(stolen_memory(0x1912, &[0; 64]), None);
        let last = stolen(0x9a49, 0xef01, BDSM_64, u64::MAX);
        assert!(last.is_some_and(|memory| memory.end == u64::MAX));
    }
}
