// SPDX-License-Identifier: GPL-2.0

//! PCI drivers that take functions by their address, hear of resets and errors, and have files of
//! their own.
//!
//! [`kernel::pci::Driver`] takes functions by vendor and device only, and has no callbacks but
//! probe and unbind.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use core::{
    marker::PhantomData,
    ptr, //
};

use kernel::{
    error::{
        from_result,
        to_result, //
    },
    pci::Device,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    },
};

use crate::{
    bindings,
    driver_files::RawFile,
    fault,
    module,
    pci::{
        as_raw_device,
        Locked, //
    },
    sysfs::{
        Files,
        RawAttribute, //
    }, //
};

/// How bad an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// A transaction failed; the function and its link work.
    NonFatal,
    /// The link cannot be relied on; it is reset next, if the driver wants that.
    Fatal,
    /// The function is lost.
    Permanent,
}

/// A driver of PCI functions. All callbacks have the function's lock and may sleep.
pub trait Driver: 'static {
    /// The driver's name in sysfs.
    const NAME: &'static CStr;
    /// What the driver keeps of a function.
    type Data: Send + Sync + 'static;

    /// Whether the driver wants the function, and what it will keep of it. Called for every
    /// function without a driver: must not change anything, and is silent with `ENODEV`.
    fn accept(dev: &Locked) -> Result<Arc<Self::Data>>;
    /// Takes the function. After an error [`Driver::remove`] is not called.
    fn probe(dev: &Locked, data: ArcBorrow<'_, Self::Data>) -> Result;
    /// Gives the function up, because user space wants it, it is unplugged, or the driver goes.
    fn remove(dev: &Locked, data: ArcBorrow<'_, Self::Data>);
    /// Somebody, maybe this driver, is about to reset the function. The PCI core saves the
    /// function's configuration next.
    fn reset_prepare(dev: &Locked, data: ArcBorrow<'_, Self::Data>);
    /// The function was reset, or could not be, and the PCI core has put its configuration back.
    fn reset_done(dev: &Locked, data: ArcBorrow<'_, Self::Data>);
    /// The function, or the link to it, has an error.
    fn error_detected(dev: &Locked, data: ArcBorrow<'_, Self::Data>, severity: Severity);
    /// The link was reset after a fatal error, with all that is behind it; nothing was saved or put
    /// back. An error means that the function is lost.
    fn slot_reset(dev: &Locked, data: ArcBorrow<'_, Self::Data>) -> Result;
}

/// A registered driver. Dropping it gives all functions up.
///
/// # Invariants
///
/// `driver` is registered, with the callbacks of `T`.
#[pin_data(PinnedDrop)]
pub struct Registration<T: Driver> {
    #[pin]
    driver: Opaque<bindings::pci_driver>,
    _driver: PhantomData<T>,
}

// SAFETY: The driver core has its own locks.
unsafe impl<T: Driver> Send for Registration<T> {}
// SAFETY: Nothing can be done with a shared reference.
unsafe impl<T: Driver> Sync for Registration<T> {}

/// Any function, and the end of the list. The kernel crate's list is another one in each version.
static IDS: [bindings::pci_device_id; 2] = [
    bindings::pci_device_id {
        vendor: ANY_ID,
        device: ANY_ID,
        subvendor: ANY_ID,
        subdevice: ANY_ID,
        ..pin_init::zeroed()
    },
    pin_init::zeroed(),
];

/// `PCI_ANY_ID`, which C has as a negative number.
const ANY_ID: u32 = !0;

impl<T: Driver> Registration<T> {
    /// Registers the driver with its files, its own and those that each of its functions gets;
    /// `EBUSY` if there is one of that name. All functions without a driver are offered to it
    /// before this returns.
    pub fn new(
        files: &'static Files<RawFile>,
        of_device: &'static Files<RawAttribute>,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            driver <- Opaque::try_ffi_init(|slot: *mut bindings::pci_driver| {
                fault::point("registering the PCI driver")?;
                let driver = bindings::pci_driver {
                    name: T::NAME.as_char_ptr(),
                    id_table: IDS.as_ptr(),
                    probe: Some(Self::probe),
                    remove: Some(Self::remove),
                    err_handler: &raw const Self::HANDLERS.0,
                    groups: files.groups(),
                    dev_groups: of_device.groups(),
                    ..Default::default()
                };
                // SAFETY: `slot` is ours to write; it is pinned, and unregistered before it is
                // freed.
                to_result(unsafe {
                    slot.write(driver);
                    bindings::__pci_register_driver(slot, module::this(), T::NAME.as_char_ptr())
                })
            }),
            _driver: PhantomData,
        }? Error)
    }

    const HANDLERS: &'static Handlers = &Handlers(bindings::pci_error_handlers {
        error_detected: Some(Self::error_detected),
        mmio_enabled: None,
        slot_reset: Some(Self::slot_reset),
        reset_prepare: Some(Self::reset_prepare),
        reset_done: Some(Self::reset_done),
        resume: None,
        cor_error_detected: None,
    });

    /// # Safety
    ///
    /// Called by the PCI core for a function of this driver, with its lock held.
    unsafe extern "C" fn probe(
        dev: *mut bindings::pci_dev,
        _id: *const bindings::pci_device_id,
    ) -> c_int {
        // SAFETY: By the function's requirement.
        let dev = unsafe { Self::locked(dev) };
        from_result(|| {
            let data = T::accept(dev)?;
            // The callbacks of a reset in the probe find it here.
            // SAFETY: `dev` is a valid device that has no driver data yet.
            unsafe {
                bindings::dev_set_drvdata(as_raw_device(dev), data.clone().into_foreign().cast())
            };
            T::probe(dev, data.as_arc_borrow()).inspect_err(|_| {
                // SAFETY: Set just now, and nobody calls back any more.
                unsafe { Self::forget(dev) }
            })?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the PCI core for a function that was probed, with its lock held.
    unsafe extern "C" fn remove(dev: *mut bindings::pci_dev) {
        // SAFETY: By the function's requirement.
        unsafe {
            Self::with_data(dev, T::remove);
            Self::forget(Self::locked(dev));
        }
    }

    /// # Safety
    ///
    /// As [`Self::with_data`].
    unsafe extern "C" fn reset_prepare(dev: *mut bindings::pci_dev) {
        // SAFETY: By the function's requirement.
        unsafe { Self::with_data(dev, T::reset_prepare) };
    }

    /// # Safety
    ///
    /// As [`Self::with_data`].
    unsafe extern "C" fn reset_done(dev: *mut bindings::pci_dev) {
        // SAFETY: By the function's requirement.
        unsafe { Self::with_data(dev, T::reset_done) };
    }

    /// # Safety
    ///
    /// As [`Self::with_data`].
    unsafe extern "C" fn error_detected(
        dev: *mut bindings::pci_dev,
        state: bindings::pci_channel_state_t,
    ) -> bindings::pci_ers_result_t {
        let severity = match state {
            PCI_CHANNEL_IO_NORMAL => Severity::NonFatal,
            PCI_CHANNEL_IO_FROZEN => Severity::Fatal,
            _ => Severity::Permanent,
        };
        // SAFETY: By the function's requirement.
        unsafe { Self::with_data(dev, |dev, data| T::error_detected(dev, data, severity)) };
        match severity {
            Severity::NonFatal => bindings::pci_ers_result_PCI_ERS_RESULT_CAN_RECOVER,
            Severity::Fatal => bindings::pci_ers_result_PCI_ERS_RESULT_NEED_RESET,
            Severity::Permanent => bindings::pci_ers_result_PCI_ERS_RESULT_DISCONNECT,
        }
    }

    /// # Safety
    ///
    /// As [`Self::with_data`].
    unsafe extern "C" fn slot_reset(dev: *mut bindings::pci_dev) -> bindings::pci_ers_result_t {
        // SAFETY: By the function's requirement.
        match unsafe { Self::with_data(dev, T::slot_reset) } {
            Some(Ok(())) => bindings::pci_ers_result_PCI_ERS_RESULT_RECOVERED,
            _ => bindings::pci_ers_result_PCI_ERS_RESULT_DISCONNECT,
        }
    }

    /// # Safety
    ///
    /// `dev` is a valid function whose lock is held for `'a`.
    unsafe fn locked<'a>(dev: *mut bindings::pci_dev) -> &'a Locked {
        // SAFETY: By the function's requirement; `Device` is a transparent wrapper.
        unsafe { Locked::new(&*dev.cast::<Device>()) }
    }

    /// # Safety
    ///
    /// `dev` is a valid function that this driver has, or probes, and its lock is held.
    unsafe fn with_data<R>(
        dev: *mut bindings::pci_dev,
        f: impl FnOnce(&Locked, ArcBorrow<'_, T::Data>) -> R,
    ) -> Option<R> {
        // SAFETY: By the function's requirement.
        let dev = unsafe { Self::locked(dev) };
        // SAFETY: `dev` is a valid device.
        let data = unsafe { bindings::dev_get_drvdata(as_raw_device(dev)) };
        if data.is_null() {
            return None;
        }
        // SAFETY: Only `probe` sets it, to an `Arc` that `forget` takes under the lock.
        Some(f(dev, unsafe { Arc::<T::Data>::borrow(data.cast()) }))
    }

    /// # Safety
    ///
    /// The driver data was set by [`Self::probe`], and nobody borrows it.
    unsafe fn forget(dev: &Locked) {
        let raw = as_raw_device(dev);
        // SAFETY: By the function's requirement.
        unsafe {
            let data = bindings::dev_get_drvdata(raw);
            bindings::dev_set_drvdata(raw, ptr::null_mut());
            drop(Arc::<T::Data>::from_foreign(data.cast()));
        }
    }
}

/// `pci_channel_io_normal`, which the kernel's bindings lack.
const PCI_CHANNEL_IO_NORMAL: bindings::pci_channel_state_t = 1;
/// `pci_channel_io_frozen`, as above.
const PCI_CHANNEL_IO_FROZEN: bindings::pci_channel_state_t = 2;

#[repr(transparent)]
struct Handlers(bindings::pci_error_handlers);

// SAFETY: Nothing changes them.
unsafe impl Sync for Handlers {}

#[pinned_drop]
impl<T: Driver> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant. Functions are removed, and running callbacks waited for.
        unsafe { bindings::pci_unregister_driver(self.driver.get()) };
    }
}

impl Locked {
    /// Whether the driver that the function is bound to, or being bound to, hears of resets.
    pub fn driver_hears_resets(&self) -> bool {
        // SAFETY: The driver of a PCI function is in a `struct pci_driver`, and cannot change. The
        // core's own pointer to that is not set yet when a probe is only about to run.
        unsafe {
            let driver = (*as_raw_device(self)).driver;
            if driver.is_null() {
                return false;
            }
            let driver = driver.byte_sub(core::mem::offset_of!(bindings::pci_driver, driver));
            let handlers = (*driver.cast::<bindings::pci_driver>()).err_handler;
            handlers
                .as_ref()
                .is_some_and(|handlers| handlers.reset_done.is_some())
        }
    }
}

/// Takes the function from its driver, as user space can. May sleep, as the driver's remove may;
/// the caller must not have the function's lock.
pub fn release(dev: &Device) {
    // SAFETY: A valid device.
    unsafe { bindings::device_release_driver(as_raw_device(dev)) };
}
