// SPDX-License-Identifier: GPL-2.0

//! Drivers of backends: the half of a device that is in this domain and serves another.
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
        store::Transaction,
        State, //
    }, //
};
// The states have the interface's numbers.
const _: () = assert!(
    State::Initialising as u32 == bindings::xenbus_state_XenbusStateInitialising
        && State::Reconfigured as u32 == bindings::xenbus_state_XenbusStateReconfigured
);

/// A backend, `struct xenbus_device`.
///
/// # Invariants
///
/// The value is part of a valid `struct xenbus_device`, which lives while it is referenced.
#[repr(transparent)]
pub struct Device(Opaque<bindings::xenbus_device>);

// SAFETY: References can be counted by any task.
unsafe impl Send for Device {}
// SAFETY: What the methods use is constant, or has locks of its own.
unsafe impl Sync for Device {}

// SAFETY: The counting is that of the device in it.
unsafe impl AlwaysRefCounted for Device {
    fn inc_ref(&self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::get_device(self.device()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller has a reference, which this gives back.
        unsafe {
            bindings::put_device(&raw mut (*obj.cast::<bindings::xenbus_device>().as_ptr()).dev)
        };
    }
}

impl Device {
    fn device(&self) -> *mut bindings::device {
        // SAFETY: The place of a field of a valid structure.
        unsafe { &raw mut (*self.0.get()).dev }
    }

    /// Its directory in XenStore, such as `backend/pci/1/0`.
    pub fn node(&self) -> &CStr {
        // SAFETY: By the type invariant; the name is constant.
        unsafe { CStr::from_char_ptr((*self.0.get()).nodename) }
    }

    /// The domain that it serves.
    pub fn domain(&self) -> u16 {
        // CAST: A domain's number; Xen has no larger ones.
        // SAFETY: By the type invariant; set before the driver is asked.
        unsafe { (*self.0.get()).otherend_id as u16 }
    }

