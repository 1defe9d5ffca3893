//! Where a program reads and writes is handed to it by whoever starts it.

use std::{env, io::Stdout};

/// Nothing is to be done here.
pub fn attach() {}

/// Whether what is printed there is logged: systemd says by `JOURNAL_STREAM` which stream leads to its journal
/// (systemd.exec(5)).
#[must_use]
pub fn is_logged(stream: &Stdout) -> bool {
    let journal = env::var("JOURNAL_STREAM").unwrap_or_default();
    rustix::fs::fstat(stream).is_ok_and(|stream| journal == format!("{}:{}", stream.st_dev, stream.st_ino))
}
