//! The owner of the other end of a local connection.

use std::{
    fs::File,
    io::{self, BufReader},
    net::SocketAddr,
};

/// The state of a connection that both ends have open. In other states the owner may be missing.
const ESTABLISHED: &str = "01";

/// Whether the connection from `peer` to our own address `local` was made by this user. Blocks.
///
/// # Errors
/// When the system's table cannot be read.
pub(crate) fn is_own(peer: SocketAddr, local: SocketAddr) -> io::Result<bool> {
    let table = if peer.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    let owner = owner(BufReader::new(File::open(table)?), peer, local)?;
    Ok(owner == Some(rustix::process::geteuid().as_raw()))
}

/// The user who owns the socket that is connected from `peer` to `local`.
fn owner(table: impl io::BufRead, peer: SocketAddr, local: SocketAddr) -> io::Result<Option<u32>> {
    let (from, to) = (as_in_table(peer), as_in_table(local));
    for line in table.lines() {
        let line = line?;
        let mut fields = line.split_whitespace().skip(1);
        if fields.next() == Some(&from) && fields.next() == Some(&to) && fields.next() == Some(ESTABLISHED) {
            // Queues, timer and retransmissions are between them.
            return Ok(fields.nth(3).and_then(|user| user.parse().ok()));
        }
    }
    Ok(None)
}

/// An address as in the table: 32-bit words in native byte order, and the port, in hexadecimal.
fn as_in_table(address: SocketAddr) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let octets = match address {
        SocketAddr::V4(address) => address.ip().octets().to_vec(),
        SocketAddr::V6(address) => address.ip().octets().to_vec(),
    };
    for word in octets.chunks_exact(4) {
        let word = <[u8; 4]>::try_from(word).map_or(0, u32::from_ne_bytes);
        // Writing into a string cannot fail.
        let _ = write!(text, "{word:08X}");
    }
    format!("{text}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_of_ones_own_is_known_in_both_families() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let local = listener.local_addr().unwrap();
            let client = TcpStream::connect(local).unwrap();
            let (_server, peer) = listener.accept().unwrap();
            assert!(is_own(peer, local).unwrap(), "{address}");
            let other = SocketAddr::new(peer.ip(), peer.port().wrapping_add(1).max(1));
            assert!(!is_own(other, local).unwrap(), "{address}: nobody's");
            drop(client);
        }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_owner_stands_in_the_row_of_the_connection() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1EC2 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n\
             1: 0100007F:D431 0100007F:1EC2 06 00000000:00000000 00:00000000 00000000  1002        0 2 1 0 20 4 0 10 -1\n\
             2: 0100007F:D432 0100007F:1EC2 01 00000000:00000000 00:00000000 00000000  1001        0 3 1 0 20 4 0 10 -1\n";
        let local = "127.0.0.1:7874".parse().unwrap();
        let of = |peer: &str| owner(table.as_bytes(), peer.parse().unwrap(), local).unwrap();
        assert_eq!(of("127.0.0.1:54322"), Some(1001));
        assert_eq!(of("127.0.0.1:54321"), None, "it is over");
        assert_eq!(of("127.0.0.1:54323"), None);
        assert_eq!(as_in_table("[::1]:443".parse().unwrap()), "00000000000000000000000001000000:01BB");
    }
}
