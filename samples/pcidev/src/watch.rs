// SPDX-License-Identifier: GPL-2.0

//! Prints changes.
//!
//! The kernel sends events when a function is added or removed or changes its driver, but not when
//! it is assigned to a guest. So all functions are read after each event, and every second.

use std::{
    io::{
        self,
        Write, //
    },
    os::fd::{
        AsFd,
        AsRawFd,
        OwnedFd, //
    },
};

use nix::{
    errno::Errno,
    poll::{
        poll,
        PollFd,
        PollFlags,
        PollTimeout, //
    },
    sys::socket::{
        self,
        AddressFamily,
        MsgFlags,
        NetlinkAddr,
        SockFlag,
        SockProtocol,
        SockType, //
    },
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    device::{
        Device,
        Wanted, //
    },
    error::Error,
    function::Function,
    names::Names,
    sbdf::Sbdf, //
};

const MILLISECONDS: u16 = 1000;

/// The multicast group of the kernel's own events.
const KERNEL: u32 = 1;

/// A change of one function.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Change {
    sbdf: Sbdf,
    /// `added`, `removed`, or the name of a field.
    change: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Value>,
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

impl Change {
    fn whole(sbdf: Sbdf, change: &str) -> Self {
        Self {
            sbdf,
            change: change.to_owned(),
            from: None,
            to: None,
        }
    }

    fn write(&self, json: bool, out: &mut impl Write) -> io::Result<()> {
        if json {
            serde_json::to_writer(&mut *out, self)?;
            writeln!(out)
        } else {
            write!(out, "{} {}", self.sbdf, self.change)?;
            if let (Some(from), Some(to)) = (&self.from, &self.to) {
                write!(out, ": {} -> {}", text(from), text(to))?;
            }
            writeln!(out)
        }
    }
}

/// What differs between two states of one function.
fn fields(old: &Function, new: &Function) -> Vec<Change> {
    let (Ok(Value::Object(old)), Ok(Value::Object(mut values))) =
        (serde_json::to_value(old), serde_json::to_value(new))
    else {
        return Vec::new();
    };
    old.into_iter()
        .filter_map(|(field, from)| {
            let to = values.remove(&field).unwrap_or(Value::Null);
            (from != to).then_some(Change {
                sbdf: new.sbdf,
                change: field,
                from: Some(from),
                to: Some(to),
            })
        })
        .collect()
}

/// What differs between two lists, both in the order of addresses.
fn changes(old: &[Function], new: &[Function]) -> Vec<Change> {
    let find = |list: &[Function], sbdf| list.binary_search_by_key(&sbdf, |f| f.sbdf).ok();
    let mut changes: Vec<_> = old
        .iter()
        .filter(|f| find(new, f.sbdf).is_none())
        .map(|f| Change::whole(f.sbdf, "removed"))
        .collect();
    for function in new {
        match find(old, function.sbdf) {
            None => changes.push(Change::whole(function.sbdf, "added")),
            Some(at) => changes.extend(fields(&old[at], function)),
        }
    }
    changes
}

/// The kernel's device events.
struct Events(OwnedFd);

impl Events {
    fn open() -> nix::Result<Self> {
        let socket = socket::socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        socket::bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL))?;
        Ok(Self(socket))
    }

    /// Waits for an event, for a second at most.
    fn wait(&self) -> nix::Result<()> {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(MILLISECONDS)) {
            Ok(_) | Err(Errno::EINTR) => (),
            Err(e) => return Err(e),
        }
        // Discard the events: all functions are read anyway, so lost events do no harm.
        let mut event = [0; 8192];
        loop {
            match socket::recv(self.0.as_raw_fd(), &mut event, MsgFlags::empty()) {
                Ok(_) | Err(Errno::ENOBUFS | Errno::EINTR) => (),
                Err(Errno::EAGAIN) => return Ok(()),
                Err(e) => return Err(e),
            }
        }
    }
}

/// All functions. Closes the device again, so that the module can be unloaded meanwhile.
fn look() -> Result<Vec<Function>, Error> {
    Device::open()?.functions(Wanted::All, &Names::none())
}

/// Prints changes until the output is closed or the module is unloaded.
pub fn run(json: bool, out: &mut impl Write) -> Result<(), Error> {
    let events = Events::open().map_err(|e| Error::Events(e.into()))?;
    let mut old = look()?;
    eprintln!("pcidev: watching {} functions", old.len());
    loop {
        events.wait().map_err(|e| Error::Events(e.into()))?;
        let new = look()?;
        for change in changes(&old, &new) {
            change.write(json, out)?;
            out.flush()?;
        }
        old = new;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        function::tests::NIC,
        uapi, //
    };

    fn lines(old: &[uapi::Info], new: &[uapi::Info], json: bool) -> String {
        let functions = |list: &[uapi::Info]| list.iter().map(Function::from).collect::<Vec<_>>();
        let mut out = Vec::new();
        for change in changes(&functions(old), &functions(new)) {
            change.write(json, &mut out).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    const BRIDGE: uapi::Info = uapi::Info { sbdf: 0, ..NIC };

    #[test]
    fn nothing_changes() {
        assert_eq!(lines(&[BRIDGE, NIC], &[BRIDGE, NIC], false), "");
    }

    #[test]
    fn functions_come_and_go() {
        assert_eq!(
            lines(&[BRIDGE], &[NIC], false),
            "0000:00:00.0 removed\n0000:00:04.0 added\n"
        );
        assert_eq!(
            lines(&[], &[NIC], true),
            "{\"sbdf\":\"0000:00:04.0\",\"change\":\"added\"}\n"
        );
    }

    #[test]
    fn fields_change() {
        let freed = uapi::Info {
            valid: uapi::VALID_GSI,
            msix: uapi::MSIX_FREE,
            ..NIC
        };
        assert_eq!(
            lines(&[BRIDGE, NIC], &[BRIDGE, freed], false),
            "0000:00:04.0 domid: 3 -> none\n\
             0000:00:04.0 irq: 24 -> none\n\
             0000:00:04.0 msix: held -> free\n"
        );
        let moved = uapi::Info { gsi: 21, ..NIC };
        assert_eq!(
            lines(&[NIC], &[moved], true),
            "{\"sbdf\":\"0000:00:04.0\",\"change\":\"gsi\",\"from\":20,\"to\":21}\n"
        );
    }
}
