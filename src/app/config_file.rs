//! Writes `pushbell.toml` at the first start, and keeps a copy of its last valid text.

use std::{io, path::Path};

use crate::{
    config::{self, ConfigError, InForce},
    failure::Failure,
    paths::Paths,
    platform::files,
};

/// Writes the commented default configuration, readable by the user only, unless the file exists. Creates its
/// directory.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_default_config(path: &Path) -> io::Result<()> {
    // Not `exists`: a dangling symbolic link counts as a file, too.
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        files::create_private_directory(directory)?;
    }
    files::replace_private(path, config::default_text().as_bytes())
}

/// The configuration to start with. A first start writes the default file.
pub(super) fn load(paths: &Paths) -> Result<InForce, Failure> {
    if !paths.last_good_config.exists() {
        write_default_config(&paths.config).map_err(|error| {
            Failure::Failed(format!("{}: the default configuration cannot be written: {error}", paths.config.display()))
        })?;
    }
    Ok(config::in_force(paths)?)
}

/// Keeps this text as the last valid one.
pub(super) fn keep(paths: &Paths, text: &str) {
    let copy = config::copy_of(&paths.config, text);
    if std::fs::read(&paths.last_good_config).is_ok_and(|kept| kept == copy.as_bytes()) {
        return;
    }
    if let Err(error) = files::replace_private(&paths.last_good_config, copy.as_bytes()) {
        tracing::warn!("no copy of the configuration is kept: {}: {error}", paths.last_good_config.display());
    }
}

/// The message about a configuration file that is not in force.
pub(super) fn problem(paths: &Paths, fault: &ConfigError) -> String {
    let copy = paths.last_good_config.display();
    format!("{fault}\nUntil it is put right, the last good configuration is in force ({copy})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_default_file_is_never_written_over_anything() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b/pushbell.toml");
        write_default_config(&path).unwrap();
        assert_eq!(Config::load(&path).unwrap(), Config::default());
        std::fs::write(&path, "mine").unwrap();
        write_default_config(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }

    #[cfg(unix)]
    #[test]
    fn a_dangling_link_is_not_replaced_by_the_default_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("pushbell.toml");
        std::os::unix::fs::symlink(home.path().join("not mounted/pushbell.toml"), &path).unwrap();
        write_default_config(&path).unwrap();
        assert!(path.symlink_metadata().unwrap().is_symlink());
    }
}