    /// Writes `nodes`, each a name and a value, and `state` to its directory, all at once, if that
    /// is still there. May sleep.
    ///
    /// Unlike `xenbus_switch_state()`, this reports a failed write.
    pub fn publish(&self, nodes: &[(CString, CString)], state: Option<State>) -> Result {
        let value = match state {
            Some(state) => Some(CString::try_from_fmt(fmt!("{}", state as u32))?),
            None => None,
        };
        let is_there = Transaction::run(|transaction| {
            // A directory that is gone must not be made again.
            if transaction.read(self.node(), c"state")?.is_none() {
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
            // xenbus tells by it whether a directory was made anew.
            // SAFETY: By the type invariant; xenbus only reads it while there is a driver.
            unsafe { (&raw mut (*self.0.get()).state).write_volatile(state as u32) };
        }
        Ok(())
    }

    /// Reports an error in the log and in XenStore, where toolstacks show it.
    pub fn report(&self, error: Error, message: &CStr) {
        // SAFETY: By the type invariant; the format takes one string.
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

/// A driver of backends of one type. Callbacks run on the kernel's only XenStore thread, and all
/// watches of the kernel wait meanwhile.
///
/// The value is the driver's context, which its [`Registration`] owns.
pub trait Driver: Send + Sync + Sized + 'static {
    /// The driver's name in sysfs.
    const NAME: &'static CStr;
    /// The type, such as `pci`: backends are in `backend/TYPE/DOMAIN/NUMBER`.
    const TYPE: &'static CStr;
    /// The driver's record of a backend.
    type Data: Send + Sync + 'static;

    /// There is a new backend.
    fn probe(&self, dev: ARef<Device>) -> Result<Arc<Self::Data>>;
    /// The other half, which the guest owns, has changed its state.
    fn other_end(&self, data: ArcBorrow<'_, Self::Data>, state: State);
    /// The backend is gone, or the driver goes.
    fn remove(&self, data: ArcBorrow<'_, Self::Data>);
}

/// A registered driver. The module cannot be unloaded while it has a backend.
///
/// # Invariants
///
/// `raw` is registered, with the callbacks of `T`; `ids` is its table of types.
#[pin_data(PinnedDrop)]
pub struct Registration<T: Driver> {
    driver: T,
    #[pin]
    ids: Opaque<[bindings::xenbus_device_id; 2]>,
    #[pin]
    raw: Opaque<bindings::xenbus_driver>,
}

// SAFETY: The driver core has its own locks, and `T` can be sent.
unsafe impl<T: Driver> Send for Registration<T> {}
// SAFETY: Nothing can be done with a shared reference.
unsafe impl<T: Driver> Sync for Registration<T> {}

impl<T: Driver> Registration<T> {
    /// Registers the driver; `EBUSY` if there is one of that name.
    pub fn new(driver: T) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            driver,
            ids <- Opaque::ffi_init(|slot: *mut [bindings::xenbus_device_id; 2]| {
                let mut ids: [bindings::xenbus_device_id; 2] = Default::default();
                for (to, from) in ids[0].devicetype.iter_mut().zip(T::TYPE.to_bytes()) {
                    *to = *from;
                }
                // SAFETY: `slot` is ours to write.
                unsafe { slot.write(ids) };
            }),
            raw <- Opaque::try_ffi_init(|slot: *mut bindings::xenbus_driver| {
                fault::point("registering the driver of backends")?;
                // SAFETY: `this` is valid, and the field's place is in it.
                let ids = unsafe { &raw const (*this.as_ptr()).ids };
                let raw = bindings::xenbus_driver {
                    name: T::NAME.as_char_ptr(),
                    // `Opaque` is a transparent wrapper.
                    ids: ids.cast(),
                    probe: Some(Self::probe),
                    otherend_changed: Some(Self::other_end),
                    remove: Some(Self::remove),
                    ..pin_init::zeroed()
                };
                // SAFETY: `slot` is ours to write; it and the ids are pinned, and unregistered
                // before they are freed.
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
    /// Called by xenbus for a backend that has no driver yet.
    unsafe extern "C" fn probe(
        dev: *mut bindings::xenbus_device,
        _id: *const bindings::xenbus_device_id,
    ) -> c_int {
        // SAFETY: By the function's requirement; `Device` is a transparent wrapper.
        let (driver, device) = unsafe { (Self::driver(dev), &*dev.cast::<Device>()) };
        from_result(|| {
            let data = driver.probe(device.into())?;
            // SAFETY: A valid device, without driver data yet.
            unsafe { bindings::dev_set_drvdata(device.device(), data.into_foreign().cast()) };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by xenbus for a backend that was probed.
    unsafe extern "C" fn other_end(
        dev: *mut bindings::xenbus_device,
        state: bindings::xenbus_state,
    ) {
        // SAFETY: By the function's requirement; the data was set by `probe`.
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
    /// Called by xenbus for a backend that was probed.
    unsafe extern "C" fn remove(dev: *mut bindings::xenbus_device) {
        // SAFETY: By the function's requirement; the data was set by `probe`, and nobody calls back
        // any more.
        unsafe {
            let raw = &raw mut (*dev).dev;
            let data = Arc::<T::Data>::from_foreign(bindings::dev_get_drvdata(raw).cast());
            bindings::dev_set_drvdata(raw, ptr::null_mut());
            Self::driver(dev).remove(data.as_arc_borrow());
        }
    }

    /// # Safety
    ///
    /// `dev` is a valid backend that this driver has, or probes, for `'a`.
    unsafe fn driver<'a>(dev: *mut bindings::xenbus_device) -> &'a T {
        // SAFETY: By the function's requirement the device's driver is part of the `raw` of a
        // registration, which waits for its backends to be unbound before it goes.
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
        // SAFETY: By the type invariant.
        unsafe { bindings::xenbus_unregister_driver(self.raw.get()) };
    }
}
