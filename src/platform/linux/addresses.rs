//! Noticing that this computer has got or lost an address: `rtnetlink(7)`.

use std::{io, os::fd::OwnedFd};

use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, recv, socket_with},
};
use tokio::io::{Interest, unix::AsyncFd};

/// `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR`.
const GROUPS: u32 = 0x10 | 0x100;

/// Watches the addresses of all interfaces.
#[derive(Debug)]
pub struct AddressWatch(AsyncFd<OwnedFd>);

impl AddressWatch {
    /// Starts watching. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn new() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // No protocol is `NETLINK_ROUTE`.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        readable(socket).map(Self)
    }

    /// Waits until addresses have come, gone or become usable. May be dropped and called again: nothing is missed.
    ///
    /// # Errors
    /// When the system does not tell any more.
    pub async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let heard = ready.try_io(|socket| {
                let mut heard = false;
                loop {
                    // What it says is not looked at: whether an address can be used shows when it is used.
                    match recv(socket, &mut [0; 4096], RecvFlags::empty()) {
                        // No buffer means that so much has changed that the system has lost count.
                        Ok(_) | Err(Errno::NOBUFS) => heard = true,
                        Err(Errno::INTR) => {}
                        Err(Errno::AGAIN) if heard => return Ok(()),
                        Err(error) => return Err(error.into()),
                    }
                }
            });
            if let Ok(heard) = heard {
                return heard;
            }
        }
    }
}

#[expect(unsafe_code, reason = "tokio cannot know by itself that a descriptor stays open")]
fn readable(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` owns its descriptor, names no other, and closes it only when it is dropped.
    unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }.map_err(Into::into)
}
