// SPDX-License-Identifier: GPL-2.0

//! The frontend of a PV guest: the page that it shares, and the events that it sends.

use core::{ffi::CStr, marker::PhantomData};

use checker::{loom::sync::Mutex, InOrder};
use kernel::{context, error::Result};

use crate::{backends::Device, pci};

/// The only PV guest.
pub const PV_GUEST: u16 = 9;

thread_local! {
    static GUEST: InOrder<Mutex<Guest>> = const { InOrder::new() };
}

#[derive(Default)]
struct Guest {
    page: Vec<u32>,
    /// The words of the request that were read.
    seen: Vec<usize>,
    is_mapped: bool,
    /// Nothing is given back before the page is unmapped.
    is_ending: bool,
    event: Option<Box<dyn Fn()>>,
    /// An event came, and others wait for [`EventChannel::done`].
    is_pending: bool,
    others_wait: bool,
    /// How many events asked for nothing.
    spurious: u32,
}

impl Guest {
    /// Whoever unbinds the channel waits for the handler.
    fn send(&mut self) {
        let Some(event) = &self.event else { return };
        if self.is_pending {
            self.others_wait = true;
        } else {
            self.is_pending = true;
            context::atomic(|| event());
        }
    }

    /// A guest changes what was read (XSA-155).
    fn read(&mut self, index: usize) -> u32 {
        if index > 0 {
            assert!(
                !self.seen.contains(&index),
                "a word of a request is read twice"
            );
            self.seen.push(index);
        }
        self.page[index]
    }
}

fn guest<R>(f: impl FnOnce(&mut Guest) -> R) -> R {
    let guest = GUEST.with(InOrder::get);
    let mut guest = guest.lock().expect("nobody panics");
    guest.page.resize(1024, 0);
    f(&mut guest)
}

/// The guest requests something: the words of a `struct xen_pci_op`.
pub fn request(words: &[(usize, u32)]) {
    guest(|guest| {
        guest.page.fill(0);
        guest.seen.clear();
        for (index, word) in words {
            guest.page[1 + index] = *word;
        }
        guest.page[0] = 1;
        guest.send();
    });
}

/// It sends an event without a request.
pub fn send_event() {
    guest(Guest::send);
}

/// How many of those were delayed.
pub fn spurious_events() -> u32 {
    guest(|guest| guest.spurious)
}

/// What the guest is told about its last request.
pub fn error() -> i32 {
    guest(|guest| guest.page[2] as i32)
}

/// Whether somebody can see what the guest writes.
pub fn is_connected() -> bool {
    guest(|guest| guest.is_mapped || guest.event.is_some())
}

/// The guest, which has left something in all of its functions, ends.
pub fn end() {
    guest(|guest| guest.is_ending = true);
}

/// As in the crate.
pub trait Handler: 'static {
    fn event(&self);
}

/// As in the crate.
pub struct EventChannel<H>(PhantomData<H>);

impl<H: Handler> EventChannel<H> {
    pub fn bind(_dev: &Device, _port: u32, _name: &'static CStr, handler: H) -> Result<Self> {
        context::might_sleep();
        guest(|guest| guest.event = Some(Box::new(move || handler.event())));
        Ok(Self(PhantomData))
    }

    pub fn done(&self, is_spurious: bool) {
        guest(|guest| {
            if core::mem::take(&mut guest.is_pending) {
                guest.spurious += u32::from(is_spurious);
                if core::mem::take(&mut guest.others_wait) {
                    guest.send();
                }
            }
        });
    }

    pub fn notify(&self) {}
}

impl<H> Drop for EventChannel<H> {
    fn drop(&mut self) {
        let event = guest(|guest| guest.event.take());
        assert!(event.is_some(), "unbound twice");
    }
}

/// As in the crate.
pub struct SharedPage(());

impl SharedPage {
    pub fn map(_dev: &Device, _grant: u32) -> Result<Self> {
        context::might_sleep();
        guest(|guest| guest.is_mapped = true);
        Ok(Self(()))
    }

    pub fn read(&self, index: usize) -> u32 {
        guest(|guest| guest.read(index))
    }

    pub fn copy<const N: usize>(&self, first: usize) -> [u32; N] {
        guest(|guest| core::array::from_fn(|index| guest.read(first + index)))
    }

    pub fn write(&self, index: usize, value: u32) {
        guest(|guest| guest.page[index] = value);
    }

    pub fn clear_bit(&self, bit: u8) {
        guest(|guest| guest.page[0] &= !(1 << bit));
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        let is_ending = guest(|guest| {
            guest.is_mapped = false;
            guest.is_ending
        });
        if is_ending && !std::thread::panicking() {
            for dev in pci::iter() {
                let dirt = dev.registers(|registers| registers.dirt);
                assert_eq!(dirt, PV_GUEST, "given back while a page is mapped");
            }
        }
    }
}
