//! The configuration in force while its file changes.

use std::path::{Path, PathBuf};

use super::{Config, ConfigError};

/// The last good configuration, and what is wrong with the file since.
#[derive(Debug, Clone)]
pub struct LiveConfig {
    path: PathBuf,
    config: Config,
    refused: Option<ConfigError>,
}

/// What has become of a changed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// It says the same as before, or is as faulty as before.
    Same,
    /// It is good and in force.
    Taken,
    /// It is not good: the last good one stays in force, and [`LiveConfig::refused`] says why.
    Refused,
}

impl LiveConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is missing, cannot be read, or is not right.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Ok(Self { path: path.to_owned(), config: Config::load(path)?, refused: None })
    }

    /// What is in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Why the file on disk is not what is in force, if so.
    #[must_use]
    pub fn refused(&self) -> Option<&ConfigError> {
        self.refused.as_ref()
    }

    /// Reads the file again.
    pub fn reload(&mut self) -> Reload {
        match Config::load(&self.path) {
            Ok(config) => {
                let mended = self.refused.take().is_some();
                if config == self.config && !mended {
                    return Reload::Same;
                }
                self.config = config;
                Reload::Taken
            }
            Err(error) => {
                let known = self.refused.as_ref() == Some(&error);
                self.refused = Some(error);
                if known { Reload::Same } else { Reload::Refused }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_change_keeps_the_last_good_configuration() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("pushbell.toml");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write("history.keep_days = 7");
        let mut live = LiveConfig::load(&path).unwrap();
        let mut check = |outcome, days, refused| {
            assert_eq!(live.reload(), outcome);
            assert_eq!((live.config().history.keep_days, live.refused().is_some()), (days, refused));
        };
        check(Reload::Same, 7, false);
        write("# a word\nhistory.keep_days = 7");
        check(Reload::Same, 7, false);
        write("history.keep_days = 8");
        check(Reload::Taken, 8, false);
        write("history.keep_days = 0");
        check(Reload::Refused, 8, true);
        check(Reload::Same, 8, true);
        write("history.keep_days = -1");
        check(Reload::Refused, 8, true);
        write("history.keep_days = 8");
        check(Reload::Taken, 8, false);
        std::fs::remove_file(&path).unwrap();
        check(Reload::Refused, 8, true);
    }
}
