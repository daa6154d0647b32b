// SPDX-License-Identifier: GPL-2.0

//! The control socket: a test asks what was done to the functions, and orders what they do.
//!
//! A request is a line of JSON, such as `{"order": "facts", "function": "gpu.0"}`; without a
//! function it is for all, and with `"fact": "resets.bus"` one fact is told. The answer is a line,
//! too: `{"ok": {"gpu.0": ...}}` or `{"error": ...}`.

use crate::answering::Answering;
use crate::backend::Shared;
use crate::engine::Interrupt;
use crate::facts::Counters;
use log::warn;
use serde::Deserialize;
use serde_json::{json, Map, Value};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    order: Order,
    function: Option<String>,
    fact: Option<String>,
    #[serde(default)]
    vector: u16,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    /// Tell what was done.
    Facts,
    /// Set the counts to zero.
    Forget,
    /// Answer no more.
    Die,
    /// Answer again.
    Answer,
    Intx,
    Msi,
    Msix,
}

/// Serves all who connect.
pub fn serve(listener: UnixListener, animals: Vec<Shared>) {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => {
                let animals = animals.clone();
                thread::spawn(move || {
                    if let Err(error) = converse(stream, &animals) {
                        warn!("control: {error}");
                    }
                });
            }
            Err(error) => {
                warn!("control: {error}");
                return;
            }
        }
    }
}

fn converse(stream: UnixStream, animals: &[Shared]) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        let mut text = answer(&line?, animals).to_string();
        text.push('\n');
        writer.write_all(text.as_bytes())?;
    }
    Ok(())
}

fn answer(line: &str, animals: &[Shared]) -> Value {
    let request: Request = match serde_json::from_str(line) {
        Ok(request) => request,
        Err(error) => return json!({ "error": error.to_string() }),
    };
    let mut all = Map::new();
    for shared in animals {
        let mut animal = shared.lock();
        if request
            .function
            .as_ref()
            .is_some_and(|name| *name != animal.name)
        {
            continue;
        }
        let mut told = Value::Null;
        match request.order {
            Order::Facts => {
                told = json!(animal.report());
                if let Some(fact) = &request.fact {
                    match told.pointer(&format!("/{}", fact.replace('.', "/"))) {
                        Some(found) => told = found.clone(),
                        None => return json!({ "error": format!("no such fact: {fact}") }),
                    }
                }
            }
            Order::Forget => animal.facts = Counters::default(),
            Order::Die => animal.answering = Answering::Never,
            Order::Answer => animal.answering = Answering::Truth,
            Order::Intx => animal.raise(Interrupt::Intx),
            Order::Msi => animal.raise(Interrupt::Msi(request.vector)),
            Order::Msix => animal.raise(Interrupt::Msix(request.vector)),
        }
        all.insert(animal.name.clone(), told);
    }
    match all.is_empty() {
        true => {
            let name = request.function.unwrap_or_default();
            json!({ "error": format!("no such function: {name}") })
        }
        false => json!({ "ok": all }),
    }
}
