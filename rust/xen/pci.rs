// SPDX-License-Identifier: GPL-2.0

//! PCI functions: finding them, and the state that passing one to a guest depends on.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    },
};

use kernel::{
    device,
    error::to_result,
    pci::Device,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    bindings,
    fault,
    reset::Method,
    Sbdf, //
};

pub use crate::{
    header::Pin,
    msix_table::MsixTable, //
};

/// The `struct pci_dev` behind a reference.
pub(crate) fn as_raw(dev: &Device) -> *mut bindings::pci_dev {
    // `Device` is a transparent wrapper of `Opaque<struct pci_dev>`.
    ptr::from_ref(dev).cast_mut().cast()
}

/// The `struct device` in a PCI device.
pub(crate) fn as_raw_device(dev: &Device) -> *mut bindings::device {
    // SAFETY: `dev` is a valid `struct pci_dev`, so the place of its `dev` field is in bounds.
    unsafe { &raw mut (*as_raw(dev)).dev }
}

/// What this crate adds to [`kernel::pci::Device`].
pub trait DeviceExt {
    /// The function's address; `ERANGE` for a segment above 0xffff, which Xen cannot name.
    fn sbdf(&self) -> Result<Sbdf>;
    /// The INTx pin; `None` for a function without INTx, such as every SR-IOV VF.
    fn pin(&self) -> Option<Pin>;
    /// Whether this is a plain function rather than a bridge (header type 0).
    fn is_plain(&self) -> bool;
    /// Vendor, device, subsystem vendor and subsystem device.
    fn ids(&self) -> [u16; 4];
    /// The method by which [`Locked::reset`] resets the function; `None` if there is none.
    fn reset_method(&self) -> Option<Method>;
    /// The bridge that leads to the function, if it is not on a root bus.
    fn upstream(&self) -> Option<ARef<Device>>;
    /// Whether this is an SR-IOV virtual function.
    fn is_virtfn(&self) -> bool;
    /// The MSI-X table, if the function has one that can be. Reads configuration space; `EIO` if
    /// the function does not answer.
    fn msix_table(&self) -> Result<Option<MsixTable>>;
    /// Locks the device against binding and unbinding until the guard is dropped. May sleep.
    fn lock(&self) -> DeviceLock<'_>;
    /// Enables the function (memory and I/O decoding, its INTx line's irq) until the guard is
    /// dropped. Errors are those of `pci_enable_device()`. May sleep.
    fn enable(&self) -> Result<Enabled>;
    /// Keeps the function from raising INTx until the guard is dropped.
    fn mask_intx(&self) -> Result<IntxMasked>;
}

impl DeviceExt for Device {
    fn sbdf(&self) -> Result<Sbdf> {
        // SAFETY: `self` is a valid `struct pci_dev`, which keeps its bus.
        let (segment, bus) = unsafe {
            let raw = as_raw(self);
            (bindings::pci_domain_nr(raw), (*(*raw).bus).number)
        };
        let segment = u16::try_from(segment).map_err(|_| ERANGE)?;
        // CAST: The device and function are the low byte of the id.
        Ok(Sbdf::new(segment, bus, self.dev_id() as u8))
    }

    fn pin(&self) -> Option<Pin> {
        // SAFETY: `self` is a valid `struct pci_dev`; `pin` does not change after set-up.
        Pin::decode(unsafe { (*as_raw(self)).pin })
    }

    fn is_plain(&self) -> bool {
        // SAFETY: `self` is a valid `struct pci_dev`; `hdr_type` does not change after set-up.
        u32::from(unsafe { (*as_raw(self)).hdr_type }) == bindings::PCI_HEADER_TYPE_NORMAL
    }

    fn ids(&self) -> [u16; 4] {
        // SAFETY: `self` is a valid `struct pci_dev`; its ids do not change after set-up.
        unsafe {
            let raw = as_raw(self);
            [
                (*raw).vendor,
                (*raw).device,
                (*raw).subsystem_vendor,
                (*raw).subsystem_device,
            ]
        }
    }

