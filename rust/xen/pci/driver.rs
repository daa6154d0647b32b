// SPDX-License-Identifier: GPL-2.0

//! PCI drivers that choose functions by address, are told of resets and errors, and have files of
//! their own.
//!
//! [`kernel::pci::Driver`] matches vendor and device IDs only, and has no callbacks but probe and
//! unbind.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use core::ptr;

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
    linux::{
        fault,
        module, //
    },
    pci::{
        device::as_raw_device,
        driver_files::{
            DriverFile,
            DriverFiles, //
        },
        Locked, //
    }, //
};

/// The severity of an error that the PCI core reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// A transaction failed. The function and its link work (`pci_channel_io_normal`).
    NonFatal,
    /// The link is unreliable. The PCI core resets it next (`pci_channel_io_frozen`).
    Fatal,
    /// The function has failed permanently (`pci_channel_io_perm_failure`).
    Permanent,
}

/// Callbacks of a PCI driver. The device lock is held in all of them, and all may sleep.
///
/// The value is the context of the callbacks. Its [`Registration`] owns it.
pub trait Driver: Send + Sync + Sized + 'static {
    /// The driver's name in sysfs.
    const NAME: &'static CStr;
    /// The driver's own files, in `/sys/bus/pci/drivers/NAME/`.
    const FILES: &'static [DriverFile<Self>];
    /// The driver's data of a bound function.
    type Data: Send + Sync + 'static;

    /// Binds the driver to the function. Called for every function without a driver: it must return
    /// `ENODEV`, and log nothing, for functions that the driver does not want.
    fn probe(&self, dev: &Locked) -> Result<Arc<Self::Data>>;
    /// Unbinds the driver from the function: user space unbinds it, the function is removed, or the
    /// driver is unregistered.
    fn remove(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>);
    /// Called by the PCI core before a reset, no matter which task requests it. The core then saves
    /// the function's configuration.
    fn reset_prepare(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>);
    /// Called after a reset that succeeded or failed. The PCI core has restored the configuration.
    fn reset_done(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>);
    /// Called when the function or its link has reported an error.
    fn error_detected(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>, severity: Severity);
    /// Called after the PCI core has reset the link because of an error of this function, or of
    /// another function behind the same bridge. The core has neither saved nor restored the
    /// configuration. An error makes the driver vote `PCI_ERS_RESULT_DISCONNECT`: the function is
    /// lost.
    fn slot_reset(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>) -> Result;
    /// Called when the PCI core has recovered from an error.
    fn resume(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>);
}

/// A registered driver. Dropping it unbinds all its functions, waits for running callbacks, and may
/// sleep.
///
/// # Examples
///
/// ```
/// # use kernel::{prelude::*, sync::{Arc, ArcBorrow}};
/// # use xen::pci::{
/// #     driver::{Driver, Registration, Severity},
/// #     driver_files::DriverFile,
/// #     DeviceExt, Locked, Sbdf,
/// # };
/// struct Example;
///
/// impl Driver for Example {
///     const NAME: &'static CStr = c"example";
///     const FILES: &'static [DriverFile<Self>] = &[];
///     type Data = Sbdf;
///
///     fn probe(&self, dev: &Locked) -> Result<Arc<Sbdf>> {
///         let sbdf = dev.sbdf()?;
///         if sbdf != Sbdf::new(0, 3, 0) {
///             return Err(ENODEV);
///         }
///         Ok(Arc::new(sbdf, GFP_KERNEL)?)
///     }
///
///     fn remove(&self, _: &Locked, _: ArcBorrow<'_, Sbdf>) {}
///     fn reset_prepare(&self, _: &Locked, _: ArcBorrow<'_, Sbdf>) {}
///     fn reset_done(&self, _: &Locked, _: ArcBorrow<'_, Sbdf>) {}
///     fn error_detected(&self, _: &Locked, _: ArcBorrow<'_, Sbdf>, _: Severity) {}
///     fn slot_reset(&self, _: &Locked, _: ArcBorrow<'_, Sbdf>) -> Result {
///         Ok(())
///     }
///     fn resume(&self, _: &Locked, _: ArcBorrow<'_, Sbdf>) {}
/// }
///
/// let _driver = KBox::pin_init(Registration::new(Example), GFP_KERNEL)?;
/// # Ok::<(), Error>(())
/// ```
///
/// # Invariants
///
/// `raw` is registered with the callbacks of `Self`, and its groups are those of `files`.
#[pin_data(PinnedDrop)]
pub struct Registration<T: Driver> {
    driver: T,
    files: DriverFiles,
    #[pin]
    raw: Opaque<bindings::pci_driver>,
}

