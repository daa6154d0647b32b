// SPDX-License-Identifier: GPL-2.0

//! Drivers of backends: the half of a paravirtual device that serves the other half, the frontend.
//!
//! C header: [`include/xen/xenbus.h`](srctree/include/xen/xenbus.h)

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    str::CString,
    sync::{
        aref::{
            ARef,
            AlwaysRefCounted, //
        },
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
    xenbus::{
        pci_backend,
        store::Transaction,
        State, //
    }, //
};
// `State` has the numbers of C's enumeration.
const _: () = assert!(
    State::Initialising as u32 == bindings::xenbus_state_XenbusStateInitialising
        && State::Reconfigured as u32 == bindings::xenbus_state_XenbusStateReconfigured
);

/// A backend: a `struct xenbus_device`.
///
/// # Invariants
///
/// The value is part of a valid `struct xenbus_device`, which lives for as long as it is
/// referenced.
#[repr(transparent)]
pub struct Device(Opaque<bindings::xenbus_device>);

// SAFETY: Any task may count references.
unsafe impl Send for Device {}
// SAFETY: The methods use constant fields, and fields that have locks of their own.
unsafe impl Sync for Device {}

// SAFETY: The reference count is that of the embedded `struct device`.
unsafe impl AlwaysRefCounted for Device {
    fn inc_ref(&self) {
        // SAFETY: By the type invariant the device is valid.
        unsafe { bindings::get_device(self.device()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: By the function's requirement the caller owns a reference, which this drops.
        unsafe {
            bindings::put_device(&raw mut (*obj.cast::<bindings::xenbus_device>().as_ptr()).dev)
        };
    }
}

impl Device {
    /// Returns the `struct xenbus_device`.
    pub(super) fn as_raw(&self) -> *mut bindings::xenbus_device {
        self.0.get()
    }

    fn device(&self) -> *mut bindings::device {
        // SAFETY: By the type invariant the structure is valid, so its field is in bounds.
        unsafe { &raw mut (*self.0.get()).dev }
    }

    /// Returns the backend's directory in XenStore, such as `backend/pci/1/0`.
    pub fn node(&self) -> &CStr {
        // SAFETY: By the type invariant the device is valid. `nodename` is a C string that does not
        // change.
        unsafe { CStr::from_char_ptr((*self.0.get()).nodename) }
    }

    /// Returns the domain that the backend serves.
    pub fn domain(&self) -> u16 {
        // CAST: Domain numbers are below 0x8000.
        // SAFETY: By the type invariant the device is valid. xenbus sets the field before it calls
        // the driver.
        unsafe { (*self.0.get()).otherend_id as u16 }
    }

    /// Writes `nodes` (names and values) and `state` to the backend's directory in one transaction.
    /// Does nothing if the directory is gone, or is in another state than `from`: somebody else has
    /// changed it, which causes a notification. May sleep.
    ///
    /// Unlike `xenbus_switch_state()`, this reports a failed write. Errors are those of
    /// [`Transaction::run`], and `ENOMEM`.
    pub fn publish(
        &self,
        nodes: &[(CString, CString)],
        from: State,
        state: Option<State>,
    ) -> Result {
        let value = match state {
            Some(state) => Some(CString::try_from_fmt(fmt!("{}", state as u32))?),
            None => None,
        };
        let is_there = Transaction::run(|transaction| {
            // Do not create a directory again that a toolstack has removed.
            let found = transaction.read(self.node(), c"state")?;
            if found.is_none_or(|found| pci_backend::state(found.bytes()) != from) {
                return Ok(false);
            }
            for (node, value) in nodes {
                transaction.write(self.node(), node, value)?;
            }
            if let Some(value) = &value {
                transaction.write(self.node(), c"state", value)?;
            }
            Ok(true)
        })?;
        if let (true, Some(state)) = (is_there, state) {
            // sysfs shows the field. SAFETY: By the type invariant the device is valid, so that its
            // field is aligned. While a driver is bound, xenbus only reads it; as with
            // `WRITE_ONCE()`, readers and other callers see one of the values.
            unsafe { (&raw mut (*self.0.get()).state).write_volatile(state as u32) };
        }
        Ok(())
    }

    /// Logs an error, and writes it to XenStore, below `error/` in this domain's directory. May
    /// sleep.
    pub fn report(&self, error: Error, message: &CStr) {
        // SAFETY: By the type invariant the device is valid. The format takes one string.
        unsafe {
            bindings::xenbus_dev_error(
                self.0.get(),
                error.to_errno(),
                c"%s".as_char_ptr(),
                message.as_char_ptr(),
            )
        };
    }
}

/// Callbacks of a driver for all backends of one type.
///
/// All callbacks run on the kernel's only XenStore thread. They may sleep, but all watches of the
/// kernel wait meanwhile.
///
/// The value is the context of the callbacks. Its [`Registration`] owns it.
pub trait Driver: Send + Sync + Sized + 'static {
    /// The driver's name in sysfs.
    const NAME: &'static CStr;
    /// The type of the backends, such as `pci`. Their directories are `backend/TYPE/DOMAIN/NUMBER`.
    const TYPE: &'static CStr;
    /// The driver's data of a bound backend.
    type Data: Send + Sync + 'static;

    /// Binds the driver to a new backend.
    fn probe(&self, dev: ARef<Device>) -> Result<Arc<Self::Data>>;
    /// Called when the frontend has changed its state. The guest owns the frontend, so `state` must
    /// not be trusted.
    fn other_end(&self, data: ArcBorrow<'_, Self::Data>, state: State);
    /// Unbinds the driver from the backend: the directory was removed, or the driver is
    /// unregistered.
    fn remove(&self, data: ArcBorrow<'_, Self::Data>);
}

/// A registered driver. Dropping it unbinds all its backends, waits for running callbacks, and may
/// sleep. The module cannot be unloaded while the driver is bound to a backend.
///
/// # Examples
///
/// ```
/// # use kernel::{prelude::*, sync::{aref::ARef, Arc, ArcBorrow}};
/// # use xen::xenbus::{Device, Driver, Registration, State};
/// struct Example;
///
/// impl Driver for Example {
///     const NAME: &'static CStr = c"example-backend";
///     const TYPE: &'static CStr = c"example";
///     type Data = ARef<Device>;
///
///     fn probe(&self, dev: ARef<Device>) -> Result<Arc<ARef<Device>>> {
///         pr_info!("{:?} serves domain {}\n", dev.node(), dev.domain());
///         Ok(Arc::new(dev, GFP_KERNEL)?)
///     }
///
///     fn other_end(&self, dev: ArcBorrow<'_, ARef<Device>>, state: State) {
///         pr_info!("domain {}: {:?}\n", dev.domain(), state);
///     }
///
///     fn remove(&self, _: ArcBorrow<'_, ARef<Device>>) {}
/// }
///
/// let _driver = KBox::pin_init(Registration::new(Example), GFP_KERNEL)?;
/// # Ok::<(), Error>(())
/// ```
///
/// # Invariants
///
/// `raw` is registered with the callbacks of `Self`, and points to `ids`.
#[pin_data(PinnedDrop)]
pub struct Registration<T: Driver> {
    driver: T,
    #[pin]
    ids: Opaque<[bindings::xenbus_device_id; 2]>,
    #[pin]
    raw: Opaque<bindings::xenbus_driver>,
}

// SAFETY: The driver core has its own locks, and `T` is `Send`.
unsafe impl<T: Driver> Send for Registration<T> {}
// SAFETY: A shared reference has no methods.
unsafe impl<T: Driver> Sync for Registration<T> {}

impl<T: Driver> Registration<T> {
    /// Registers the driver. May sleep.
    ///
    /// Errors: `EBUSY` if a driver of this name is registered; else those of
    /// `__xenbus_register_backend()`.
    pub fn new(driver: T) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            driver,
            ids <- Opaque::ffi_init(|slot: *mut [bindings::xenbus_device_id; 2]| {
                let mut ids: [bindings::xenbus_device_id; 2] = Default::default();
                for (to, from) in ids[0].devicetype.iter_mut().zip(T::TYPE.to_bytes()) {
                    *to = *from;
                }
                // SAFETY: `slot` is valid for writes.
                unsafe { slot.write(ids) };
            }),
            raw <- Opaque::try_ffi_init(|slot: *mut bindings::xenbus_driver| {
                fault::point("registering the driver of backends")?;
                // SAFETY: `this` is valid, so its field is in bounds.
                let ids = unsafe { &raw const (*this.as_ptr()).ids };
                let raw = bindings::xenbus_driver {
                    name: T::NAME.as_char_ptr(),
                    // `Opaque` is a transparent wrapper of the array.
                    ids: ids.cast(),
                    probe: Some(Self::probe),
                    otherend_changed: Some(Self::other_end),
                    remove: Some(Self::remove),
                    ..pin_init::zeroed()
                };
                // SAFETY: `slot` is valid for writes. It and the ids are pinned, and the driver is
                // unregistered before they are freed. The field `driver` is initialized.
                to_result(unsafe {
                    slot.write(raw);
                    bindings::__xenbus_register_backend(
                        slot,
                        module::this(),
                        T::NAME.as_char_ptr(),
                    )
                })
            }),
        }? Error)
    }

