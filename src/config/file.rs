//! `pushbell.toml` on disk, and the copy of its last valid text.
//!
//! A file that was emptied or damaged must not silently change the configuration, for example move a listener or reveal
//! hidden texts. If a copy exists, such a file is a fault and the copy stays in force.

use std::{fs, path::Path};

use super::{Config, ConfigError, error::ReadError};
use crate::paths::{self, Paths};

/// Maximum size of the file. No configuration is that long, but the path may name any file.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// The configuration found at the start.
#[derive(Debug)]
pub struct InForce {
    /// The settings.
    pub config: Config,
    /// The text of the file, to be kept as the last valid one; `None` if the copy is in force.
    pub text: Option<String>,
    /// Why the file is not in force.
    pub fault: Option<ConfigError>,
}

/// Reads the configuration file, or else the copy of its last valid text.
///
/// # Errors
/// When the file is invalid and there is no copy.
pub fn in_force(paths: &Paths) -> Result<InForce, ConfigError> {
    let last_good = last_good(paths);
    let file = paths.config.display().to_string();
    let fault = match read(&paths.config) {
        Ok((_, text)) if last_good.is_some() && sets_nothing(&text) => ConfigError::Emptied { file },
        Ok((config, text)) => return Ok(InForce { config, text: Some(text), fault: None }),
        Err(error) => error,
    };
    match last_good {
        Some(config) => Ok(InForce { config, text: None, fault: Some(fault) }),
        None => Err(fault),
    }
}

/// The content of the copy, which includes the path of the original.
#[must_use]
pub fn copy_of(path: &Path, text: &str) -> String {
    format!("{}{text}", copy_header(path))
}

fn copy_header(path: &Path) -> String {
    format!("# The last good {}: in force while that file is missing, emptied or faulty.\n", path.display())
}

/// What the copy says, if it is of this file and sets anything.
fn last_good(paths: &Paths) -> Option<Config> {
    let copy = fs::read_to_string(&paths.last_good_config).ok()?;
    let text = copy.strip_prefix(&copy_header(&paths.config))?;
    if sets_nothing(text) { None } else { Config::parse(text, "the copy").ok() }
}

pub(super) fn read(path: &Path) -> Result<(Config, String), ConfigError> {
    let file = path.display().to_string();
    match read_text(path) {
        Ok(text) => Ok((Config::parse(&text, &file)?, text)),
        Err(source) => Err(ConfigError::Unreadable { file, source }),
    }
}

/// Whether the text has no key with a value.
fn sets_nothing(text: &str) -> bool {
    fn is_bare(table: &toml::Table) -> bool {
        table.values().all(|value| value.as_table().is_some_and(is_bare))
    }
    text.parse().is_ok_and(|table| is_bare(&table))
}

fn read_text(path: &Path) -> Result<String, ReadError> {
    String::from_utf8(paths::read_bounded(path, MAX_FILE_BYTES)?).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        ReadError::NotText { line: error.as_bytes()[..good].split(|byte| *byte == b'\n').count() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emptied_or_faulty_file_leaves_the_last_good_in_force() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::within(home.path());
        fs::create_dir_all(paths.config.parent().unwrap()).unwrap();
        fs::create_dir_all(&paths.data).unwrap();
        let good = "[popup]\npreview = \"never\"\n";
        let hides = |found: &InForce| found.config == Config::parse(good, "").unwrap();

        fs::write(&paths.config, "").unwrap();
        assert!(in_force(&paths).unwrap().fault.is_none());
        fs::write(&paths.config, good).unwrap();
        let found = in_force(&paths).unwrap();
        assert!(hides(&found) && found.fault.is_none());
        fs::write(&paths.last_good_config, copy_of(&paths.config, &found.text.unwrap())).unwrap();

        for text in ["", "# nothing\n", "[popup]\n", "[popup]\npreview = 7\n", "[popup"] {
            fs::write(&paths.config, text).unwrap();
            let found = in_force(&paths).unwrap();
            assert!(hides(&found) && found.fault.is_some() && found.text.is_none(), "{text:?}");
        }
        fs::remove_file(&paths.config).unwrap();
        assert!(hides(&in_force(&paths).unwrap()));
        let other = Paths { config: home.path().join("other.toml"), ..paths.clone() };
        fs::write(&other.config, "").unwrap();
        assert!(in_force(&other).unwrap().fault.is_none(), "the copy is not of this file");
        fs::write(&paths.config, "[log]\nlevel = \"warn\"\n").unwrap();
        assert!(in_force(&paths).unwrap().fault.is_none());
        fs::write(&paths.last_good_config, copy_of(&paths.config, "[popup")).unwrap();
        fs::write(&paths.config, "").unwrap();
        assert!(in_force(&paths).unwrap().fault.is_none(), "a copy that is damaged counts for nothing");
    }
}
