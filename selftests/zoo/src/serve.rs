// SPDX-License-Identifier: GPL-2.0

//! Starts everything: the sockets in a directory, and a thread for each function.

use crate::animal::Animal;
use crate::backend::{interrupts, regions, Shared};
use crate::control;
use crate::description::Card;
use crate::opregion;
use crate::reading;
use log::{info, warn};
use serde::Serialize;
use std::collections::BTreeMap;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use vfio_user::{Error, Server};

/// How often DMA that goes on is done while nobody touches the function.
const TICK: Duration = Duration::from_millis(20);

/// What whoever starts QEMU has to know; printed as JSON when all sockets are there.
#[derive(Debug, Serialize)]
pub struct Zoo {
    pub control: PathBuf,
    pub cards: Vec<CardSockets>,
}

/// The functions of a card, in their order.
#[derive(Debug, Serialize)]
pub struct CardSockets {
    pub name: String,
    pub integrated: bool,
    pub slot: Option<u8>,
    pub sockets: Vec<PathBuf>,
    /// Files for the firmware (fw_cfg) by their names there.
    pub firmware: BTreeMap<&'static str, PathBuf>,
}

impl Zoo {
    /// All sockets.
    pub fn sockets(&self) -> impl Iterator<Item = &PathBuf> {
        let cards = self.cards.iter().flat_map(|card| &card.sockets);
        cards.chain([&self.control])
    }

    /// Removes the sockets.
    pub fn close(&self) {
        for socket in self.sockets() {
            // It may have gone with its directory.
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// Names cards after their files; a second one of a kind is `gpu-2`.
fn name(path: &Path, used: &[CardSockets]) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut name = stem.to_string();
    let mut number = 1;
    while used.iter().any(|card| card.name == name) {
        number += 1;
        name = format!("{stem}-{number}");
    }
    name
}

/// Opens the sockets and serves them in threads.
pub fn start(directory: &Path, files: &[PathBuf]) -> Result<Zoo, String> {
    let cards: Vec<Card> = files
        .iter()
        .map(|file| reading::read(file))
        .collect::<Result<_, _>>()?;
    let mut zoo = Zoo {
        control: directory.join("control.sock"),
        cards: Vec::new(),
    };
    let mut animals = Vec::new();
    for (file, card) in files.iter().zip(cards) {
        let mut sockets = Vec::new();
        let card_name = name(file, &zoo.cards);
        for (number, function) in card.functions.into_iter().enumerate() {
            let name = format!("{card_name}.{number}");
            let socket = directory.join(format!("{name}.sock"));
            let mut animal = Animal::new(name, function, card.integrated)
                .map_err(|wrong| format!("{}: {wrong}", file.display()))?;
            let opregion = card.opregion.as_ref().filter(|opregion| opregion.reserved);
            animal.reserves = opregion
                .and_then(|opregion| opregion.stolen)
                .zip(card.slot)
                .map(|(size, slot)| (size.0, slot));
            let server = Server::new(&socket, true, interrupts(&animal), regions(&animal))
                .map_err(|error| format!("{}: {error}", socket.display()))?;
            let shared = Shared(Arc::new(Mutex::new(animal)));
            animals.push(shared.clone());
            thread::spawn(move || serve(&server, shared));
            sockets.push(socket);
        }
        zoo.cards.push(CardSockets {
            name: card_name,
            integrated: card.integrated,
            slot: card.slot,
            sockets,
            firmware: match &card.opregion {
                Some(description) => opregion::write(directory, description)?,
                None => BTreeMap::new(),
            },
        });
    }
    let listener = UnixListener::bind(&zoo.control)
        .map_err(|error| format!("{}: {error}", zoo.control.display()))?;
    let all = animals.clone();
    thread::spawn(move || control::serve(listener, all));
    thread::spawn(move || loop {
        thread::sleep(TICK);
        animals.iter().for_each(|animal| animal.lock().tick());
    });
    Ok(zoo)
}

/// Serves one client after the other. When one has gone, or broke off, the function is switched off
/// and on again: an unplugged card can be plugged in once more.
fn serve(server: &Server, shared: Shared) {
    let name = shared.lock().name.clone();
    loop {
        match server.run(&mut shared.clone()) {
            Ok(()) => info!("{name}: its client has gone"),
            Err(Error::SocketAccept(error)) => {
                warn!("{name}: nobody can connect: {error}");
                return;
            }
            Err(error) => info!("{name}: its client has gone: {error}"),
        }
        let mut animal = shared.lock();
        animal.power_on();
        animal.facts.disconnections += 1;
    }
}
