// SPDX-License-Identifier: GPL-2.0

//! PCI drivers that take functions by their address, hear of resets and errors, and have files of
//! their own.
//!
//! [`kernel::pci::Driver`] takes functions by vendor and device only, and has no callbacks but
//! probe and unbind.
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
        as_raw_device,
        driver_files::{
            DriverFile,
            DriverFiles, //
        },
        Locked, //
    }, //
};

/// How bad an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// A transaction failed; the function and its link work.
    NonFatal,
    /// The link cannot be relied on. It is reset next.
    Fatal,
    /// The function is lost.
    Permanent,
}

/// A driver of PCI functions. All callbacks hold the function's lock and may sleep.
///
/// The value is the driver's context, which its [`Registration`] owns.
pub trait Driver: Send + Sync + Sized + 'static {
    /// The driver's name in sysfs.
    const NAME: &'static CStr;
    /// The driver's own files, in `/sys/bus/pci/drivers/NAME/`.
    const FILES: &'static [DriverFile<Self>];
    /// The driver's record of a function.
    type Data: Send + Sync + 'static;

    /// Takes the function. Called for each function without a driver: must leave those alone, with
    /// `ENODEV` and without a message, that the driver does not want.
    fn probe(&self, dev: &Locked) -> Result<Arc<Self::Data>>;
    /// Gives the function up, because user space wants it, it is unplugged, or the driver goes.
    fn remove(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>);
    /// Called by the PCI core before a reset, whoever requested it. The core saves the function's
    /// configuration next.
    fn reset_prepare(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>);
    /// The reset succeeded or failed, and the PCI core has restored the configuration.
    fn reset_done(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>);
    /// The function, or the link to it, reported an error.
    fn error_detected(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>, severity: Severity);
    /// The link was reset after an error, of this function or of another one behind the same
    /// bridge. Nothing was saved before, or restored since. An error means that the function is
    /// lost.
    fn slot_reset(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>) -> Result;
    /// The recovery from an error has ended well.
    fn resume(&self, dev: &Locked, data: ArcBorrow<'_, Self::Data>);
}

/// A registered driver. Dropping it unbinds all functions.
///
/// # Invariants
///
/// `raw` is registered with the callbacks of `T`, and points to `files`.
#[pin_data(PinnedDrop)]
pub struct Registration<T: Driver> {
    driver: T,
    files: DriverFiles,
    #[pin]
    raw: Opaque<bindings::pci_driver>,
}

// SAFETY: The driver core has its own locks, and `T` can be sent.
unsafe impl<T: Driver> Send for Registration<T> {}
// SAFETY: Nothing can be done with a shared reference.
unsafe impl<T: Driver> Sync for Registration<T> {}

/// Any function, and the end of the list. `pci_device_table!` is not used because it differs
/// between kernel versions.
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
    /// Registers the driver; `EBUSY` if there is one of that name. All functions without a driver
    /// are probed before this returns. May sleep.
    pub fn new(driver: T) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            driver,
            files: {
                // SAFETY: Initialized just now; the value is pinned, and the files go first.
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
                    // SAFETY: Initialized before; `this` is pinned.
                    groups: unsafe { (*this.as_ptr()).files.groups() },
                    ..Default::default()
                };
                // SAFETY: `slot` is ours to write; it is pinned, and unregistered before it is
                // freed. All that the callbacks use is initialized.
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
    /// Called by the PCI core for a function of this driver, with its lock held.
    unsafe extern "C" fn probe(
        dev: *mut bindings::pci_dev,
        _id: *const bindings::pci_device_id,
    ) -> c_int {
        // SAFETY: By the function's requirement.
        let (driver, dev) = unsafe { (Self::driver(dev), Self::locked(dev)) };
        from_result(|| {
            let data = driver.probe(dev)?;
            // SAFETY: A valid device that has no driver data yet.
            unsafe { bindings::dev_set_drvdata(as_raw_device(dev), data.into_foreign().cast()) };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the PCI core for a function that was probed, with its lock held.
    unsafe extern "C" fn remove(dev: *mut bindings::pci_dev) {
        // SAFETY: By the function's requirement.
        unsafe { Self::with_data(dev, T::remove) };
        // SAFETY: As above; `probe` set the data, and nobody calls back any more.
        unsafe {
            let raw = as_raw_device(Self::locked(dev));
            let data = bindings::dev_get_drvdata(raw);
            bindings::dev_set_drvdata(raw, ptr::null_mut());
            drop(Arc::<T::Data>::from_foreign(data.cast()));
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
    /// As [`Self::with_data`].
    unsafe extern "C" fn resume(dev: *mut bindings::pci_dev) {
        // SAFETY: By the function's requirement.
        unsafe { Self::with_data(dev, T::resume) };
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
    /// `dev` is a valid function that this driver has, or probes, for `'a`.
    unsafe fn driver<'a>(dev: *mut bindings::pci_dev) -> &'a T {
        // SAFETY: By the function's requirement the PCI core has set the function's driver to
        // `raw` of a registration, which waits for its functions to be unbound before it goes.
        unsafe {
            let raw: *mut Opaque<bindings::pci_driver> = (*dev).driver.cast();
            &(*kernel::container_of!(raw, Self, raw)).driver
        }
    }

    /// # Safety
    ///
    /// `dev` is a valid function that this driver has, or probes, and its lock is held.
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
        // SAFETY: Only `probe` sets it, to an `Arc` that `remove` takes under the lock.
        Some(f(driver, dev, unsafe {
            Arc::<T::Data>::borrow(data.cast())
        }))
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
        unsafe { bindings::pci_unregister_driver(self.raw.get()) };
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

/// Unbinds the function from its driver, as user space can. May sleep, as the driver's remove may;
/// the caller must not hold the function's lock.
pub fn unbind(dev: &Device) {
    // SAFETY: A valid device.
    unsafe { bindings::device_release_driver(as_raw_device(dev)) };
}
