//! The running program.

use tracing::Level;

use crate::{cli::Failure, paths::Paths};

/// How to run.
#[derive(Debug)]
pub struct RunOptions {
    /// Where everything is.
    pub paths: Paths,
    /// Without a tray icon.
    pub no_tray: bool,
    /// The level that the command line names.
    pub log_level: Option<Level>,
}

/// Runs until the person or the system ends it.
///
/// # Errors
/// When it cannot start.
pub fn run(options: RunOptions) -> Result<(), Failure> {
    drop(options);
    Err(Failure::Failed("this part is not built yet".to_owned()))
}
