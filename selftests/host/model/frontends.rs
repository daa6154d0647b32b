// SPDX-License-Identifier: GPL-2.0

//! The frontend of a PV guest: the page that it shares, and the events that it sends.

use core::{ffi::CStr, marker::PhantomData};

use checker::{loom::sync::Mutex, InOrder};
use kernel::{context, error::Result};

use crate::backends::Device;

/// The only PV guest.
pub const PV_GUEST: u16 = 9;

thread_local! {
    static GUEST: InOrder<Mutex<Guest>> = const { InOrder::new() };
}

#[derive(Default)]
struct Guest {
    page: Vec<u32>,
    is_mapped: bool,
    event: Option<Box<dyn Fn()>>,
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
        for (index, word) in words {
            guest.page[1 + index] = *word;
        }
        guest.page[0] = 1;
        // Whoever unbinds the channel waits for the handler.
        if let Some(event) = &guest.event {
            context::atomic(|| event());
        }
    });
}

/// What the guest is told about its last request.
pub fn error() -> i32 {
    guest(|guest| guest.page[2] as i32)
}

/// Whether somebody can see what the guest writes.
pub fn is_connected() -> bool {
    guest(|guest| guest.is_mapped || guest.event.is_some())
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

    pub fn done(&self, _is_spurious: bool) {}

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
        guest(|guest| guest.page[index])
    }

    pub fn copy<const N: usize>(&self, first: usize) -> [u32; N] {
        guest(|guest| core::array::from_fn(|index| guest.page[first + index]))
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
        guest(|guest| guest.is_mapped = false);
    }
}
