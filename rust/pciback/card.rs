// SPDX-License-Identifier: GPL-2.0

//! The reset of functions that share a bus, such as those of a graphics card.
//!
//! A function without a reset of its own can be reset with its bus, together with all others there.
//! That is done once for all of them, when the driver has them all and no guest has any of them.

use kernel::{
    pci::Device,
    prelude::*,
    sync::Arc,
    time::Instant, //
};

use xen::pci::{
    self,
    reset::{
        Kind,
        Method,
        Reset, //
    },
    BusLock,
    ConfigSpace,
    DeviceExt,
    Locked,
    Sbdf, //
};

use crate::{
    function::Function,
    life::{
        Domain,
        Outcome, //
    },
    restore::{
        patience,
        prepare, //
    }, //
};

/// Why a function on the bus prevents the reset of the bus.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// This guest has the function.
    Assigned(Domain),
    /// A guest has the function in Xen, or is about to get it. XenStore does not say yet which
    /// guest, or not any more.
    Unannounced,
    /// Linux is recovering from an error of the function.
    Recovering,
    /// The driver is seizing the function.
    Coming,
    /// The driver has not seized the function.
    Foreign,
}

/// Returns whether `dev` has a reset of its own, which reaches no other function.
pub(super) fn own_method(dev: &Device) -> Option<Method> {
    dev.reset_method().filter(|method| !method.is_by_bridge())
}

impl Function {
    /// Returns how the function is reset at present; `None` if it cannot be reset.
    pub(crate) fn reset_name(&self) -> Option<Method> {
        let is_foreign = |sbdf| self.obstacle(sbdf, false) == Some(Obstacle::Foreign);
        own_method(&self.dev).or_else(|| {
            let mut bus = pci::on_bus_of(&self.dev).filter_map(|dev| dev.sbdf().ok());
            (pci::can_reset_bus_of(&self.dev) && !bus.any(is_foreign)).then_some(Method::Bus)
        })
    }

