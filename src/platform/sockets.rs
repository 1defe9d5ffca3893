//! Sockets that listen, and how those that are connected find out that the other side is gone.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use hyper_util::client::legacy::connect::HttpConnector;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted, as far as the system allows it: Linux allows 4096 by itself. Where they
/// are more, the system drops a homeserver's first packet with the others', and it tries again only after 1, 3 and 7 s.
const BACKLOG: i32 = 4096;

/// A connection on which nothing comes is probed after so long, then each so often and so many times. The system does so
/// by itself.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(15), 4);
/// What was sent and is not acknowledged for so long was sent to nobody.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(90);

/// Has connections that this makes end by themselves when the other side is gone without a word.
pub(crate) fn notice_loss(connector: &mut HttpConnector) {
    let (idle, interval, probes) = KEEPALIVE;
    connector.set_keepalive(Some(idle));
    connector.set_keepalive_interval(Some(interval));
    connector.set_keepalive_retries(Some(probes));
    #[cfg(target_os = "linux")]
    connector.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
}

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

/// Whether listening failed because this computer has no addresses of that family.
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
