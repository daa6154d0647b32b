// SPDX-License-Identifier: GPL-2.0

//! Stands in for crate `xen` where xen-pcidev uses it: Xen, the driver core, XenStore and work
//! queues, as far as threads can meet there. What must never happen is asserted here.

#[path = "../../../rust/xen/pci/header.rs"]
#[allow(dead_code)]
mod header;
#[path = "../../../rust/xen/pci/msix.rs"]
#[allow(dead_code)]
mod msix;
#[path = "../../../rust/xen/xenbus/pci_backend.rs"]
pub mod pci_backend;
#[path = "../../../rust/xen/gsi/route.rs"]
mod route;
#[path = "../../../rust/xen/pci/sbdf.rs"]
mod sbdf;
#[path = "../../../rust/xen/xenbus/state.rs"]
mod state;
pub mod workqueue;

/// Nobody looks at trace events.
#[macro_export]
macro_rules! trace {
    ($event:ident($($argument:ident = $value:expr),* $(,)?)) => {{ $(let _ = $value;)* }};
}

pub mod world {
    //! What there is outside of the module.

    use core::{cell::RefCell, ffi::CStr};
    use std::{collections::BTreeMap, rc::Rc, sync::Arc};

    use checker::loom::sync::{Mutex, RwLock};
    use kernel::{context, pci::Device, sync::aref::ARef};

    use crate::{
        linux::module,
        pci::{
            bus::{self, Event},
            InTree, Locked,
        },
        sbdf::Sbdf,
    };

    pub const STOCK: &CStr = c"xen_pciback";