    /// Returns the other functions that are reset together with this one.
    fn reset_with(&self) -> impl Iterator<Item = Sbdf> + '_ {
        let is_by_bus = own_method(&self.dev).is_none() && pci::can_reset_bus_of(&self.dev);
        pci::on_bus_of(&self.dev)
            .filter(move |_| is_by_bus)
            .filter_map(|dev| dev.sbdf().ok())
            .filter(|sbdf| *sbdf != self.sbdf)
    }

    /// Returns the functions that prevent the reset of this one at present.
    pub(crate) fn reset_blocked_by(&self) -> impl Iterator<Item = Sbdf> + '_ {
        self.reset_with()
            .filter(|sbdf| self.obstacle(*sbdf, false).is_some())
    }

    /// Returns the guests that have the function, or another one that is reset together with it.
    pub(crate) fn guests(&self) -> impl Iterator<Item = Domain> + '_ {
        let others = self.reset_with();
        let others = others.filter_map(|sbdf| self.registry.get(sbdf).ok()?.guest());
        Iterator::chain(self.guest().into_iter(), others)
    }

    /// Returns whether the reset of the function has to wait for others, and none of them will
    /// queue it.
    pub(super) fn has_to_poll(&self) -> bool {
        let mut has_to = false;
        for obstacle in self
            .reset_with()
            .filter_map(|sbdf| self.obstacle(sbdf, true))
        {
            match obstacle {
                Obstacle::Assigned(_) | Obstacle::Recovering => return false,
                Obstacle::Unannounced | Obstacle::Coming | Obstacle::Foreign => has_to = true,
            }
        }
        has_to
    }

    /// Returns whether and why the function at `sbdf`, on the same bus, prevents the reset. With
    /// `patience`, one that a toolstack is about to assign does, too.
    fn obstacle(&self, sbdf: Sbdf, patience: bool) -> Option<Obstacle> {
        let other = self.registry.get(sbdf);
        let other = match &other {
            Ok(other) => &**other,
            // The function is not registered while it is being seized.
            Err(_) if sbdf == self.sbdf => self,
            Err(_) => return Some(Obstacle::Foreign),
        };
        let is_other = sbdf != self.sbdf;
        let inner = other.inner.lock();
        if let Some(domain) = inner.life.guest() {
            Some(Obstacle::Assigned(domain))
        } else if inner.life.is_recovering() {
            Some(Obstacle::Recovering)
        } else if inner.seized.is_none() && is_other {
            Some(Obstacle::Foreign)
        } else if is_other && (patience && inner.is_requested() || other.vpci.is_assigned()) {
            Some(Obstacle::Unannounced)
        } else {
            None
        }
    }

    /// Resets all functions on the bus, unless one of them prevents that. Records the results, and
    /// logs errors.
    pub(super) fn reset_bus(
        self: &Arc<Self>,
        bus: &BusLock<'_>,
        patience: bool,
    ) -> Result<Outcome> {
        let mut prevented = None;
        for dev in bus.functions() {
            let sbdf = dev.sbdf()?;
            let Some(mut obstacle) = self.obstacle(sbdf, patience) else {
                continue;
            };
            let is_coming = dev.driver_name().is_none() && dev.has_override();
            if obstacle == Obstacle::Foreign && is_coming && patience {
                obstacle = Obstacle::Coming;
            }
            // Nothing is worth waiting for if one function is not the driver's.
            if prevented.is_none() || obstacle == Obstacle::Foreign {
                prevented = Some((sbdf, obstacle));
            }
        }
        if let Some((sbdf, obstacle)) = prevented {
            return self.was_not_reset(bus, sbdf, obstacle, patience);
        }
        if !pci::can_reset_bus_of(bus) {
            return self.without_method(bus);
        }
        let mut card = KVec::new();
        for dev in bus.functions() {
            let function = match self.registry.get(dev.sbdf()?) {
                Ok(function) => function,
                Err(_) => self.clone(),
            };
            card.push((dev, function), GFP_KERNEL)?;
        }
        self.reset_all(bus, &card)
    }

    fn reset_all(&self, bus: &BusLock<'_>, card: &[(&Locked, Arc<Function>)]) -> Result<Outcome> {
        let mut prepared = KVec::with_capacity(card.len(), GFP_KERNEL)?;
        for (dev, _) in card {
            let patience = patience(dev);
            prepared.push((prepare(dev), patience), GFP_KERNEL)?;
        }
        let began = Instant::now();
        let reset = bus.reset();
        let mut own = Err(ENODEV);
        for ((dev, function), (prepared, patience)) in card.iter().zip(prepared) {
            let back =
                reset.and_then(|()| ConfigSpace::of(dev).wait_until_present(began, patience));
            let restored = function.put_back(dev, Kind::Hot);
            let result = back.and(prepared).and(restored).map(|()| Outcome::Reset);
            if let Err(e) = result {
                dev_err!(dev, "reset ({}) failed: {:?}\n", Method::Bus, e);
            }
            let _ = function.was_reset(result);
            if core::ptr::eq(&**function, self) {
                own = result;
            } else {
                function.look_after();
            }
        }
        own
    }

    /// Deals with a reset of the bus that the function at `sbdf` prevents.
    fn was_not_reset(
        &self,
        dev: &Locked,
        sbdf: Sbdf,
        obstacle: Obstacle,
        patience: bool,
    ) -> Result<Outcome> {
        match obstacle {
            Obstacle::Assigned(domain) => {
                dev_info!(
                    dev,
                    "reset postponed: it shares a bus reset with {}, assigned to domain {}\n",
                    sbdf,
                    domain
                );
                // Meanwhile DMA and interrupts of the last owner must not go on.
                return self.without_reset(dev, Outcome::Postponed);
            }
            Obstacle::Unannounced if !patience => dev_warn!(
                dev,
                "not reset: Xen has assigned {} to a guest, and one bus reset is for both\n",
                sbdf
            ),
            Obstacle::Unannounced | Obstacle::Coming => (),
            Obstacle::Recovering => return Ok(Outcome::Postponed),
            Obstacle::Foreign => {
                dev_warn!(
                    dev,
                    "not reset, as {} on its bus is not seized: state leaks to the next owner\n",
                    sbdf
                );
                return self.without_reset(dev, Outcome::Unresettable);
            }
        }
        let _ = ConfigSpace::of(dev).quiesce();
        Ok(Outcome::Postponed)
    }
}
