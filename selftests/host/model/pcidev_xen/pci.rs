// SPDX-License-Identifier: GPL-2.0

//! Functions.

use core::{ffi::CStr, ops::Deref};

use kernel::{
    error::Result,
    pci::Device,
    prelude::KVec,
    sync::aref::{ARef, AlwaysRefCounted},
};

pub use crate::{
    header::Pin,
    locked::{DeviceLock, Locked},
    msix::MsixTable,
    sbdf::Sbdf,
};
use crate::{
    linux::sysfs::Directory,
    world::{self, Driver},
};

pub fn has_driver(_name: &CStr) -> bool {
    false
}

/// All functions that there are now.
pub fn iter() -> impl Iterator<Item = ARef<Device>> {
    world::all(|world| world.devices.clone()).into_iter()
}

pub struct TopologyLock(Vec<ARef<Device>>);

impl TopologyLock {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(iter().collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = InTree<'_>> {
        self.0.iter().map(|dev| InTree::new(dev))
    }
}

/// A function that is not removed.
pub struct InTree<'a>(&'a Device);

impl<'a> InTree<'a> {
    pub(crate) fn new(dev: &'a Device) -> Self {
        Self(dev)
    }

    pub fn add_directory<T>(&self, files: T) -> Result<Directory<T>> {
        self.require();
        Ok(Directory {
            dev: self.0.reference(),
            _files: files,
        })
    }

    pub(crate) fn require(&self) {
        assert!(!world::get(self.0).is_removed, "used after it was removed");
    }
}

impl Deref for InTree<'_> {
    type Target = Device;

    fn deref(&self) -> &Device {
        self.0
    }
}

/// No function is an Intel GPU.
pub struct FirmwareRegisters;

impl FirmwareRegisters {
    pub fn of(_dev: &Device) -> Result<Option<Self>> {
        Ok(None)
    }

    pub fn restore(&self, _dev: &Device) {}

    pub fn opregion(&self) -> u32 {
        0
    }
}

/// What is hidden from device models.
#[derive(Clone, Copy)]
pub struct Hiding;

/// The file that device models open when a guest gets the function.
pub struct ConfigFile(ARef<Device>);

impl ConfigFile {
    pub fn new(dev: &InTree<'_>, _hidden: KVec<Hiding>, _observer: Option<()>) -> Result<Self> {
        dev.require();
        world::of(dev, |hardware| {
            assert!(!hardware.is_hidden, "replaced twice");
            assert!(!hardware.is_assigned, "replaced under a device model");
            hardware.is_hidden = true;
        });
        Ok(Self(dev.reference()))
    }
}

impl Drop for ConfigFile {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            world::of(&self.0, |hardware| {
                assert!(
                    !hardware.is_assigned || hardware.is_removed,
                    "put back under a device model"
                );
                hardware.is_hidden = false;
            });
        }
    }
}

impl Locked {
    pub fn driver_hears_resets(&self) -> bool {
        world::get(self).driver == Some(Driver::Rust)
    }

    pub fn in_tree(&self) -> Option<InTree<'_>> {
        self.driver_name().map(|_| InTree(self))
    }

    pub fn reset(&self) -> Result {
        let hardware = world::get(self);
        assert!(!hardware.is_probed, "reset in the middle of a probe");
        assert!(
            !hardware.is_reset_forbidden,
            "reset while that is forbidden"
        );
        // The stock driver, too, resets what is unbound under a guest.
        assert!(
            !hardware.is_assigned || hardware.driver.is_none(),
            "reset under a guest"
        );
        Ok(())
    }

    pub fn forbid_reset(&self) -> reset::ReplacedMethods {
        world::of(self, |hardware| hardware.is_reset_forbidden = true);
        reset::ReplacedMethods(self.0.clone())
    }
}

pub trait DeviceExt {
    fn sbdf(&self) -> Result<Sbdf>;
    fn pin(&self) -> Option<Pin>;
    fn is_plain(&self) -> bool;
}

impl DeviceExt for Device {
    fn sbdf(&self) -> Result<Sbdf> {
        Ok(Sbdf::new(0, 0, self.devfn))
    }

    fn pin(&self) -> Option<Pin> {
        Pin::decode(1)
    }

    fn is_plain(&self) -> bool {
        true
    }
}

pub struct ConfigSpace;

impl ConfigSpace {
    pub fn of(_dev: &Device) -> Self {
        Self
    }

    pub fn msix_table(&self) -> Result<Option<MsixTable>> {
        Ok(MsixTable::decode(4, 0))
    }
}

/// Nothing falls asleep here.
pub struct Awake;

impl Awake {
    pub fn new(_dev: &Device) -> Self {
        Self
    }
}

pub struct Command;

impl Command {
    pub fn keep(_dev: &Device) -> Result<Self> {
        Ok(Self)
    }

    pub fn disable_intx(&self) -> Result {
        Ok(())
    }
}

pub mod reset {
    //! Resets.

    use kernel::{pci::Device, sync::aref::ARef};

    use crate::world;

    pub struct ReplacedMethods(pub(super) ARef<Device>);

    impl Drop for ReplacedMethods {
        fn drop(&mut self) {
            world::of(&self.0, |hardware| hardware.is_reset_forbidden = false);
        }
    }
}

pub mod bus {
    //! Notifications.

    use std::sync::Arc;

    use checker::InOrder;
    use kernel::pci::Device;

    use super::{InTree, Locked};
    use crate::chain::{Chain, Member};

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Event {
        Binding,
        Bound,
        NotBound,
        Unbinding,
        Unbound,
    }

    pub trait Observer: Send + Sync + 'static {
        fn added(&self, dev: &InTree<'_>);
        fn removing(&self, dev: &Device);
        fn driver(&self, dev: &Locked, event: Event);
    }

    thread_local! {
        static CHAIN: InOrder<Chain<dyn Observer>> = const { InOrder::new() };
    }

    pub struct Registration {
        _member: Member<dyn Observer>,
    }

    impl Registration {
        pub fn new(observer: impl Observer) -> Self {
            Self {
                _member: CHAIN.with(InOrder::get).add(Arc::new(observer)),
            }
        }
    }

    /// Tells all.
    pub(crate) fn call(f: impl Fn(&dyn Observer)) {
        CHAIN.with(InOrder::get).call(f);
    }
}
