//! Where Pushbell keeps its files, and bounded reading of those that people write. Nothing here creates any.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use directories::ProjectDirs;

use crate::app_info;

/// How old a configuration may be that a person has written for the first start.
const NEW_CONFIG: Duration = Duration::from_secs(600);

/// Every path that Pushbell reads or writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `pushbell.toml`, or the file that `--config` or `PUSHBELL_CONFIG` names.
    pub config: PathBuf,
    /// `pushbell.last-good.toml` in the data directory: a copy of the last good configuration.
    pub last_good_config: PathBuf,
    /// The data directory: everything that must outlive the program.
    pub data: PathBuf,
    /// `pushbell.db`: the inbox.
    pub database: PathBuf,
    /// `accounts.toml`.
    pub accounts: PathBuf,
    /// `sounds/`: the person's own sounds.
    pub sounds: PathBuf,
    /// `pushbell.lock`: its holder is the one that runs. Beside the inbox, for that is what it guards: two
    /// logins of one person may have run-time directories of their own, but they share the inbox.
    pub lock: PathBuf,
    /// Where the control socket may be, by which commands reach the running program: the first place where it can be
    /// made. In the run-time directory, where there is one, else in the data or the cache directory.
    pub control: Vec<PathBuf>,
    /// The cache directory: what can be made again.
    pub cache: PathBuf,
    /// The app icon as a file, for popups.
    pub icon: PathBuf,
}

/// The person has no home directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no home directory to keep Pushbell's files in: set HOME to one")]
pub struct NoHome;

impl Paths {
    /// The places of this person. `config` names another configuration file.
    ///
    /// # Errors
    /// When the person has no home directory.
    pub fn find(config: Option<PathBuf>) -> Result<Self, NoHome> {
        let home = ProjectDirs::from("", "", app_info::DIRECTORY_NAME).ok_or(NoHome)?;
        // The parent is the system's to make: where it is missing, so is the directory for us.
        let runtime = home.runtime_dir().filter(|own| own.parent().is_some_and(Path::is_dir));
        Ok(Self::below(config, home.config_dir(), home.data_local_dir(), runtime, home.cache_dir()))
    }

    /// Whether Pushbell starts for the first time: it has kept nothing, and its configuration is new. An empty data
    /// directory beside an older configuration is a lost one. False when that cannot be told.
    #[must_use]
    pub fn is_first_start(&self) -> bool {
        let may_exist = |path: &Path| path.try_exists().unwrap_or(true);
        if [&self.accounts, &self.database, &self.last_good_config].into_iter().any(|kept| may_exist(kept)) {
            return false;
        }
        match self.config.symlink_metadata() {
            // A start has left the icon in the cache. Without a cache, the age must do.
            Ok(config) => {
                let age = config.modified().map(|modified| modified.elapsed().unwrap_or_default());
                age.is_ok_and(|age| age < NEW_CONFIG) && !may_exist(&self.icon)
            }
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Everything within one directory, for tests.
    #[cfg(test)]
    pub(crate) fn within(home: &Path) -> Self {
        let run = home.join("run");
        Self::below(None, &home.join("config"), &home.join("data"), Some(&run), &home.join("cache"))
    }

    fn below(config: Option<PathBuf>, config_dir: &Path, data: &Path, runtime: Option<&Path>, cache: &Path) -> Self {
        Self {
            config: config.unwrap_or_else(|| config_dir.join("pushbell.toml")),
            last_good_config: data.join("pushbell.last-good.toml"),
            data: data.to_owned(),
            database: data.join("pushbell.db"),
            accounts: data.join("accounts.toml"),
            sounds: data.join("sounds"),
            lock: data.join("pushbell.lock"),
            control: runtime.into_iter().chain([data, cache]).map(|place| place.join("control.sock")).collect(),
            cache: cache.to_owned(),
            icon: cache.join("pushbell.png"),
        }
    }
}

/// Reads a file of at most `max_bytes`.
///
/// # Errors
/// Also when it is longer, or a directory.
pub(crate) fn read_bounded(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    if path.metadata()?.is_dir() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::other(format!("it is longer than {} KiB", max_bytes / 1024)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_socket_is_in_the_runtime_directory_if_any() {
        let check = |runtime: Option<&str>, expected: &[&str]| {
            let paths = Paths::below(None, Path::new("/c"), Path::new("/d"), runtime.map(Path::new), Path::new("/k"));
            assert_eq!(paths.control, expected.iter().map(PathBuf::from).collect::<Vec<_>>());
        };
        check(Some("/r"), &["/r/control.sock", "/d/control.sock", "/k/control.sock"]);
        check(None, &["/d/control.sock", "/k/control.sock"]);
    }

    #[test]
    fn a_named_configuration_moves_nothing_else() {
        let named = Some(PathBuf::from("other.toml"));
        let paths = Paths::below(named, Path::new("/c"), Path::new("/d"), None, Path::new("/k"));
        assert_eq!(paths.config, Path::new("other.toml"));
        assert_eq!(paths.accounts, Path::new("/d/accounts.toml"));
    }

    #[test]
    fn lost_data_beside_an_older_configuration_is_no_first_start() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::within(home.path());
        let write = |path: &Path| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::File::create(path).unwrap()
        };
        assert!(paths.is_first_start());
        let config = write(&paths.config);
        assert!(paths.is_first_start(), "the person has written it just now");
        let long_ago = std::time::SystemTime::now() - 2 * NEW_CONFIG;
        config.set_modified(long_ago).unwrap();
        assert!(!paths.is_first_start());
        config.set_modified(std::time::SystemTime::now()).unwrap();
        for left in [&paths.icon, &paths.accounts, &paths.database, &paths.last_good_config] {
            write(left);
            assert!(!paths.is_first_start(), "{}", left.display());
            std::fs::remove_file(left).unwrap();
        }
        assert!(paths.is_first_start());
    }
}
