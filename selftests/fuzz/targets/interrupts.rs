// SPDX-License-Identifier: GPL-2.0

//! `interrupts`: what a guest requests in any order, while actions fail.

use std::{
    cell::RefCell,
    collections::BTreeMap, //
};

use kernel::prelude::*;

use crate::{
    bytes::Bytes,
    interrupts::{
        Actions,
        Interrupts,
        Kind,
        Message, //
    },
    operation::{
        Operation,
        Request,
        WORDS, //
    },
};

/// The guest's pirqs in Xen, and the function.
#[derive(Default)]
struct Machine {
    mapped: BTreeMap<u16, Option<u16>>,
    next: u16,
    enabled: Option<Kind>,
    /// The action that fails.
    fails: Option<u8>,
}

impl Machine {
    fn act(&mut self) -> Result {
        self.fails = match self.fails {
            Some(0) => return Err(EIO),
            Some(more) => Some(more - 1),
            None => None,
        };
        Ok(())
    }
}

struct Shared<'a>(&'a RefCell<Machine>);

impl Actions for Shared<'_> {
    fn map(&mut self, message: Message) -> Result<u16> {
        let mut machine = self.0.borrow_mut();
        machine.act()?;
        assert_eq!(machine.enabled, None, "mapped under the function");
        let entry = match message {
            Message::Msi => None,
            Message::Msix(entry) => Some(entry),
        };
        assert!(
            !machine.mapped.values().any(|other| *other == entry),
            "mapped twice"
        );
        machine.next += 1;
        let pirq = machine.next;
        machine.mapped.insert(pirq, entry);
        Ok(pirq)
    }

    fn unmap(&mut self, pirq: u16) -> Result {
        let mut machine = self.0.borrow_mut();
        assert_eq!(machine.enabled, None, "unmapped under the function");
        machine.act()?;
        assert!(machine.mapped.remove(&pirq).is_some(), "unmapped twice");
        Ok(())
    }

    fn enable(&mut self, kind: Kind) -> Result {
        let mut machine = self.0.borrow_mut();
        assert_eq!(machine.enabled.replace(kind), None);
        machine.act()
    }

    fn disable(&mut self, kind: Kind) {
        assert_eq!(self.0.borrow_mut().enabled.take(), Some(kind));
    }
}

pub(crate) fn run(input: &[u8]) {
    let mut source = Bytes::new(input);
    let size = u16::from(source.byte());
    let machine = RefCell::new(Machine::default());
    let mut interrupts = Interrupts::new(Shared(&machine));
    // What is on, and which entries, in order.
    let mut on: Option<Vec<Option<u16>>> = None;
    // Whether something may have failed that unmaps.
    let mut has_failed = false;
    while !source.is_empty() {
        let what = source.byte();
        machine.borrow_mut().fails = (what & 4 != 0).then(|| source.byte());
        match what & 3 {
            0 | 1 => {
                let is_msix = what & 1 == 1;
                let count = if is_msix {
                    usize::from(what >> 3) % 12 + 1
                } else {
                    1
                };
                let mut words = [0; WORDS];
                words[0] = if is_msix { 4 } else { 2 };
                words[7] = count as u32;
                let wanted: Vec<u16> = (0..count * usize::from(is_msix))
                    .map(|_| source.byte().into())
                    .collect();
                for (word, entry) in words[9..].iter_mut().zip(&wanted) {
                    *word = u32::from(*entry) << 16;
                }
                let operation = Request::decode(&words).expect("valid").operation;
                let done = match operation {
                    Operation::EnableMsix(entries) => {
                        interrupts.enable_msix(&entries, size).map(<[u16]>::to_vec)
                    }
                    _ => interrupts.enable_msi().map(|pirq| vec![pirq]),
                };
                let is_wrong = wanted
                    .iter()
                    .enumerate()
                    .any(|(n, entry)| *entry >= size || wanted[..n].contains(entry));
                let fails = what & 4 != 0 && machine.borrow().fails == Some(0);
                if is_wrong {
                    assert_eq!(done, Err(EACCES));
                } else if on.is_some() {
                    assert_eq!(done, Err(EBUSY));
                } else if let Err(e) = done {
                    assert!(fails && e == EIO);
                    has_failed = true;
                } else {
                    let named = if is_msix {
                        wanted.into_iter().map(Some).collect()
                    } else {
                        vec![None]
                    };
                    let machine = machine.borrow();
                    let mapped = |pirq| machine.mapped.get(pirq).copied();
                    assert!(done
                        .iter()
                        .flatten()
                        .map(mapped)
                        .eq(named.iter().copied().map(Some)));
                    on = Some(named);
                }
            }
            _ => {
                has_failed = interrupts.disable().is_err();
                assert_eq!(has_failed, !machine.borrow().mapped.is_empty());
                on = None;
            }
        }
        let machine = machine.borrow();
        let kind = on
            .as_ref()
            .map(|on| if on == &[None] { Kind::Msi } else { Kind::Msix });
        assert_eq!(machine.enabled, kind);
        match &on {
            Some(on) => assert_eq!(machine.mapped.len(), on.len()),
            None => assert!(has_failed || machine.mapped.is_empty(), "not unmapped"),
        }
    }
    machine.borrow_mut().fails = None;
    drop(interrupts);
    let machine = machine.borrow();
    assert!(
        machine.mapped.is_empty() && machine.enabled.is_none(),
        "the guest is left something"
    );
}
