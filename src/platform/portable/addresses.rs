//! Noticing that this computer has got or lost an address: nobody tells here yet.

use std::{convert::Infallible, future::pending, io};

/// Watches the addresses of all interfaces; there is none.
#[derive(Debug)]
pub struct AddressWatch(Infallible);

impl AddressWatch {
    /// Starts watching.
    ///
    /// # Errors
    /// Always: whoever waits for an address has to try again after a time.
    pub fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Waits until addresses have come, gone or become usable.
    ///
    /// # Errors
    /// When the system does not tell any more.
    pub async fn changed(&mut self) -> io::Result<()> {
        pending().await
    }
}