    fn reset_method(&self) -> Option<Method> {
        // SAFETY: `self` is a valid `struct pci_dev`. User space may change the bytes meanwhile;
        // each is read once.
        Method::from_index(unsafe { (&raw const (*as_raw(self)).reset_methods[0]).read_volatile() })
    }

    fn upstream(&self) -> Option<ARef<Device>> {
        // SAFETY: `self` is a valid `struct pci_dev`; its bus lives, and so does the bus's bridge.
        unsafe {
            let bridge = bindings::pci_upstream_bridge(as_raw(self));
            bridge.cast::<Device>().as_ref().map(ARef::from)
        }
    }

    fn is_virtfn(&self) -> bool {
        // SAFETY: `self` is a valid `struct pci_dev`.
        unsafe { bindings::pci_is_virtfn(as_raw(self)) }
    }

    fn msix_table(&self) -> Result<Option<MsixTable>> {
        // SAFETY: `self` is a valid `struct pci_dev`; `msix_cap` does not change after set-up.
        let cap = match unsafe { (*as_raw(self)).msix_cap } {
            0 => return Ok(None),
            cap => i32::from(cap),
        };
        // PANIC: A byte plus a small number.
        let control = read_config_word(self, cap + bindings::PCI_MSIX_FLAGS as i32).ok_or(EIO)?;
        let offset = read_config_dword(self, cap + bindings::PCI_MSIX_TABLE as i32).ok_or(EIO)?;
        Ok(MsixTable::decode(control, offset))
    }

    fn lock(&self) -> DeviceLock<'_> {
        // SAFETY: `self` is a valid device.
        unsafe { bindings::device_lock(as_raw_device(self)) };
        // INVARIANT: Locked just now.
        DeviceLock(self)
    }

    fn enable(&self) -> Result<Enabled> {
        fault::point("enabling the function")?;
        // SAFETY: `self` is a valid `struct pci_dev`.
        to_result(unsafe { bindings::pci_enable_device(as_raw(self)) })?;
        // INVARIANT: Enabled just now.
        Ok(Enabled { dev: self.into() })
    }

    fn mask_intx(&self) -> Result<IntxMasked> {
        let before = read_config_word(self, bindings::PCI_COMMAND as i32).ok_or(EIO)?;
        let mask = bindings::PCI_COMMAND_INTX_DISABLE as u16;
        write_config_word(self, bindings::PCI_COMMAND as i32, before | mask)?;
        // INVARIANT: Masked just now.
        Ok(IntxMasked {
            dev: self.into(),
            before,
        })
    }
}

/// Reads a word of configuration space; `None` if the function does not answer.
pub(crate) fn read_config_word(dev: &Device, offset: i32) -> Option<u16> {
    fault::point("reading configuration space").ok()?;
    let mut value = 0;
    // SAFETY: `dev` is a valid `struct pci_dev`; the PCI core checks `offset`.
    let ret = unsafe { bindings::pci_read_config_word(as_raw(dev), offset, &mut value) };
    (ret == 0 && value != u16::MAX).then_some(value)
}

/// Reads a double word of configuration space; `None` if the function does not answer.
pub(crate) fn read_config_dword(dev: &Device, offset: i32) -> Option<u32> {
    fault::point("reading configuration space").ok()?;
    let mut value = 0;
    // SAFETY: `dev` is a valid `struct pci_dev`; the PCI core checks `offset`.
    let ret = unsafe { bindings::pci_read_config_dword(as_raw(dev), offset, &mut value) };
    (ret == 0 && value != u32::MAX).then_some(value)
}

pub(crate) fn write_config_word(dev: &Device, offset: i32, value: u16) -> Result {
    fault::point("writing configuration space")?;
    // SAFETY: `dev` is a valid `struct pci_dev`; the PCI core checks `offset`.
    match unsafe { bindings::pci_write_config_word(as_raw(dev), offset, value) } {
        0 => Ok(()),
        // Positive `PCIBIOS_*` codes.
        _ => Err(EIO),
    }
}

