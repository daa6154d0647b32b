// SPDX-License-Identifier: GPL-2.0

//! The server as QEMU and tests use it: over its sockets.

use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use vfio_bindings::bindings::vfio::VFIO_PCI_CONFIG_REGION_INDEX;
use vfio_user::Client;
use zoo::engine;
use zoo::serve::{start, Zoo};

const COMMAND: u64 = 4;

/// A server with one card, and the directory of its sockets.
struct Running {
    zoo: Zoo,
    directory: PathBuf,
}

impl Running {
    fn new(animal: &str) -> Running {
        let animals = Path::new(env!("CARGO_MANIFEST_DIR")).join("animals");
        Running::of(animal, &animals.join(format!("{animal}.toml")))
    }

    fn of(animal: &str, file: &Path) -> Running {
        let directory = std::env::temp_dir().join(format!("zoo-{}-{animal}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let zoo = start(&directory, &[file.to_path_buf()]).unwrap();
        Running { zoo, directory }
    }

    fn client(&self, function: usize) -> Function {
        Function(Client::new(&self.zoo.cards[0].sockets[function]).unwrap())
    }

    fn order(&self, order: &str, function: &str) -> Value {
        let mut stream = UnixStream::connect(&self.zoo.control).unwrap();
        writeln!(
            stream,
            "{{\"order\": \"{order}\", \"function\": \"{function}\"}}"
        )
        .unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()["ok"][function].clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.zoo.close();
        let left = std::fs::read_dir(&self.directory).unwrap().count();
        std::fs::remove_dir_all(&self.directory).unwrap();
        assert!(left == 0 || std::thread::panicking(), "sockets are left");
    }
}

struct Function(Client);

impl Function {
    fn read(&mut self, region: u32, at: u64) -> u32 {
        let mut data = [0; 4];
        self.0.region_read(region, at, &mut data).unwrap();
        u32::from_le_bytes(data)
    }

    fn write(&mut self, region: u32, at: u64, value: u32) {
        self.0
            .region_write(region, at, &value.to_le_bytes())
            .unwrap();
    }

    fn config(&mut self, at: u64) -> u32 {
        self.read(VFIO_PCI_CONFIG_REGION_INDEX, at)
    }

    fn write_config(&mut self, at: u64, value: u32) {
        self.write(VFIO_PCI_CONFIG_REGION_INDEX, at, value);
    }

    fn capability(&mut self, id: u32) -> u64 {
        let mut at = u64::from(self.config(0x34) & 0xff);
        while at != 0 {
            let head = self.config(at);
            if head & 0xff == id {
                return at;
            }
            at = u64::from((head >> 8) & 0xff);
        }
        panic!("no capability {id:#x}");
    }

    fn flr(&mut self) {
        let control = self.capability(0x10) + 8;
        self.write_config(control, 1 << 15);
    }
}

#[test]
fn a_function_level_reset_clears_the_tattoo_and_is_counted() {
    let running = Running::new("gpu-flr0");
    let (mut display, mut sound) = (running.client(0), running.client(1));
    assert_eq!(display.config(0), 0x2204_10de);
    assert_eq!(display.read(0, engine::SIGNATURE), engine::MAGIC);
    for function in [&mut display, &mut sound] {
        function.write(0, engine::TATTOO, 0x77);
        function.flr();
    }
    assert_eq!(display.read(0, engine::TATTOO), 0);
    assert_eq!(sound.read(0, engine::TATTOO), 0x77);
    // What firmware wrote stays.
    assert_eq!(display.config(0xc0), 0x00c0_ffee);
    let facts = running.order("facts", "gpu-flr0.0");
    assert_eq!(facts["resets"]["flr"], 1);
    assert_eq!(facts["tattoo_written"], 0x77);
    assert_eq!(running.order("facts", "gpu-flr0.1")["resets"]["flr"], 0);
    running.order("forget", "gpu-flr0.0");
    assert_eq!(running.order("facts", "gpu-flr0.0")["resets"]["flr"], 0);
}

#[test]
fn the_bus_resets_what_power_management_does_not() {
    let running = Running::new("usb");
    let mut usb = running.client(0);
    // As when the machine is switched on.
    usb.0.reset().unwrap();
    usb.write_config(COMMAND, 2);
    usb.write(2, engine::TATTOO, 5);
    let power = usb.capability(1) + 4;
    usb.write_config(power, 3);
    assert_eq!(usb.read(2, engine::TATTOO), u32::MAX);
    usb.write_config(power, 0);
    assert_eq!(usb.read(2, engine::TATTOO), 5);
    usb.0.reset().unwrap();
    assert_eq!(usb.read(2, engine::TATTOO), 0);
    let facts = running.order("facts", "usb.0");
    assert_eq!(facts["resets"]["bus"], 1);
    assert_eq!(facts["resets"]["pm"], 0);
}

#[test]
fn registers_are_forgotten() {
    let running = Running::new("nic-forgetful");
    let mut nic = running.client(0);
    assert_eq!(nic.config(0xe4), 0x5a5a_1234);
    assert_eq!(nic.read(0, 0x5400), 0x5254_0001);
    let power = nic.capability(1) + 4;
    nic.write_config(power, 3);
    nic.write_config(power, 0);
    assert_eq!((nic.config(0xe4), nic.read(0, 0x5400)), (0, 0));
    assert_eq!(running.order("facts", "nic-forgetful.0")["resets"]["pm"], 1);
    let data = nic.capability(3);
    nic.write_config(data, 0);
    assert_eq!(nic.config(data) >> 31, 1);
    assert_eq!(nic.config(data + 4).to_le_bytes(), *b"a NI");
}

#[test]
fn the_slow_come_back_and_the_dead_do_not() {
    let running = Running::new("nic-slow");
    let mut nic = running.client(0);
    nic.flr();
    assert_eq!(nic.config(0), 0xffff_0001);
    assert_eq!(nic.config(COMMAND), u32::MAX);
    assert_eq!(running.order("facts", "nic-slow.0")["answers"], false);
    let waited = (0..300).position(|_| nic.config(0) == 0x15f2_8086);
    // One read was of COMMAND.
    assert_eq!(waited, Some(183));

    let running = Running::new("nic-dead");
    let mut nic = running.client(0);
    nic.flr();
    assert!((0..300).all(|_| nic.config(0) == u32::MAX));
    assert_eq!(nic.read(0, engine::SIGNATURE), u32::MAX);
    running.order("answer", "nic-dead.0");
    assert_eq!(nic.config(0), 0x15f3_8086);
    running.order("die", "nic-dead.0");
    assert_eq!(nic.config(0), u32::MAX);
}

#[test]
fn dma_needs_bus_mastering_and_goes_on_until_a_reset() {
    let running = Running::new("disk");
    let mut disk = running.client(0);
    let path = running.directory.join("memory");
    let memory = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    memory.set_len(0x2000).unwrap();
    disk.0
        .dma_map(0x1000, 0x10_0000, 0x1000, memory.as_raw_fd())
        .unwrap();
    disk.write(0, engine::ADDRESS, 0x10_0010);
    disk.write(0, engine::DATA, 0x600d);
    disk.write(0, engine::GO, 1);
    let facts = running.order("facts", "disk.0");
    assert_eq!(facts["dma_done"], 0);
    assert!(facts["dma_tried"].as_u64() >= Some(1));
    disk.write_config(COMMAND, 4);
    assert_eq!(disk.read(0, engine::GO), 1);
    let written = |at: u64| {
        let mut data = [0; 4];
        std::os::unix::fs::FileExt::read_exact_at(&memory, &mut data, at).unwrap();
        u32::from_le_bytes(data)
    };
    assert_eq!((written(0x10), written(0x1010)), (0, 0x600d));
    assert!(running.order("facts", "disk.0")["dma_done"].as_u64() >= Some(1));
    disk.0.dma_unmap(0x10_0000, 0x1000).unwrap();
    disk.read(0, engine::GO);
    assert!(running.order("facts", "disk.0")["dma_failed"].as_u64() >= Some(1));
    disk.flr();
    assert_eq!(running.order("facts", "disk.0")["running"], false);
}

#[test]
fn interrupts_reach_who_listens() {
    let running = Running::new("accelerator");
    let mut card = running.client(0);
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    // MSI-X, vector 3.
    card.0
        .set_irqs(2, 0x24, 3, 1, &[theirs.as_raw_fd()])
        .unwrap();
    card.write(2, 0xc00 + engine::RAISE, (2 << 16) | 4);
    card.write(2, 0xc00 + engine::RAISE, (2 << 16) | 3);
    let mut event = [0; 8];
    ours.read_exact(&mut event).unwrap();
    assert_eq!(u64::from_ne_bytes(event), 1);
    let facts = running.order("facts", "accelerator.0");
    assert_eq!(
        (&facts["interrupts"], &facts["interrupts_lost"]),
        (&2.into(), &1.into())
    );
}

#[test]
fn a_client_may_come_again() {
    let running = Running::new("gpu");
    let mut display = running.client(0);
    display.write(0, engine::TATTOO, 9);
    drop(display);
    let mut display = running.client(0);
    assert_eq!(display.read(0, engine::TATTOO), 0);
    assert_eq!(running.order("facts", "gpu.0")["disconnections"], 1);
}

#[test]
fn wrong_orders_are_refused() {
    let running = Running::new("liar");
    let mut stream = UnixStream::connect(&running.zoo.control).unwrap();
    stream
        .write_all(
            br#"{"order": "dance"}
{"order": "facts", "function": "gpu.0"}
{"order": "facts", "fact": "resets.all"}
{"order": "facts", "fact": "resets.flr"}
"#,
        )
        .unwrap();
    let answers = BufReader::new(stream).lines().take(4);
    let answers: Vec<String> = answers.map(Result::unwrap).collect();
    assert!(answers[0].contains("dance"), "{}", answers[0]);
    assert!(
        answers[1].contains("no such function: gpu.0"),
        "{}",
        answers[1]
    );
    assert!(
        answers[2].contains("no such fact: resets.all"),
        "{}",
        answers[2]
    );
    assert_eq!(answers[3], r#"{"ok":{"liar.0":0}}"#);
}

/// The bytes that lspci showed of a function.
fn dumped(text: &str) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    for line in text.lines() {
        let (at, row) = line.split_once(": ").unwrap_or_default();
        if let Ok(at) = usize::from_str_radix(at, 16) {
            for (byte, digits) in bytes[at..].iter_mut().zip(row.split(' ')) {
                *byte = u8::from_str_radix(digits, 16).unwrap();
            }
        }
    }
    bytes
}

#[test]
fn a_card_is_as_lspci_showed_it() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shown = top.join("tests/gpu.lspci");
    let draft = Command::new(top.join("from-lspci")).arg(&shown).output();
    let file = std::env::temp_dir().join(format!("zoo-{}-draft.toml", std::process::id()));
    std::fs::write(&file, draft.unwrap().stdout).unwrap();
    let running = Running::of("draft", &file);
    std::fs::remove_file(&file).unwrap();
    let text = std::fs::read_to_string(&shown).unwrap();
    let functions: Vec<_> = text.trim().split("\n\n").collect();
    assert_eq!(running.zoo.cards[0].sockets.len(), functions.len());
    for (number, function) in functions.into_iter().enumerate() {
        let (mut played, bytes) = (running.client(number), dumped(function));
        let wanted = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let mut same = |at: usize, mask: u32| {
            assert_eq!(
                played.config(at as u64) & mask,
                wanted(at) & mask,
                "function {number}, register {at:#x}"
            );
        };
        for at in [0, 8, 0x2c] {
            same(at, u32::MAX);
        }
        // The capabilities stay where they are. Of the extended ones, AER is the only one.
        same(0x34, 0xff);
        let mut at = usize::from(bytes[0x34]);
        while at != 0 {
            same(at, 0xffff);
            at = bytes[at + 1].into();
        }
        same(0x3c, 0xff00);
        same(0x100, 0xf_ffff);
    }
}
