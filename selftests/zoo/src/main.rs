// SPDX-License-Identifier: GPL-2.0

//! `zoo serve DIRECTORY FILE...`: play the cards that the files describe, on sockets in DIRECTORY,
//! until SIGINT or SIGTERM. When all sockets are there, a line of JSON on standard output names
//! them.
//!
//! `zoo check FILE...`: only read the descriptions.

use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::sys::signal::{SigSet, Signal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zoo::{reading, serve};

/// Each message is a line on standard error.
struct Lines;

impl Log for Lines {
    /// Of the crate, only what is wrong: it tells of each connection.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("zoo") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("zoo: {}", record.args());
        }
    }

    fn flush(&self) {}
}

fn check(files: &[PathBuf]) -> Result<(), String> {
    files
        .iter()
        .try_for_each(|file| reading::read(file).map(|_| ()))
}

fn serve(directory: &Path, files: &[PathBuf]) -> Result<(), String> {
    // Blocked before any thread starts: only the wait below gets them.
    let ending = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    ending
        .thread_block()
        .map_err(|error| format!("signals: {error}"))?;
    let zoo = serve::start(directory, files)?;
    let line = serde_json::to_string(&zoo).map_err(|error| error.to_string())?;
    println!("{line}");
    let ended = ending.wait().map_err(|error| format!("signals: {error}"));
    zoo.close();
    ended.map(|_| ())
}

fn main() -> ExitCode {
    if log::set_logger(&Lines).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let result = match &arguments[..] {
        [verb, files @ ..] if verb == Path::new("check") && !files.is_empty() => check(files),
        [verb, directory, files @ ..] if verb == Path::new("serve") && !files.is_empty() => {
            serve(directory, files)
        }
        _ => Err("usage: zoo serve DIRECTORY FILE... | zoo check FILE...".to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zoo: {error}");
            ExitCode::FAILURE
        }
    }
}
