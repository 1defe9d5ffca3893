//! What sound servers expect of their clients: nothing where the system plays sounds itself.

use std::{io, path::Path};

/// Nothing is to be prepared here.
///
/// # Errors
/// None.
pub fn prepare(_directory: &Path) -> io::Result<()> {
    Ok(())
}

/// Nothing writes anywhere here.
pub fn quieten() {}
