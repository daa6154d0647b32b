// SPDX-License-Identifier: GPL-2.0

//! Runs programs of the system.

use std::{
    os::unix::process::CommandExt,
    process::{
        Command,
        Stdio, //
    },
};

/// A program that has no input, and that Ctrl-C does not end: that is for this program to do.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).process_group(0);
    command
}

/// Runs a program, and returns its output; the last lines of its errors if it fails.
pub fn run(words: &[&str]) -> Result<String, String> {
    let Some((program, arguments)) = words.split_first() else {
        return Ok(String::new());
    };
    let output = command(program)
        .args(arguments)
        .output()
        .map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = text.trim_end();
    Err(match text {
        "" => output.status.to_string(),
        text => text.to_owned(),
    })
}
