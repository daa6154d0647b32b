// SPDX-License-Identifier: GPL-2.0

//! Stopping the guest of a function that it must not use any more.

use kernel::{
    pci::Device,
    prelude::*, //
};

use xen::{
    hypercall::domain,
    xenbus::store, //
};

use crate::{
    function::Function,
    life::Domain, //
};

/// Stops the guest that has the function, unless it was already stopped. If that is a stub domain,
/// also stops its guest, to which Xen has assigned the function. Logs `cause`. May sleep.
pub(crate) fn stop(dev: &Device, function: &Function, cause: &str) {
    let Some(guest) = function.stop_guest() else {
        return;
    };
    crash(dev, guest, cause);
    // Xen does not tell whose stub domain a domain is. A toolstack does, by a node in the domain's
    // own directory: this and what is created in it belong to dom0, and the domain may only read
    // them. So no stub domain can name somebody else. Only HVM guests have one.
    match store::read_target(guest) {
        Ok(Some(target)) if domain::is_pv_guest(target) != Ok(true) => {
            dev_err!(
                dev,
                "domain {} is the stub domain of domain {}\n",
                guest,
                target
            );
            crash(dev, target, cause);
        }
        Ok(_) => (),
        Err(e) => dev_err!(
            dev,
            "cannot read whether domain {} is a stub domain: {:?}\n",
            guest,
            e
        ),
    }
}

fn crash(dev: &Device, guest: Domain, cause: &str) {
    match domain::crash(guest) {
        Ok(()) => dev_err!(
            dev,
            "{} while assigned to domain {}; domain stopped\n",
            cause,
            guest
        ),
        Err(e) => dev_err!(
            dev,
            "{} while assigned to domain {}, which could not be stopped ({:?}): xl destroy it\n",
            cause,
            guest,
            e
        ),
    }
}
