// SPDX-License-Identifier: GPL-2.0

//! Signals that interrupt a trial: it tidies up first, and dies of them then.

use std::{
    fmt,
    path::Path,
    sync::{
        atomic::{
            AtomicBool,
            AtomicUsize,
            Ordering, //
        },
        Arc, //
    },
};

use signal_hook::{
    consts::{
        SIGHUP,
        SIGINT,
        SIGTERM, //
    },
    flag,
    low_level, //
};

use crate::sysfs;

/// A signal that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(i32);

impl Signal {
    /// Dies of it, as whoever sent it expects.
    pub fn die(self) {
        let _ = low_level::emulate_default_handler(self.0);
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(low_level::signal_name(self.0).unwrap_or("a signal"))
    }
}

/// Keeps signals from ending the program while this exists.
pub struct Signals {
    came: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Signals {
    /// Begins to watch for Ctrl-C, a terminal that closes, and a polite end. Those that are
    /// ignored, as by nohup, stay so.
    pub fn watch() -> std::io::Result<Self> {
        let signals = Self {
            came: Arc::default(),
            over: Arc::default(),
        };
        let status = sysfs::text(Path::new("/proc/self/status")).unwrap_or_default();
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            if !is_ignored(&status, signal) {
                flag::register_conditional_default(signal, signals.over.clone())?;
                let number = usize::try_from(signal).unwrap_or_default();
                flag::register_usize(signal, signals.came.clone(), number)?;
            }
        }
        Ok(signals)
    }

    /// The last one that has come.
    pub fn came(&self) -> Option<Signal> {
        let number = i32::try_from(self.came.load(Ordering::Relaxed)).ok()?;
        (number != 0).then_some(Signal(number))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// What `/proc/self/status` says.
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = { status.lines() }.find_map(|line| {
        let mask = line.strip_prefix("SigIgn:")?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    let shift = u32::try_from(signal).ok().and_then(|n| n.checked_sub(1));
    let bit = shift.and_then(|shift| mask?.checked_shr(shift));
    bit.is_some_and(|bit| bit & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals() {
        let status = "Name:\tpcidev\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\n";
        assert!(is_ignored(status, SIGHUP));
        assert!(!is_ignored(status, SIGINT));
        assert!(!is_ignored("", SIGHUP));
    }

    #[test]
    fn one_that_comes_is_known_by_name() {
        let signals = Signals::watch().unwrap();
        assert_eq!(signals.came(), None);
        low_level::raise(SIGTERM).unwrap();
        assert_eq!(
            signals.came().map(|signal| signal.to_string()).as_deref(),
            Some("SIGTERM")
        );
    }
}
