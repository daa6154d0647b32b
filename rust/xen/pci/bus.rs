// SPDX-License-Identifier: GPL-2.0

//! Notifications of the PCI bus: functions and their drivers come and go.
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

/// A change of the driver of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The driver's probe is about to run.
    Binding,
    /// The probe succeeded. A write to the driver's `bind` file has not returned yet.
    Bound,
    /// The probe failed.
    NotBound,
    /// The driver's remove is about to run.
    Unbinding,
    /// The driver was unbound; [`Locked::driver_name`] returns `None`.
    Unbound,
}

/// Callbacks for notifications of the PCI bus. All callbacks may sleep.
pub trait Observer: Send + Sync + 'static {
    /// Notifier priority; higher values are called first. The kernel's own notifier, which tells
    /// Xen of added and removed functions, has priority 0.
    const PRIORITY: i32 = 1;

    /// A function was added. No driver was bound to it yet.
    fn added(&self, dev: &InTree<'_>) {
        let _ = dev;
    }
    /// A function is about to be removed. Its driver was unbound. Xen is told of the removal after
    /// the observers with a priority above 0.
    fn removing(&self, dev: &Device) {
        let _ = dev;
    }
    /// A driver of a function is about to be bound or unbound, or was. The driver core holds the
    /// device lock.
    fn driver(&self, dev: &Locked, event: Event) {
        let _ = (dev, event);
    }
}

/// A registered observer, which is called until this value is dropped. Dropping it waits for
/// running calls.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// # use xen::pci::{bus::{Event, Observer, Registration}, Locked};
/// struct Log;
///
/// impl Observer for Log {
///     fn driver(&self, dev: &Locked, event: Event) {
///         dev_info!(dev, "{:?}: {:?}\n", dev.driver_name(), event);
///     }
/// }
///
/// let _registration = KBox::pin_init(Registration::new(Log), GFP_KERNEL)?;
/// # Ok::<(), Error>(())
/// ```
///
/// # Invariants
///
/// `block` is registered on the notifier chain of the PCI bus.
#[pin_data(PinnedDrop)]
pub struct Registration<T: Observer> {
    observer: T,
    #[pin]
    block: Opaque<bindings::notifier_block>,
}

// SAFETY: The notifier chain has its own lock, and `T` is `Send`.
unsafe impl<T: Observer> Send for Registration<T> {}
// SAFETY: A shared reference has no methods.
unsafe impl<T: Observer> Sync for Registration<T> {}

impl<T: Observer> Registration<T> {
    /// Registers `observer`. Functions that were added before cause no call. Errors are those of
    /// `bus_register_notifier()`. May sleep.
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
                // SAFETY: `slot` is valid for writes. It is pinned, and unregistered before it is
                // freed. The field `observer` is initialized.
                to_result(unsafe {
                    slot.write(block);
                    bindings::bus_register_notifier(&raw const bindings::pci_bus_type, slot)
                })
            }),
        }? Error)
    }

    /// # Safety
    ///
    /// Must only be called by the notifier chain of the PCI bus, with a block that [`Self::new`]
    /// registered.
    unsafe extern "C" fn call(
        block: *mut bindings::notifier_block,
        action: c_ulong,
        data: *mut c_void,
    ) -> c_int {
        let block: *mut Opaque<bindings::notifier_block> = block.cast();
        // SAFETY: By the function's requirement `block` is part of a `Self`, whose drop waits for
        // this call.
        let observer = unsafe { &(*kernel::container_of!(block, Self, block)).observer };
        // SAFETY: The driver core passes a device that is valid during the call.
        let Some(dev) = (unsafe { device::from_raw_device(data.cast()) }) else {
            return bindings::NOTIFY_DONE as c_int;
        };
        // CAST: The constants are small.
        let event = match action as u32 {
            bindings::bus_notifier_event_BUS_NOTIFY_ADD_DEVICE => {
                // SAFETY: The driver core is still adding the function, and does not remove it
                // before this call returns.
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
            // SAFETY: The driver core holds the device lock while it binds or unbinds a driver.
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
