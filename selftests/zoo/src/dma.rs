// SPDX-License-Identifier: GPL-2.0

//! Guest memory as the function reaches it: what the emulated IOMMU maps, as files and offsets.
//!
//! Each mapping comes with a descriptor of the same memory file, of which one is kept. With an
//! IOMMU in the machine there is a mapping for each run of pages: neighbours are joined.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

/// Bytes of memory at a bus address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mapping {
    size: u64,
    file: usize,
    offset: u64,
    writable: bool,
}

/// All mappings of a function.
#[derive(Debug, Default)]
pub struct Dma {
    /// With the device and inode that tell two apart.
    files: Vec<((u64, u64), File)>,
    maps: BTreeMap<u64, Mapping>,
}

impl Dma {
    /// Maps a file at a bus address.
    pub fn map(
        &mut self,
        address: u64,
        size: u64,
        offset: u64,
        writable: bool,
        file: File,
    ) -> io::Result<()> {
        let metadata = file.metadata()?;
        let identity = (metadata.dev(), metadata.ino());
        let known = self.files.iter().position(|(other, _)| *other == identity);
        let file = known.unwrap_or_else(|| {
            self.files.push((identity, file));
            self.files.len() - 1
        });
        self.insert(
            address,
            Mapping {
                size,
                file,
                offset,
                writable,
            },
        );
        Ok(())
    }

    fn insert(&mut self, address: u64, new: Mapping) {
        self.unmap(address, new.size);
        if let Some((&start, before)) = self.maps.range_mut(..address).next_back() {
            let gap = address - start;
            let joined = before.size == gap
                && before.file == new.file
                && before.writable == new.writable
                && before.offset.checked_add(gap) == Some(new.offset);
            if joined {
                before.size += new.size;
                return;
            }
        }
        self.maps.insert(address, new);
    }

    /// Unmaps what lies in a range; parts of a mapping stay.
    pub fn unmap(&mut self, address: u64, size: u64) {
        let end = address.saturating_add(size);
        let touched: Vec<_> = self
            .maps
            .range(..end)
            .rev()
            .take_while(|(start, map)| *start + map.size > address)
            .map(|(start, map)| (*start, *map))
            .collect();
        for (start, map) in touched {
            self.maps.remove(&start);
            if start < address {
                let size = address - start;
                self.maps.insert(start, Mapping { size, ..map });
            }
            if start + map.size > end {
                let gone = end - start;
                let rest = Mapping {
                    size: map.size - gone,
                    offset: map.offset + gone,
                    ..map
                };
                self.maps.insert(end, rest);
            }
        }
    }

    /// Unmaps everything.
    pub fn clear(&mut self) {
        self.maps.clear();
    }

    /// How many runs of memory are mapped.
    pub fn runs(&self) -> usize {
        self.maps.len()
    }

    /// Reads memory; fails if a byte of it is not mapped.
    pub fn read(&self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        let (map, at) = self.find(address, length)?;
        let mut data = vec![0; length];
        self.files[map.file].1.read_exact_at(&mut data, at)?;
        Ok(data)
    }

    /// Writes to memory; fails if a byte of it is not mapped.
    pub fn write(&self, address: u64, data: &[u8]) -> io::Result<()> {
        let (map, at) = self.find(address, data.len())?;
        if !map.writable {
            return Err(fault());
        }
        self.files[map.file].1.write_all_at(data, at)
    }

    /// The mapping that has all of a range, and where it begins in the file.
    fn find(&self, address: u64, length: usize) -> io::Result<(&Mapping, u64)> {
        let (start, map) = self.maps.range(..=address).next_back().ok_or_else(fault)?;
        let inside = address - start;
        if inside + length as u64 > map.size {
            return Err(fault());
        }
        Ok((map, map.offset + inside))
    }
}

fn fault() -> io::Error {
    io::ErrorKind::NotFound.into()
}

#[cfg(test)]
mod tests {
    use super::{Dma, Mapping};

    fn map(size: u64, offset: u64) -> Mapping {
        Mapping {
            size,
            file: 0,
            offset,
            writable: true,
        }
    }

    #[test]
    fn neighbours_are_joined_and_split() {
        let mut dma = Dma::default();
        dma.insert(0x1000, map(0x1000, 0x5000));
        dma.insert(0x2000, map(0x2000, 0x6000));
        assert_eq!(dma.runs(), 1);
        dma.insert(0x4000, map(0x1000, 0x1000));
        assert_eq!(dma.runs(), 2);
        dma.unmap(0x2000, 0x1000);
        assert_eq!(dma.maps[&0x1000], map(0x1000, 0x5000));
        assert_eq!(dma.maps[&0x3000], map(0x1000, 0x7000));
        dma.unmap(0, u64::MAX);
        assert_eq!(dma.runs(), 0);
    }

    #[test]
    fn nothing_is_written_that_is_not_mapped() {
        assert!(Dma::default().write(0, &[0]).is_err());
    }
}
