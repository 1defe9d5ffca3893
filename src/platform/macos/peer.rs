//! Who is at the other end of a connection within this computer.

use std::{io, net::SocketAddr};

/// Not asked: the system's list of connections has no layout that is documented. What keeps others out is the page's address
/// alone.
///
/// # Errors
/// Never.
#[expect(clippy::unnecessary_wraps, reason = "it can fail elsewhere")]
pub(crate) fn is_own(_peer: SocketAddr, _local: SocketAddr) -> io::Result<bool> {
    Ok(true)
}
