// SPDX-License-Identifier: GPL-2.0

//! Runs programs of the system.

use std::process::{
    Command,
    Stdio, //
};

/// Runs a program, and returns its output; the last lines of its errors if it fails.
pub fn run(words: &[&str]) -> Result<String, String> {
    let Some((program, arguments)) = words.split_first() else {
        return Ok(String::new());
    };
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
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
