// SPDX-License-Identifier: GPL-2.0

//! All PCI functions.

use kernel::{
    new_mutex,
    prelude::*,
    rbtree::RBTree,
    sync::{
        Arc,
        Mutex, //
    }, //
};

use xen::{
    gsi::Route,
    linux::sysfs::Directory,
    pci::{
        DeviceExt,
        InTree,
        Sbdf, //
    }, //
};

use crate::{
    assignments::{
        Assignment,
        Assignments, //
    },
    files::Files,
    index::Index,
    info::{
        Holder,
        Info, //
    },
    seize::Function, //
};

/// All PCI functions.
#[pin_data]
pub(crate) struct Functions {
    /// Locked inside the device lock and the topology lock, and outside the lock of a function's
    /// properties. Those of its resources and its guard are not taken inside.
    #[pin]
    registry: Mutex<Registry>,
    /// The GSI answers for toolstacks. Written under the lock of `registry`, read without a lock.
    gsis: Index,
}

struct Registry {
    functions: RBTree<Sbdf, Entry>,
    assignments: Assignments,
}

struct Entry {
    function: Arc<Function>,
    _directory: Directory<Files>,
}

impl Registry {
    fn info(&self, sbdf: Sbdf) -> Result<Info> {
        let entry = self.functions.get(&sbdf).ok_or(ENODEV)?;
        Ok(entry.function.info())
    }

    /// Returns the GSI answer for toolstacks. `ENOENT` if the toolstack must not unmap the line:
    /// see [`Assignments::keeps_line`].
    fn gsi_for_toolstack(&self, sbdf: Sbdf) -> Result<u32> {
        let gsi = self.info(sbdf)?.route?.gsi;
        let is_on_line = |other| {
            self.info(other)
                .is_ok_and(|info| info.route.is_ok_and(|route| route.gsi == gsi))
        };
        if self.assignments.keeps_line(sbdf, is_on_line) {
            Err(ENOENT)
        } else {
            Ok(gsi)
        }
    }
}

impl Functions {
    /// Creates an empty list.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                registry <- new_mutex!(Registry {
                    functions: RBTree::new(),
                    assignments: Assignments::new(),
                }),
                gsis: Index::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Adds a function. If it was added before without a route, asks for the route again. May
    /// sleep.
    pub(crate) fn add(&self, dev: &InTree<'_>) -> Result {
        let sbdf = dev.sbdf()?;
        let mut registry = self.registry.lock();
        match registry.functions.get(&sbdf) {
            Some(entry) => entry.function.find_route(dev),
            None => {
                self.gsis.make_room(sbdf)?;
                let function = Function::new(dev, sbdf)?;
                let entry = Entry {
                    _directory: dev.add_directory(Files(function.clone()))?,
                    function,
                };
                registry
                    .functions
                    .try_create_and_insert(sbdf, entry, GFP_KERNEL)?;
            }
        }
        self.publish(&registry, sbdf);
        Ok(())
    }

    /// Removes a function that Linux is removing. Returns the route of its pin, if it had one. May
    /// sleep.
    pub(crate) fn remove(&self, sbdf: Sbdf) -> Option<Route> {
        let entry = {
            let mut registry = self.registry.lock();
            let entry = registry.functions.remove(&sbdf);
            self.publish(&registry, sbdf);
            entry
        }?;
        entry.function.unplugged();
        entry.function.info().route.ok()
    }

    /// Returns the function at `sbdf`; `ENODEV` if there is none. May sleep.
    pub(crate) fn get(&self, sbdf: Sbdf) -> Result<Arc<Function>> {
        let registry = self.registry.lock();
        let entry = registry.functions.get(&sbdf).ok_or(ENODEV)?;
        Ok(entry.function.clone())
    }

    /// Returns the properties of the function at `sbdf`, and the domain that it is assigned to.
    /// `ENODEV` if there is no such function. May sleep.
    pub(crate) fn info(&self, sbdf: Sbdf) -> Result<(Info, Option<u16>)> {
        let registry = self.registry.lock();
        Ok((registry.info(sbdf)?, registry.assignments.domain(sbdf)))
    }

    /// Returns whether xen-pciback has a function on the line `gsi`, and no driver of dom0 may use
    /// the line. May sleep.
    pub(crate) fn only_guests_use(&self, gsi: u32) -> bool {
        let registry = self.registry.lock();
        let mut is_for_guests = false;
        for (_, entry) in registry.functions.iter() {
            let info = entry.function.info();
            if info.route.is_ok_and(|route| route.gsi == gsi) {
                if info.may_use_line {
                    return false;
                }
                is_for_guests |= info.holder == Holder::Pciback;
            }
        }
        is_for_guests
    }

    /// Returns all functions for which `wanted` is true, in the order of their addresses. May
    /// sleep.
    pub(crate) fn list(&self, wanted: impl Fn(&Info) -> bool) -> Result<KVec<(Sbdf, Info)>> {
        let mut list = KVec::new();
        for (sbdf, entry) in self.registry.lock().functions.iter() {
            let info = entry.function.info();
            if wanted(&info) {
                list.push((*sbdf, info), GFP_KERNEL)?;
            }
        }
        Ok(list)
    }

    /// Returns the GSI answer for toolstacks; `ENODEV` if there is no such function. Takes no lock.
    pub(crate) fn gsi_for_toolstack(&self, sbdf: Sbdf) -> Result<u32> {
        self.gsis.get(sbdf)
    }

    /// Replaces the assignments of `domain`, and tells the functions concerned. `target` is the
    /// guest of which `domain` is the stub domain. Returns whether the domain has lost functions.
    /// May sleep.
    pub(crate) fn assign(
        &self,
        domain: u16,
        target: Option<u16>,
        assignments: &[Assignment],
    ) -> Result<bool> {
        let has = |sbdf| assignments.iter().any(|new| new.function() == sbdf);
        let mut lost = KVec::new();
        {
            let mut registry = self.registry.lock();
            for sbdf in registry.assignments.functions(domain) {
                lost.push((sbdf, false), GFP_KERNEL)?;
            }
            registry.assignments.replace(domain, assignments)?;
            lost.retain(|(sbdf, _)| !has(*sbdf));
            for (sbdf, is_free) in lost.iter_mut() {
                *is_free = registry.assignments.domain(*sbdf).is_none();
            }
            self.publish_all(&registry);
        }
        for (sbdf, is_free) in &lost {
            if let Ok(function) = self.get(*sbdf) {
                function.unassigned(domain, *is_free);
            }
        }
        for assignment in assignments {
            if let Ok(function) = self.get(assignment.function()) {
                function.assigned(domain, target);
            }
        }
        Ok(!lost.is_empty())
    }

    /// Returns the domains that have functions, some more than once. May sleep.
    pub(crate) fn domains(&self) -> Result<KVec<u16>> {
        let mut domains = KVec::new();
        for domain in self.registry.lock().assignments.domains() {
            domains.push(domain, GFP_KERNEL)?;
        }
        Ok(domains)
    }

    /// Sets the answer for a function that was added or removed or got a route. If it is assigned,
    /// sets all answers, since it may share its line.
    fn publish(&self, registry: &Registry, sbdf: Sbdf) {
        self.gsis.set(sbdf, registry.gsi_for_toolstack(sbdf));
        if registry.assignments.domain(sbdf).is_some() {
            self.publish_all(registry);
        }
    }

    fn publish_all(&self, registry: &Registry) {
        for (sbdf, _) in registry.functions.iter() {
            self.gsis.set(*sbdf, registry.gsi_for_toolstack(*sbdf));
        }
    }
}
