// SPDX-License-Identifier: GPL-2.0

//! `Info`, `Index` and `Assignments`: what is told of functions that come, are assigned and go.

use std::collections::BTreeMap;

use xen::{
    gsi::{
        NoRoute,
        Route, //
    },
    pci::{
        MsixTable,
        Pin,
        Sbdf, //
    }, //
};

use crate::{
    assignments::{
        Assignment,
        Assignments, //
    },
    bytes::Bytes,
    index::Index,
    info::{
        Holder,
        Info,
        Msix, //
    },
    uapi, //
};

/// Few functions on few lines, so that they meet.
pub(crate) fn address(byte: u8) -> Sbdf {
    let byte = u32::from(byte);
    Sbdf::from_u32((byte & 1) << 16 | (byte >> 1 & 1) << 8 | byte >> 2 & 7)
}

/// Anything that may be known of a function.
pub(crate) fn info(bytes: &mut Bytes<'_>) -> Info {
    let (line, rest) = (bytes.byte(), bytes.byte());
    Info {
        pin: Pin::decode(rest & 7),
        route: match line & 7 {
            6 => Err(NoRoute::NoPin),
            7 => Err(NoRoute::Unrouted),
            gsi => Route::decode(
                i32::from(gsi),
                (line >> 3 & 1).into(),
                (line >> 4 & 1).into(),
            ),
        },
        table: MsixTable::decode(rest.into(), u32::from(line >> 5)),
        holder: match rest >> 3 & 3 {
            0 => Holder::Nobody,
            1 => Holder::Driver,
            _ => Holder::Pciback,
        },
        irq: (rest & 0x20 != 0).then_some(u32::from(line & 3)),
        may_use_line: rest & 0x18 == 8,
        msix: match rest >> 6 {
            0 => Msix::Free,
            1 => Msix::Refused,
            _ => Msix::Held,
        },
        opregion: None,
    }
}

/// What the fuzzer has done, in the plainest form.
#[derive(Default)]
struct Known {
    gsis: BTreeMap<u32, u32>,
    /// Domain, function, and whether it is closing.
    assigned: Vec<(u16, u32, bool)>,
}

impl Known {
    fn domain(&self, sbdf: u32) -> Option<u16> {
        let found = self.assigned.iter().find(|(_, other, _)| *other == sbdf);
        found.map(|(domain, _, _)| *domain)
    }

    /// The functions of each domain that has one.
    fn by_domain(&self) -> BTreeMap<u16, Vec<u32>> {
        let mut by_domain = BTreeMap::<_, Vec<_>>::new();
        for (domain, sbdf, _) in &self.assigned {
            by_domain.entry(*domain).or_default().push(*sbdf);
        }
        by_domain
    }

    fn keeps_line(&self, sbdf: u32) -> bool {
        let Some(domain) = self.domain(sbdf) else {
            return false;
        };
        let others = self
            .assigned
            .iter()
            .filter(|(other, function, closing)| *other == domain && *function != sbdf && !closing);
        let gsi = self.gsis.get(&sbdf);
        gsi.is_some()
            && others
                .filter(|(_, function, _)| self.gsis.get(function) == gsi)
                .count()
                > 0
    }
}

fn check_info(sbdf: Sbdf, info: &Info, domain: Option<u16>) {
    let found = info.to_uapi(sbdf, domain);
    let words = found.to_words();
    assert_eq!(words[..3], [0, 0, sbdf.to_u32()]);
    // A field that is not valid is zero.
    let has = |bit| found.valid & bit != 0;
    assert_eq!(has(uapi::VALID_GSI), info.route.is_ok());
    assert_eq!(has(uapi::VALID_IRQ), info.irq.is_some());
    assert_eq!(has(uapi::VALID_DOMID), domain.is_some());
    assert!(has(uapi::VALID_GSI) || (found.gsi, found.trigger, found.polarity) == (0, 0, 0));
    assert_eq!(found.irq, info.irq.unwrap_or(0));
    assert_eq!(found.domid, domain.map_or(0, u32::from));
    assert_eq!(
        found.msix_entries,
        info.table.map_or(0, |table| table.entries.into())
    );
    assert!(found.valid < 8 && found.pin <= 4 && found.holder <= 2 && found.msix <= 2);
}

pub(crate) fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (index, mut assignments) = (Index::new(), Assignments::new());
    let mut known = Known::default();
    while !bytes.is_empty() {
        let (what, which) = (bytes.byte(), bytes.byte());
        let sbdf = address(which);
        match what % 4 {
            0 => {
                let info = info(&mut bytes);
                check_info(sbdf, &info, (what & 4 != 0).then_some(which.into()));
                index.make_room(sbdf).expect("there is memory");
                let gsi = info.route.map(|route| route.gsi);
                index.set(sbdf, gsi.map_err(Into::into));
                match gsi {
                    Ok(gsi) => known.gsis.insert(sbdf.to_u32(), gsi),
                    Err(_) => known.gsis.remove(&sbdf.to_u32()),
                };
            }
            1 => {
                index.set(sbdf, Err(kernel::error::ENODEV));
                known.gsis.remove(&sbdf.to_u32());
            }
            _ => {
                let domain = u16::from(what >> 6);
                let list: Vec<_> = (0..which % 4)
                    .map(|_| {
                        let byte = bytes.byte();
                        (address(byte), byte >> 7 != 0)
                    })
                    .collect();
                let new: Vec<_> = list
                    .iter()
                    .map(|(sbdf, closing)| match closing {
                        true => Assignment::closing(*sbdf),
                        false => Assignment::open(*sbdf),
                    })
                    .collect();
                assignments.replace(domain, &new).expect("there is memory");
                known.assigned.retain(|(other, _, _)| *other != domain);
                let new = list
                    .iter()
                    .map(|(s, closing)| (domain, s.to_u32(), *closing));
                known.assigned.extend(new);
            }
        }
        let by_domain = assignments.domains().map(|domain| {
            let functions = assignments.functions(domain).map(Sbdf::to_u32);
            (domain, functions.collect::<Vec<_>>())
        });
        assert_eq!(by_domain.collect::<BTreeMap<_, _>>(), known.by_domain());
        for byte in 0..32 {
            let sbdf = address(byte);
            let gsi = known.gsis.get(&sbdf.to_u32()).copied();
            assert_eq!(index.get(sbdf).ok(), gsi);
            assert_eq!(assignments.domain(sbdf), known.domain(sbdf.to_u32()));
            let on_line = |other| gsi.is_some() && index.get(other).ok() == gsi;
            assert_eq!(
                assignments.keeps_line(sbdf, on_line),
                known.keeps_line(sbdf.to_u32())
            );
        }
    }
}
