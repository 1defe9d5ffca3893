//! Sockets that listen.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted, as far as the system allows it: Linux allows 4096 by itself. Where they
/// are more, the system drops a homeserver's first packet with the others', and it tries again only after 1, 3 and 7 s.
const BACKLOG: i32 = 4096;

/// Listens on this address and on no other: `[::]` takes IPv6 alone, on every system, so that `0.0.0.0` has room beside
/// it. The socket does not block.
///
/// # Errors
/// When the address is not this computer's, is taken, or is not for this user.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of an earlier run that are still being forgotten do not matter. On Windows they never do, and there
    // this would let two programs have the same address.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The listening sockets that the service manager hands over when it starts the program (`LISTEN_FDS`, systemd's
/// `sd_listen_fds(3)`), none if it hands over none. They do not block, and programs that are started from here do not
/// have them. To be asked once, before the first thread starts: what says so is taken out of the environment.
///
/// # Errors
/// Says which one is something else than a listening TCP socket.
#[cfg(target_os = "linux")]
pub(crate) fn inherited() -> io::Result<Vec<TcpListener>> {
    let mut handed_over = listenfd::ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..handed_over.len() {
        let refuse = |reason: String| {
            io::Error::other(format!(
                "the service manager hands over something to listen on that is not a listening TCP socket (number {} \
                 of LISTEN_FDS: {reason}): ListenStream= in the socket unit needs a port or an IP address with a \
                 port, and Accept=no",
                index + 1,
            ))
        };
        let Some(listener) = handed_over.take_tcp_listener(index).map_err(|error| refuse(error.to_string()))? else {
            continue;
        };
        if !socket2::SockRef::from(&listener).is_listener()? {
            return Err(refuse("it does not listen".to_owned()));
        }
        listener.set_nonblocking(true)?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Only the service managers of other systems hand over sockets.
///
/// # Errors
/// Never.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "it can fail on Linux")]
pub(crate) fn inherited() -> io::Result<Vec<TcpListener>> {
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_listen_on_all_addresses_with_the_same_port() {
        let v6 = listen("[::]:0".parse().unwrap()).unwrap();
        let port = v6.local_addr().unwrap().port();
        let v4 = listen(SocketAddr::from(([0, 0, 0, 0], port))).unwrap();
        assert_eq!(listen(v4.local_addr().unwrap()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn an_address_can_be_listened_on_again_at_once() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        first.set_nonblocking(false).unwrap();
        drop(first.accept().unwrap());
        drop((first, client));
        listen(address).unwrap();
    }
}