    /// # Safety
    ///
    /// Must only be called by xenbus for a backend that is being bound to this driver.
    unsafe extern "C" fn probe(
        dev: *mut bindings::xenbus_device,
        _id: *const bindings::xenbus_device_id,
    ) -> c_int {
        // SAFETY: By the function's requirement. `Device` is a transparent wrapper of `struct
        // xenbus_device`.
        let (driver, device) = unsafe { (Self::driver(dev), &*dev.cast::<Device>()) };
        from_result(|| {
            let data = driver.probe(device.into())?;
            // SAFETY: `device` is a valid device without driver data.
            unsafe { bindings::dev_set_drvdata(device.device(), data.into_foreign().cast()) };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Must only be called by xenbus for a backend that this driver has probed.
    unsafe extern "C" fn other_end(
        dev: *mut bindings::xenbus_device,
        state: bindings::xenbus_state,
    ) {
        // SAFETY: By the function's requirement. `probe` has set the driver data to an `Arc`, which
        // stays until `remove`.
        unsafe {
            let data = bindings::dev_get_drvdata(&raw mut (*dev).dev);
            if !data.is_null() {
                let data = Arc::<T::Data>::borrow(data.cast());
                Self::driver(dev).other_end(data, State::from(state));
            }
        }
    }

    /// # Safety
    ///
    /// Must only be called by xenbus for a backend that this driver has probed.
    unsafe extern "C" fn remove(dev: *mut bindings::xenbus_device) {
        // SAFETY: By the function's requirement. `probe` has set the driver data to an `Arc`, and
        // xenbus calls no other callback any more.
        unsafe {
            let raw = &raw mut (*dev).dev;
            let data = Arc::<T::Data>::from_foreign(bindings::dev_get_drvdata(raw).cast());
            bindings::dev_set_drvdata(raw, ptr::null_mut());
            Self::driver(dev).remove(data.as_arc_borrow());
        }
    }

    /// # Safety
    ///
    /// `dev` is a valid backend that this driver is bound to, or being bound to, for `'a`.
    unsafe fn driver<'a>(dev: *mut bindings::xenbus_device) -> &'a T {
        // SAFETY: By the function's requirement the device's driver is part of the `raw` of a
        // registration, which unbinds all backends before it is freed.
        unsafe {
            let driver = (*dev).dev.driver;
            let driver = driver.byte_sub(core::mem::offset_of!(bindings::xenbus_driver, driver));
            let raw: *mut Opaque<bindings::xenbus_driver> = driver.cast();
            &(*kernel::container_of!(raw, Self, raw)).driver
        }
    }
}

#[pinned_drop]
impl<T: Driver> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant the driver is registered.
        unsafe { bindings::xenbus_unregister_driver(self.raw.get()) };
    }
}
