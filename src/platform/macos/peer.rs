//! The owner of the other end of a local connection.

use std::{io, net::SocketAddr};

/// Not checked: the system's list of connections has no documented layout. Only the page's secret address keeps other
/// users out.
///
/// # Errors
/// Never.
#[expect(clippy::unnecessary_wraps, reason = "it can fail on other systems")]
pub(crate) fn is_own(_peer: SocketAddr, _local: SocketAddr) -> io::Result<bool> {
    Ok(true)
}