// The kernel's messages want a trait of their own, which `sbdf` must not know to stay pure.
impl kernel::fmt::Display for Sbdf {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

impl Locked {
    /// Keeps the function from doing DMA until a driver, or a guest, allows it again.
    pub fn clear_master(&self) {
        // SAFETY: `self` is a valid `struct pci_dev`, whose lock is held.
        unsafe { bindings::pci_clear_master(as_raw(self)) };
    }
}

/// Finds the function at `sbdf`.
///
/// # Examples
///
/// ```
/// # use xen::{pci::{self, DeviceExt}, Sbdf};
/// if let Some(dev) = pci::find(Sbdf::new(0, 0, 0x20)) {
///     let _pin = dev.pin();
/// }
/// ```
pub fn find(sbdf: Sbdf) -> Option<ARef<Device>> {
    // SAFETY: Any segment, bus and function may be asked for.
    let dev = unsafe {
        bindings::pci_get_domain_bus_and_slot(
            i32::from(sbdf.segment()),
            u32::from(sbdf.bus()),
            u32::from(sbdf.devfn()),
        )
    };
    let dev = NonNull::new(dev.cast::<Device>())?;
    // SAFETY: The look-up returned a reference, which is ours now.
    Some(unsafe { ARef::from_raw(dev) })
}

/// Walks all PCI functions. Functions that come or go meanwhile may or may not be seen.
pub fn iter() -> Iter {
    Iter { last: None }
}

/// Iterator of [`iter`].
pub struct Iter {
    last: Option<ARef<Device>>,
}

impl Iterator for Iter {
    type Item = ARef<Device>;

    fn next(&mut self) -> Option<Self::Item> {
        let from = match self.last.take() {
            Some(dev) => ARef::into_raw(dev).as_ptr().cast(),
            None => ptr::null_mut(),
        };
        // CAST: The wildcard is all ones in every width.
        // SAFETY: `from` is null or a device whose reference the call consumes.
        let dev = unsafe {
            bindings::pci_get_device(
                bindings::PCI_ANY_ID as u32,
                bindings::PCI_ANY_ID as u32,
                from,
            )
        };
        let dev = NonNull::new(dev.cast::<Device>())?;
        // SAFETY: The look-up returned a reference, which is ours now.
        let dev = unsafe { ARef::<Device>::from_raw(dev) };
        self.last = Some(dev.clone());
        Some(dev)
    }
}

/// Whether a PCI driver of this name is registered.
pub fn has_driver(name: &CStr) -> bool {
    // SAFETY: `name` is a C string and the PCI bus is there for ever. The driver that is found may
    // go away at once; the pointer is only compared.
    let driver =
        unsafe { bindings::driver_find(name.as_char_ptr(), &raw const bindings::pci_bus_type) };
    !driver.is_null()
}

/// A lock that no PCI function can be added or removed under.
///
/// # Invariants
///
/// The lock is held.
pub struct TopologyLock {
    // A mutex is unlocked by the task that locked it.
    _not_send: PhantomData<*mut ()>,
}

impl TopologyLock {
    /// Takes the lock. May sleep; must not be called under a [`DeviceLock`].
    pub fn new() -> Self {
        // SAFETY: A mutex, taken in a context that may sleep.
        unsafe { bindings::pci_lock_rescan_remove() };
        // INVARIANT: Locked just now.
        Self {
            _not_send: PhantomData,
        }
    }
}

impl Default for TopologyLock {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TopologyLock {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the lock is held, by this task.
        unsafe { bindings::pci_unlock_rescan_remove() };
    }
}

/// A function whose driver cannot come or go, because the device's lock is held.
///
/// # Invariants
///
/// The device's lock is held for as long as a reference to this exists.
#[repr(transparent)]
pub struct Locked(Device);

impl Locked {
    /// # Safety
    ///
    /// The lock of `dev` is held for as long as `dev` is borrowed.
    pub(crate) unsafe fn new(dev: &Device) -> &Self {
        // INVARIANT: By the function's requirement.
        // SAFETY: `Self` is a transparent wrapper.
        unsafe { &*ptr::from_ref(dev).cast() }
    }