    /// A PCI driver.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Driver {
        /// The stock xen-pciback.
        Stock,
        /// The Rust xen-pciback.
        Rust,
        /// One of dom0's own.
        Native,
    }

    /// What the driver core, Xen and the function itself have.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Hardware {
        pub driver: Option<Driver>,
        /// In the middle of the driver's probe, or of the init function that does the rest of it.
        pub is_probed: bool,
        /// A guest has it in Xen.
        pub is_assigned: bool,
        /// Holds of its MSI-X table.
        pub holds: u32,
        pub is_reset_forbidden: bool,
        pub is_removed: bool,
    }

    type Chain<T> = Vec<Arc<RwLock<Option<Arc<T>>>>>;

    #[derive(Default)]
    pub struct World {
        pub functions: BTreeMap<u8, Hardware>,
        pub devices: Vec<ARef<Device>>,
        /// Registrations of each line.
        pub lines: BTreeMap<u32, u32>,
        /// Counts of the module.
        pub pins: u32,
        pub store: BTreeMap<u16, Vec<Sbdf>>,
        pub(crate) bus: Chain<dyn bus::Observer>,
        pub(crate) modules: Chain<dyn module::Observer>,
    }

    thread_local! {
        static WORLD: RefCell<Option<(u64, Rc<Locks>)>> = const { RefCell::new(None) };
    }

    #[derive(Default)]
    struct Locks {
        world: Mutex<World>,
        topology: Mutex<()>,
    }

    fn locks() -> Rc<Locks> {
        WORLD.with_borrow_mut(|current| match current {
            Some((order, locks)) if *order == checker::order() => locks.clone(),
            _ => {
                let locks = Rc::new(Locks::default());
                *current = Some((checker::order(), locks.clone()));
                locks
            }
        })
    }

    /// Reads or changes it. Others can come before or after.
    pub fn all<R>(f: impl FnOnce(&mut World) -> R) -> R {
        f(&mut locks().world.lock().expect("nobody panics"))
    }

    /// Reads or changes what there is of a function.
    pub fn of<R>(dev: &Device, f: impl FnOnce(&mut Hardware) -> R) -> R {
        all(|world| f(world.functions.entry(dev.devfn).or_default()))
    }

    /// What there is of a function now.
    pub fn get(dev: &Device) -> Hardware {
        of(dev, |hardware| hardware.clone())
    }

    /// Nobody adds or removes functions meanwhile.
    pub fn topology<R>(f: impl FnOnce() -> R) -> R {
        context::might_sleep();
        let locks = locks();
        let _lock = locks.topology.lock().expect("nobody panics");
        f()
    }

    /// A new function.
    pub fn plug(devfn: u8) -> ARef<Device> {
        let dev = Device::plug(devfn);
        topology(|| {
            all(|world| {
                world.functions.insert(devfn, Hardware::default());
                world.devices.push(dev.clone());
            });
            call(|observer| observer.added(&InTree::new(&dev)));
        });
        dev
    }

    /// Removes a function, whatever driver it has.
    pub fn unplug(dev: &Device) {
        topology(|| {
            unbind(dev);
            {
                let _lock = dev.device_lock();
                of(dev, |hardware| hardware.is_removed = true);
            }
            call(|observer| observer.removing(dev));
            all(|world| world.devices.retain(|other| other.devfn != dev.devfn));
        });
    }

    fn call(f: impl Fn(&dyn bus::Observer)) {
        for slot in all(|world| world.bus.clone()) {
            if let Some(observer) = &*slot.read().expect("nobody panics") {
                f(&**observer);
            }
        }
    }

    fn tell(dev: &Device, event: Event) {
        call(|observer| observer.driver(&Locked::new(dev), event));
    }

    fn set_driver(dev: &Device, driver: Option<Driver>) {
        of(dev, |hardware| hardware.driver = driver);
        dev.core(|core| {
            core.driver = driver.map(|driver| match driver {
                Driver::Native => c"native",
                _ => c"pciback",
            });
        });
    }

    /// Binds a driver, unless there is one; whether it is bound by it.
    pub fn bind(dev: &Device, driver: Driver) -> bool {
        let _lock = dev.device_lock();
        let hardware = get(dev);
        if hardware.is_removed || hardware.driver.is_some() {
            return false;
        }
        set_driver(dev, Some(driver));
        tell(dev, Event::Binding);
        of(dev, |hardware| hardware.is_probed = true);
        assert!(
            driver != Driver::Stock || get(dev).is_reset_forbidden,
            "the stock driver resets it, and tells Xen too early"
        );
        of(dev, |hardware| hardware.is_probed = false);
        tell(dev, Event::Bound);
        true
    }

    /// Unbinds whatever driver it has.
    pub fn unbind(dev: &Device) {
        let _lock = dev.device_lock();
        if get(dev).driver.is_none() {
            return;
        }
        tell(dev, Event::Unbinding);
        set_driver(dev, None);
        tell(dev, Event::Unbound);
    }

    /// Loads the stock driver, which binds functions first and is done with them later.
    pub fn load_stock(devices: &[&Device]) {
        tell_module(module::Event::Coming);
        for dev in devices {
            let _lock = dev.device_lock();
            if get(dev).driver.is_some() {
                continue;
            }
            set_driver(dev, Some(Driver::Stock));
            tell(dev, Event::Binding);
            of(dev, |hardware| hardware.is_probed = true);
            tell(dev, Event::Bound);
        }
        for dev in devices {
            of(dev, |hardware| hardware.is_probed = false);
        }
        tell_module(module::Event::Live);
    }

    fn tell_module(event: module::Event) {
        for slot in all(|world| world.modules.clone()) {
            if let Some(observer) = &*slot.read().expect("nobody panics") {
                observer.changed(STOCK, event);
            }
        }
    }

    /// Gives a function to a guest, if it is one for guests.
    pub fn assign(dev: &Device) -> bool {
        of(dev, |hardware| {
            let is_for_guests = hardware.holds == 1 && hardware.driver != Some(Driver::Native);
            hardware.is_assigned = is_for_guests;
            is_for_guests
        })
    }
}

pub mod gsi {
    //! Where a function's pin is routed.

    pub use crate::route::{NoRoute, Polarity, Route, Trigger};

