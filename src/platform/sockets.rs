//! Listening sockets, and the detection of dead connections.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use hyper_util::client::legacy::connect::HttpConnector;
use socket2::{Domain, Protocol, Socket, Type};

/// Maximum number of connections that wait to be accepted; Linux's own limit is 4096 as well. Beyond it the system
/// drops a homeserver's first packet, which is retried only after 1, 3 and 7 s.
const BACKLOG: i32 = 4096;

/// TCP keepalive: idle time, interval and number of probes.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(15), 4);
/// A connection ends if sent data is not acknowledged for this long.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(90);

/// Configures the connector so that its connections end when the peer has vanished.
pub(crate) fn notice_loss(connector: &mut HttpConnector) {
    let (idle, interval, probes) = KEEPALIVE;
    connector.set_keepalive(Some(idle));
    connector.set_keepalive_interval(Some(interval));
    connector.set_keepalive_retries(Some(probes));
    #[cfg(target_os = "linux")]
    connector.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
}

/// Listens on this address only: `[::]` accepts IPv6 alone on every system, so that `0.0.0.0` can be used beside it.
/// The socket is non-blocking.
///
/// # Errors
/// When the address is not local, is in use, or is not permitted to this user.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of an earlier run in TIME_WAIT do not block the address. On Windows they never do, and this option
    // would let two programs share the address.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Whether listening failed because this computer lacks that address family.
pub(crate) fn lacks_family(error: &io::Error) -> bool {
    #[cfg(unix)]
    let code = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    // WSAEAFNOSUPPORT
    #[cfg(windows)]
    let code = 10_047;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(code)
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
