// SPDX-License-Identifier: GPL-2.0

//! Bringing a network interface up, by rtnetlink.

use std::{
    io,
    os::fd::AsRawFd, //
};

use nix::sys::socket::{
    recv,
    send,
    socket,
    AddressFamily,
    MsgFlags,
    SockFlag,
    SockProtocol,
    SockType, //
};

const RTM_NEWLINK: u16 = 16;
const REQUEST_AND_ACKNOWLEDGE: u16 = 0x5;
const NLMSG_ERROR: u16 = 2;
const IFF_UP: u32 = 1;

/// `struct nlmsghdr` and `struct ifinfomsg`.
fn message(index: u32) -> Vec<u8> {
    const LENGTH: u32 = 32;
    let mut bytes = Vec::new();
    bytes.extend(LENGTH.to_ne_bytes());
    bytes.extend(RTM_NEWLINK.to_ne_bytes());
    bytes.extend(REQUEST_AND_ACKNOWLEDGE.to_ne_bytes());
    // Sequence number and port; family and type.
    bytes.extend([0; 12]);
    bytes.extend(index.to_ne_bytes());
    bytes.extend(IFF_UP.to_ne_bytes());
    bytes.extend(IFF_UP.to_ne_bytes());
    bytes
}

/// The errno of an answer.
fn errno(answer: &[u8]) -> Option<i32> {
    let half = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let errno = i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?);
    (half == NLMSG_ERROR).then_some(-errno)
}

/// Brings the interface with this index up.
pub fn bring_up(index: u32) -> io::Result<()> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::empty(),
        SockProtocol::NetlinkRoute,
    )?;
    send(socket.as_raw_fd(), &message(index), MsgFlags::empty())?;
    let mut answer = [0; 256];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    match errno(&answer[..length]) {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        None => Err(io::Error::other("the kernel gives no answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let message = message(7);
        assert_eq!(message.len(), 32);
        assert_eq!(message[20..24], 7u32.to_ne_bytes());
        let mut answer = vec![0; 36];
        answer[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        answer[16..20].copy_from_slice(&(-19i32).to_ne_bytes());
        assert_eq!(errno(&answer), Some(19));
        assert_eq!(errno(&answer[..8]), None);
        assert_eq!(errno(&message), None);
    }

    /// The loopback interface exists everywhere; only root may change it.
    #[test]
    fn absent_interfaces() {
        assert!(bring_up(u32::MAX).is_err());
    }
}