    use kernel::{error::Result, pci::Device};

    use crate::world;

    impl Route {
        /// Slots share a line in pairs.
        pub fn of(dev: &Device) -> Result<Self, NoRoute> {
            Ok(Self {
                gsi: 16 + u32::from(dev.devfn >> 4),
                trigger: Trigger::Level,
                polarity: Polarity::Low,
            })
        }

        pub fn map(&self) -> Result<Mapping> {
            world::all(|world| *world.lines.entry(self.gsi).or_default() += 1);
            Ok(Mapping(self.gsi))
        }
    }

    /// A line that has an irq.
    pub struct Mapping(u32);

    impl Mapping {
        pub fn gsi(&self) -> u32 {
            self.0
        }

        pub fn irq(&self) -> u32 {
            self.0
        }
    }

    impl Drop for Mapping {
        fn drop(&mut self) {
            world::all(|world| *world.lines.entry(self.0).or_default() -= 1);
        }
    }

    pub mod irq {
        //! Requests of lines.

        use core::ffi::CStr;
        use kernel::error::Result;

        pub struct NotMine;

        pub struct Registration;

        impl Registration {
            #[allow(clippy::new_ret_no_self)]
            pub fn new(_irq: u32, _name: &'static CStr, _handler: NotMine) -> Result<Self> {
                Ok(Self)
            }
        }
    }

    pub mod lookup {
        //! The kernel's one place for a look-up.

        use kernel::error::Result;

        use crate::pci::Sbdf;

        pub trait GsiLookup: Send + Sync + 'static {
            fn gsi(&self, sbdf: Sbdf) -> Result<u32>;
        }

        pub struct Registration<T>(T);

        impl<T: GsiLookup> Registration<T> {
            pub fn new(lookup: T) -> Result<Self> {
                Ok(Self(lookup))
            }

            pub fn renew(&self) {}

            /// As the kernel asks: with a lock held.
            pub fn ask(&self, sbdf: Sbdf) -> Result<u32> {
                kernel::context::atomic(|| self.0.gsi(sbdf))
            }
        }
    }
}

pub mod linux {
    //! Services of the kernel.

    pub use crate::workqueue;

    pub mod param {
        //! Parameters of the module.

        /// One that is switched on.
        pub struct On;

        impl On {
            pub fn get(&self) -> bool {
                true
            }
        }
    }

    pub mod module {
        //! Modules.

        use core::ffi::CStr;
        use std::sync::Arc;

        use checker::loom::sync::RwLock;
        use kernel::error::Result;

        use crate::world;

        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Event {
            Coming,
            Live,
            Going,
        }

        pub trait Observer: Send + Sync + 'static {
            fn changed(&self, name: &CStr, event: Event);
        }

        pub struct Registration(Arc<RwLock<Option<Arc<dyn Observer>>>>);

        impl Registration {
            pub fn new(observer: impl Observer) -> Self {
                let observer: Arc<dyn Observer> = Arc::new(observer);
                let slot = Arc::new(RwLock::new(Some(observer)));
                world::all(|world| world.modules.push(slot.clone()));
                Self(slot)
            }
        }

        impl Drop for Registration {
            fn drop(&mut self) {
                // Waits for running calls.
                *self.0.write().expect("nobody panics") = None;
            }
        }

        /// Keeps the module loaded.
        pub struct Pinned(());

        impl Pinned {
            pub fn new() -> Result<Self> {
                world::all(|world| world.pins += 1);
                Ok(Self(()))
            }
        }

        impl Drop for Pinned {
            fn drop(&mut self) {
                world::all(|world| world.pins -= 1);
            }
        }
    }

    pub mod sysfs {
        //! A function's directory.

        use kernel::{pci::Device, sync::aref::ARef};

        use crate::world;

        pub struct Directory<T> {
            pub(crate) dev: ARef<Device>,
            pub(crate) _files: T,
        }

        impl<T> Drop for Directory<T> {
            fn drop(&mut self) {
                kernel::context::might_sleep();
                let is_gone = world::all(|world| {
                    !world.devices.iter().any(|dev| dev.devfn == self.dev.devfn)
                });
                // A group of attributes is removed from the directory of its device.
                assert!(
                    !(checker::without("kobject") && is_gone),
                    "removed from a directory that is gone"
                );
            }
        }
    }
}