    /// The name of the driver that the function is bound to, or being bound to or unbound from.
    pub fn driver_name(&self) -> Option<&CStr> {
        // SAFETY: By the type invariant the driver cannot change, and a bound driver and its name
        // live.
        unsafe {
            let driver = (*as_raw_device(self)).driver;
            driver
                .as_ref()
                .map(|driver| CStr::from_char_ptr(driver.name))
        }
    }

    /// The Linux irq of the INTx line, if a driver has enabled the function. While MSI is enabled
    /// too, this is still the line's. May sleep.
    pub fn intx_irq(&self) -> Option<u32> {
        // SAFETY: By the type invariant the MSI data, which unbinding frees, stays.
        match unsafe { bindings::pci_intx_irq(as_raw(self)) } {
            0 => None,
            irq => Some(irq),
        }
    }
}

impl Deref for Locked {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.0
    }
}

/// Holds a device's lock. See [`DeviceExt::lock`].
///
/// # Invariants
///
/// The device's lock is held.
pub struct DeviceLock<'a>(&'a Device);

impl Deref for DeviceLock<'_> {
    type Target = Locked;

    fn deref(&self) -> &Locked {
        // SAFETY: By the type invariant, for as long as `self` is borrowed.
        unsafe { Locked::new(self.0) }
    }
}

impl Drop for DeviceLock<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the lock is held.
        unsafe { bindings::device_unlock(as_raw_device(self.0)) };
    }
}

/// A function that is enabled. See [`DeviceExt::enable`].
///
/// # Invariants
///
/// The function's enable count includes one for this value.
pub struct Enabled {
    dev: ARef<Device>,
}

impl Enabled {
    /// The enabled function.
    pub fn device(&self) -> &Device {
        &self.dev
    }
}

impl Drop for Enabled {
    fn drop(&mut self) {
        // SAFETY: By the type invariant one count is ours.
        unsafe { bindings::pci_disable_device(as_raw(&self.dev)) };
    }
}

/// A function that a guest has, as drivers of SR-IOV physical functions see it: they do not remove
/// VFs that are marked so.
///
/// # Invariants
///
/// The function is marked.
pub struct Assigned {
    dev: ARef<Device>,
}

impl Assigned {
    /// Marks the function until the value is dropped.
    pub fn new(dev: &Device) -> Self {
        // SAFETY: `dev` is a valid `struct pci_dev`.
        unsafe { bindings::pci_set_dev_assigned(as_raw(dev)) };
        // INVARIANT: Marked just now.
        Self { dev: dev.into() }
    }
}

impl Drop for Assigned {
    fn drop(&mut self) {
        // SAFETY: `dev` is a valid `struct pci_dev`.
        unsafe { bindings::pci_clear_dev_assigned(as_raw(&self.dev)) };
    }
}

/// A function that cannot raise INTx. See [`DeviceExt::mask_intx`].
///
/// # Invariants
///
/// The function's INTx is disabled.
pub struct IntxMasked {
    dev: ARef<Device>,
    /// COMMAND as it was.
    before: u16,
}

impl Drop for IntxMasked {
    fn drop(&mut self) {
        if let Err(e) = write_config_word(&self.dev, bindings::PCI_COMMAND as i32, self.before) {
            dev_warn!(self.dev, "its INTx stays disabled: {:?}\n", e);
        }
    }
}

/// The `struct device` of a driver-model device, if it is a PCI function.
///
/// # Safety
///
/// `dev` is a valid device for `'a`.
pub(crate) unsafe fn from_raw_device<'a>(dev: *mut bindings::device) -> Option<&'a Device> {
    // SAFETY: The caller vouches for `dev`.
    let dev: &device::Device = unsafe { device::Device::from_raw(dev) };
    dev.try_into().ok()
}