// SAFETY: The driver core has its own locks, and `T` is `Send`.
unsafe impl<T: Driver> Send for Registration<T> {}
// SAFETY: A shared reference has no methods.
unsafe impl<T: Driver> Sync for Registration<T> {}

/// A match for every function, and the end of the list. `pci_device_table!` is not used because it
/// differs between kernel versions.
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

/// `PCI_ANY_ID`, a negative number in C.
const ANY_ID: u32 = !0;

impl<T: Driver> Registration<T> {
    /// Registers the driver. The driver core probes all functions without a driver before this
    /// returns. May sleep.
    ///
    /// Errors: `EBUSY` if a PCI driver of this name is registered; else those of
    /// `__pci_register_driver()`.
    pub fn new(driver: T) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            driver,
            files: {
                // SAFETY: The field is initialized and pinned. `PinnedDrop` removes the files
                // before it is dropped.
                let driver = unsafe { &raw const (*this.as_ptr()).driver };
                DriverFiles::new(T::FILES, driver)?
            },
            raw <- Opaque::try_ffi_init(|slot: *mut bindings::pci_driver| {
                fault::point("registering the PCI driver")?;
                let raw = bindings::pci_driver {
                    name: T::NAME.as_char_ptr(),
                    id_table: IDS.as_ptr(),
                    probe: Some(Self::probe),
                    remove: Some(Self::remove),
                    err_handler: &raw const Self::HANDLERS.0,
                    // SAFETY: `files` is initialized, and `this` is pinned.
                    groups: unsafe { (*this.as_ptr()).files.groups() },
                    ..Default::default()
                };
                // SAFETY: `slot` is valid for writes. It is pinned, and unregistered before it is
                // freed. All fields that the callbacks use are initialized.
                to_result(unsafe {
                    slot.write(raw);
                    bindings::__pci_register_driver(slot, module::this(), T::NAME.as_char_ptr())
                })
            }),
        }? Error)
    }

    const HANDLERS: &'static Handlers = &Handlers(bindings::pci_error_handlers {
        error_detected: Some(Self::error_detected),
        mmio_enabled: None,
        slot_reset: Some(Self::slot_reset),
        reset_prepare: Some(Self::reset_prepare),
        reset_done: Some(Self::reset_done),
        resume: Some(Self::resume),
        cor_error_detected: None,
    });

    /// # Safety
    ///
    /// Must only be called by the PCI core for a function that is being bound to this driver, with
    /// the device lock held.
    unsafe extern "C" fn probe(
        dev: *mut bindings::pci_dev,
        _id: *const bindings::pci_device_id,
    ) -> c_int {
        // SAFETY: By the function's requirement.
        let (driver, dev) = unsafe { (Self::driver(dev), Self::locked(dev)) };
        from_result(|| {
            let data = driver.probe(dev)?;
            // SAFETY: `dev` is a valid device without driver data.
            unsafe { bindings::dev_set_drvdata(as_raw_device(dev), data.into_foreign().cast()) };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Must only be called by the PCI core for a function that this driver has probed, with the
    /// device lock held.
    unsafe extern "C" fn remove(dev: *mut bindings::pci_dev) {
        // SAFETY: By the function's requirement.
        unsafe { Self::with_data(dev, T::remove) };
        // SAFETY: By the function's requirement. `probe` has set the driver data, and no other
        // callback runs under the device lock.
        unsafe {
            let raw = as_raw_device(Self::locked(dev));
            let data = bindings::dev_get_drvdata(raw);
            bindings::dev_set_drvdata(raw, ptr::null_mut());
            drop(Arc::<T::Data>::from_foreign(data.cast()));
        }
    }

    /// # Safety
    ///
    /// See [`Self::with_data`].
    unsafe extern "C" fn reset_prepare(dev: *mut bindings::pci_dev) {
        // SAFETY: By the function's requirement.
        unsafe { Self::with_data(dev, T::reset_prepare) };
    }

    /// # Safety
    ///
    /// See [`Self::with_data`].
    unsafe extern "C" fn reset_done(dev: *mut bindings::pci_dev) {
        // SAFETY: By the function's requirement.
        unsafe { Self::with_data(dev, T::reset_done) };
    }

    /// # Safety
    ///
    /// See [`Self::with_data`].
    unsafe extern "C" fn error_detected(
        dev: *mut bindings::pci_dev,
        state: bindings::pci_channel_state_t,
    ) -> bindings::pci_ers_result_t {
        let (severity, vote) = match state {
            PCI_CHANNEL_IO_NORMAL => (
                Severity::NonFatal,
                bindings::pci_ers_result_PCI_ERS_RESULT_CAN_RECOVER,
            ),
            PCI_CHANNEL_IO_FROZEN => (
                Severity::Fatal,
                bindings::pci_ers_result_PCI_ERS_RESULT_NEED_RESET,
            ),
            _ => (
                Severity::Permanent,
                bindings::pci_ers_result_PCI_ERS_RESULT_DISCONNECT,
            ),
        };
        // SAFETY: By the function's requirement.
        unsafe {
            Self::with_data(dev, |driver, dev, data| {
                driver.error_detected(dev, data, severity)
            })
        };
        vote
    }

    /// # Safety
    ///
    /// See [`Self::with_data`].
    unsafe extern "C" fn slot_reset(dev: *mut bindings::pci_dev) -> bindings::pci_ers_result_t {
        // SAFETY: By the function's requirement.
        match unsafe { Self::with_data(dev, T::slot_reset) } {
            Some(Ok(())) => bindings::pci_ers_result_PCI_ERS_RESULT_RECOVERED,
            _ => bindings::pci_ers_result_PCI_ERS_RESULT_DISCONNECT,
        }
    }

    /// # Safety
    ///
    /// See [`Self::with_data`].
    unsafe extern "C" fn resume(dev: *mut bindings::pci_dev) {
        // SAFETY: By the function's requirement.
        unsafe { Self::with_data(dev, T::resume) };
    }

    /// # Safety
    ///
    /// `dev` is a valid function whose device lock is held for `'a`.
    unsafe fn locked<'a>(dev: *mut bindings::pci_dev) -> &'a Locked {
        // SAFETY: By the function's requirement. `Device` is a transparent wrapper of `struct
        // pci_dev`.
        unsafe { Locked::new(&*dev.cast::<Device>()) }
    }

    /// # Safety
    ///
    /// `dev` is a valid function that this driver is bound to, or being bound to, for `'a`.
    unsafe fn driver<'a>(dev: *mut bindings::pci_dev) -> &'a T {
        // SAFETY: By the function's requirement the PCI core has set the function's driver to the
        // `raw` of a registration, which unbinds all functions before it is freed.
        unsafe {
            let raw: *mut Opaque<bindings::pci_driver> = (*dev).driver.cast();
            &(*kernel::container_of!(raw, Self, raw)).driver
        }
    }

    /// # Safety
    ///
    /// `dev` is a valid function that this driver is bound to, or being bound to, and its device
    /// lock is held.
    unsafe fn with_data<R>(
        dev: *mut bindings::pci_dev,
        f: impl FnOnce(&T, &Locked, ArcBorrow<'_, T::Data>) -> R,
    ) -> Option<R> {
        // SAFETY: By the function's requirement.
        let (driver, dev) = unsafe { (Self::driver(dev), Self::locked(dev)) };
        // SAFETY: `dev` is a valid device.
        let data = unsafe { bindings::dev_get_drvdata(as_raw_device(dev)) };
        if data.is_null() {
            return None;
        }
        // SAFETY: Only `probe` sets the driver data, to an `Arc`. `remove` takes it under the
        // device lock.
        Some(f(driver, dev, unsafe {
            Arc::<T::Data>::borrow(data.cast())
        }))
    }
}

/// `pci_channel_io_normal`. The kernel's bindings have no constant for it.
const PCI_CHANNEL_IO_NORMAL: bindings::pci_channel_state_t = 1;
/// `pci_channel_io_frozen`. The kernel's bindings have no constant for it.
const PCI_CHANNEL_IO_FROZEN: bindings::pci_channel_state_t = 2;

#[repr(transparent)]
struct Handlers(bindings::pci_error_handlers);

// SAFETY: The handlers are never written.
unsafe impl Sync for Handlers {}

#[pinned_drop]
impl<T: Driver> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant the driver is registered. This unbinds all functions and
        // waits for running callbacks.
        unsafe { bindings::pci_unregister_driver(self.raw.get()) };
    }
}

impl Locked {
    /// Returns whether the driver that the function is bound to, or being bound to, has a
    /// `reset_done` callback.
    pub fn driver_hears_resets(&self) -> bool {
        // SAFETY: By the type invariant the driver cannot change. The driver of a PCI function is
        // part of a `struct pci_driver`. `pci_dev.driver` is not used, as the core sets it only in
        // the probe.
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

/// Unbinds the function from its driver. Sleeps while the driver removes the function. The caller
/// must not hold the device lock, which this takes.
pub fn unbind(dev: &Device) {
    // SAFETY: `dev` is a valid device.
    unsafe { bindings::device_release_driver(as_raw_device(dev)) };
}