pub mod pci {
    //! Functions.

    use core::{ffi::CStr, ops::Deref};

    use checker::loom::sync::MutexGuard;
    use kernel::{
        error::Result,
        pci::Device,
        sync::aref::{ARef, AlwaysRefCounted},
    };

    pub use crate::{header::Pin, msix::MsixTable, sbdf::Sbdf};
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

    /// A function whose lock is held.
    pub struct Locked(ARef<Device>);

    impl Locked {
        pub(crate) fn new(dev: &Device) -> Self {
            Self(dev.reference())
        }

        pub fn driver_name(&self) -> Option<&CStr> {
            self.core(|core| core.driver)
        }

        pub fn driver_hears_resets(&self) -> bool {
            world::get(self).driver == Some(Driver::Rust)
        }

        pub fn intx_irq(&self) -> Option<u32> {
            Some(11)
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

        pub fn forbid_reset(&self) -> reset::ResetForbidden {
            world::of(self, |hardware| hardware.is_reset_forbidden = true);
            reset::ResetForbidden(self.0.clone())
        }
    }

    impl Deref for Locked {
        type Target = Device;

        fn deref(&self) -> &Device {
            &self.0
        }
    }

    pub struct DeviceLock<'a> {
        locked: Locked,
        _lock: Option<MutexGuard<'a, ()>>,
    }

    impl<'a> DeviceLock<'a> {
        pub fn new(dev: &'a Device) -> Self {
            let lock = dev.device_lock();
            Self {
                locked: Locked::new(dev),
                _lock: lock,
            }
        }
    }

    impl Deref for DeviceLock<'_> {
        type Target = Locked;

        fn deref(&self) -> &Locked {
            &self.locked
        }
    }

    pub trait DeviceExt {
        fn sbdf(&self) -> Result<Sbdf>;
        fn pin(&self) -> Option<Pin>;
        fn msix_table(&self) -> Result<Option<MsixTable>>;
    }

    impl DeviceExt for Device {
        fn sbdf(&self) -> Result<Sbdf> {
            Ok(Sbdf::new(0, 0, self.devfn))
        }

        fn pin(&self) -> Option<Pin> {
            Pin::decode(1)
        }

        fn msix_table(&self) -> Result<Option<MsixTable>> {
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

        pub struct ResetForbidden(pub(super) ARef<Device>);

        impl Drop for ResetForbidden {
            fn drop(&mut self) {
                world::of(&self.0, |hardware| hardware.is_reset_forbidden = false);
            }
        }
    }

    pub mod bus {
        //! Notifications.

        use std::sync::Arc;

        use checker::loom::sync::RwLock;
        use kernel::pci::Device;

        use super::{InTree, Locked};
        use crate::world;

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

        pub struct Registration(Arc<RwLock<Option<Arc<dyn Observer>>>>);

        impl Registration {
            pub fn new(observer: impl Observer) -> Self {
                let observer: Arc<dyn Observer> = Arc::new(observer);
                let slot = Arc::new(RwLock::new(Some(observer)));
                world::all(|world| world.bus.push(slot.clone()));
                Self(slot)
            }
        }

        impl Drop for Registration {
            fn drop(&mut self) {
                // Waits for running calls.
                *self.0.write().expect("nobody panics") = None;
            }
        }
    }
}

pub mod vpci {
    //! What Xen knows of functions.

    use kernel::{
        error::{Result, EBUSY, ENODEV},
        pci::Device,
        sync::aref::{ARef, AlwaysRefCounted},
    };

