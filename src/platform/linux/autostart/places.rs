//! Where systemd and the desktop look for what they are to start.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use directories::BaseDirs;

/// The directories of this person and of the system, the person's own first, as the XDG Base Directory Specification
/// and `systemd.unit(5)` have them.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// `XDG_CONFIG_HOME`: what the person decides.
    pub(super) own: PathBuf,
    /// `XDG_CONFIG_DIRS`: what the system decides.
    pub(super) system: Vec<PathBuf>,
    /// Where systemd looks for user units, besides the person's own.
    pub(super) units: Vec<PathBuf>,
    /// Whether this process belongs to a graphical session.
    pub(super) is_graphical: bool,
}

impl Places {
    pub(super) fn of_environment() -> io::Result<Self> {
        let no_home = || io::Error::new(io::ErrorKind::NotFound, "there is no home directory: set HOME to one");
        let base = BaseDirs::new().ok_or_else(no_home)?;
        let below = |directory: &Path| directory.join("systemd/user");
        let system = listed("XDG_CONFIG_DIRS", "/etc/xdg");
        let units = system
            .iter()
            .map(|directory| below(directory))
            .chain([below(Path::new("/etc"))])
            .chain(base.runtime_dir().map(below))
            .chain([below(Path::new("/run")), below(base.data_dir())])
            .chain(
                listed("XDG_DATA_DIRS", "/usr/local/share:/usr/share").into_iter().map(|directory| below(&directory)),
            )
            .chain(["/usr/local/lib", "/usr/lib", "/lib"].map(|directory| below(Path::new(directory))));
        Ok(Self {
            own: base.config_dir().to_owned(),
            units: units.collect(),
            system,
            is_graphical: ["WAYLAND_DISPLAY", "DISPLAY"].iter().any(|name| env::var_os(name).is_some()),
        })
    }

    /// The person's own user units.
    pub(super) fn own_units(&self) -> PathBuf {
        self.own.join("systemd/user")
    }

    /// Every directory with user units, the first to count first.
    pub(super) fn all_units(&self) -> impl Iterator<Item = PathBuf> {
        [self.own_units()].into_iter().chain(self.units.clone())
    }
}

/// The absolute directories that a variable lists. Empty is the same as unset.
fn listed(variable: &str, default: &str) -> Vec<PathBuf> {
    let list = env::var_os(variable).filter(|list| !list.is_empty()).unwrap_or_else(|| default.into());
    env::split_paths(&list).filter(|path| path.is_absolute()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directories_of_every_system_are_among_those_that_variables_name() {
        let Places { units, .. } = Places::of_environment().unwrap();
        let at = |path: &str| units.iter().position(|other| other == Path::new(path)).unwrap();
        let known = ["/etc/systemd/user", "/run/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user"];
        assert!(known.map(at).is_sorted(), "{units:?}");
    }
}
