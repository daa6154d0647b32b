// SPDX-License-Identifier: GPL-2.0

//! Notifications of what happens to PCI functions.
//!
//! C header: [`include/linux/device/bus.h`](srctree/include/linux/device/bus.h)

use kernel::{
    error::to_result,
    pci::Device,
    prelude::*,
    types::Opaque, //
};

use crate::{
    bindings,
    linux::fault,
    pci::{
        device,
        InTree,
        Locked, //
    }, //
};

/// What happens between a function and a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A driver's probe is about to run.
    Binding,
    /// The probe succeeded. User space that asked for the binding is still waiting.
    Bound,
    /// The probe failed.
    NotBound,
    /// The driver's remove is about to run.
    Unbinding,
    /// The driver is gone, and so is its name.
    Unbound,
}

/// Hears of events of PCI functions. All callbacks may sleep.
pub trait Observer: Send + Sync + 'static {
    /// Notifier priority; higher values are called first. The kernel's own observer, which tells
    /// Xen of functions that come and go, has 0.
    const PRIORITY: i32 = 1;

    /// A function was added; no driver has seen it.
    fn added(&self, dev: &InTree<'_>) {
        let _ = dev;
    }
    /// A function is about to be removed; its driver, if it had one, is gone, and Xen still knows
    /// the function.
    fn removing(&self, dev: &Device) {
        let _ = dev;
    }
    /// A driver comes or goes.
    fn driver(&self, dev: &Locked, event: Event) {
        let _ = (dev, event);
    }
}

/// Calls an observer for as long as this value lives.
///
/// # Invariants
///
/// `block` is registered on the PCI bus.
#[pin_data(PinnedDrop)]
pub struct Registration<T: Observer> {
    observer: T,
    #[pin]
    block: Opaque<bindings::notifier_block>,
}

// SAFETY: The chain that `block` is in has its own lock, and the observer can be sent.
unsafe impl<T: Observer> Send for Registration<T> {}
// SAFETY: Nothing can be done with a shared reference.
unsafe impl<T: Observer> Sync for Registration<T> {}

impl<T: Observer> Registration<T> {
    /// Registers `observer`. May sleep.
    pub fn new(observer: T) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            observer,
            block <- Opaque::try_ffi_init(|slot: *mut bindings::notifier_block| {
                fault::point("hearing of functions")?;
                let block = bindings::notifier_block {
                    notifier_call: Some(Self::call),
                    priority: T::PRIORITY,
                    ..pin_init::zeroed()
                };
                // SAFETY: `slot` is ours to write; pinned, and unregistered before it is freed. The
                // observer is initialized.
                to_result(unsafe {
                    slot.write(block);
                    bindings::bus_register_notifier(&raw const bindings::pci_bus_type, slot)
                })
            }),
        }? Error)
    }

    /// # Safety
    ///
    /// Called by the notifier chain of the PCI bus.
    unsafe extern "C" fn call(
        block: *mut bindings::notifier_block,
        action: c_ulong,
        data: *mut c_void,
    ) -> c_int {
        let block: *mut Opaque<bindings::notifier_block> = block.cast();
        // SAFETY: By the function's requirement the block is that of a registration, which waits
        // for this call before it goes.
        let observer = unsafe { &(*kernel::container_of!(block, Self, block)).observer };
        // SAFETY: The driver core passes a device that is alive during the call.
        let Some(dev) = (unsafe { device::from_raw_device(data.cast()) }) else {
            return bindings::NOTIFY_DONE as c_int;
        };
        // CAST: The constants are small.
        let event = match action as u32 {
            bindings::bus_notifier_event_BUS_NOTIFY_ADD_DEVICE => {
                // SAFETY: The driver core is still adding it.
                observer.added(&unsafe { InTree::new(dev) });
                None
            }
            bindings::bus_notifier_event_BUS_NOTIFY_DEL_DEVICE => {
                observer.removing(dev);
                None
            }
            bindings::bus_notifier_event_BUS_NOTIFY_BIND_DRIVER => Some(Event::Binding),
            bindings::bus_notifier_event_BUS_NOTIFY_BOUND_DRIVER => Some(Event::Bound),
            bindings::bus_notifier_event_BUS_NOTIFY_DRIVER_NOT_BOUND => Some(Event::NotBound),
            bindings::bus_notifier_event_BUS_NOTIFY_UNBIND_DRIVER => Some(Event::Unbinding),
            bindings::bus_notifier_event_BUS_NOTIFY_UNBOUND_DRIVER => Some(Event::Unbound),
            _ => None,
        };
        if let Some(event) = event {
            // SAFETY: The driver core holds the lock of a device while it binds or unbinds a
            // driver.
            observer.driver(unsafe { Locked::new(dev) }, event);
        }
        bindings::NOTIFY_DONE as c_int
    }
}

#[pinned_drop]
impl<T: Observer> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant the block is registered. This waits for running calls.
        unsafe {
            bindings::bus_unregister_notifier(&raw const bindings::pci_bus_type, self.block.get())
        };
    }
}