    use crate::{
        pci::{InTree, Locked, MsixTable},
        world::{self, Hardware},
    };

    #[derive(Clone, Copy)]
    pub struct Function;

    impl Function {
        pub fn of(dev: &InTree<'_>) -> Result<Self> {
            dev.require();
            Ok(Self)
        }

        pub fn is_known(&self) -> Result {
            Ok(())
        }
    }

    /// A table that Xen knows for guests.
    pub struct Hold {
        dev: ARef<Device>,
        table: MsixTable,
        is_released: bool,
    }

    impl Hold {
        pub fn new(dev: &Locked, _function: Function, table: MsixTable) -> Result<Self> {
            let hardware = world::get(dev);
            assert!(!hardware.is_probed, "held in the middle of a probe");
            assert!(!hardware.is_removed, "held after it was removed");
            world::of(dev, |hardware| match hardware {
                Hardware {
                    is_assigned: true, ..
                } => Err(ENODEV),
                Hardware { holds: 1, .. } => Err(EBUSY),
                _ => {
                    hardware.holds = 1;
                    Ok(())
                }
            })?;
            Ok(Self {
                dev: dev.reference(),
                table,
                is_released: false,
            })
        }

        pub fn pirq(&self) -> Option<i32> {
            None
        }

        pub fn table(&self) -> MsixTable {
            self.table
        }

        pub fn last_entry(&self) -> Result {
            Ok(())
        }

        pub fn give_back(&mut self, _dev: &Locked) -> Result {
            self.release()
        }

        pub fn release(&mut self) -> Result {
            if !self.is_released {
                self.is_released = true;
                let hardware = world::get(&self.dev);
                assert!(
                    !hardware.is_assigned || hardware.is_removed,
                    "released under a guest"
                );
                world::of(&self.dev, |hardware| hardware.holds -= 1);
            }
            Ok(())
        }
    }

    impl Drop for Hold {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                let _ = self.release();
            }
        }
    }

    pub fn owned_by_dom0(dev: &Device, _table: MsixTable) -> Result<bool> {
        Ok(!world::get(dev).is_assigned)
    }
}

pub mod xenbus {
    //! XenStore.

    pub use crate::{pci_backend, state::State};

    pub mod store {
        //! Its nodes.

        use core::ffi::CStr;
        use std::ffi::CString;

        use kernel::{
            error::{Result, ENOENT},
            prelude::{KVec, GFP_KERNEL},
        };

        use super::{
            pci_backend::{Directory, Entry},
            State,
        };
        use crate::world;

        pub struct Names(Vec<CString>);

        impl Names {
            pub fn iter(&self) -> impl Iterator<Item = &CStr> {
                self.0.iter().map(|name| &**name)
            }
        }

        pub fn list(_dir: &CStr) -> Result<Names> {
            kernel::context::might_sleep();
            let names = world::all(|world| world.store.keys().copied().collect::<Vec<_>>());
            if names.is_empty() {
                return Err(ENOENT);
            }
            let name = |domain: u16| CString::new(domain.to_string()).expect("digits");
            Ok(Names(names.into_iter().map(name).collect()))
        }

        pub fn read_pci_backend(domain: u16) -> Result<Option<Directory>> {
            kernel::context::might_sleep();
            let functions = world::all(|world| world.store.get(&domain).cloned());
            let mut entries = KVec::new();
            for function in functions.iter().flatten() {
                let entry = Entry {
                    index: 0,
                    function: Some(*function),
                    state: State::Connected,
                };
                entries.push(entry, GFP_KERNEL)?;
            }
            Ok(functions.map(|_| Directory {
                state: State::Connected,
                is_online: true,
                entries,
                closing: KVec::new(),
            }))
        }
    }

    pub mod watch {
        //! Changes.

        use core::ffi::CStr;

        pub trait Observer: Send + Sync + 'static {
            const PATH: &'static CStr;
            fn changed(&self, path: &CStr);
        }
    }
}
