//! A wall clock of the app's own.

use std::{fs, path::PathBuf};

use super::Pushbell;

/// The wall clock that the app sees. Timers are not affected.
pub(crate) struct Clock(PathBuf);

impl Clock {
    /// Applies to every start of the app from now on.
    pub(crate) fn of(pushbell: &mut Pushbell) -> Self {
        let clock = Self(pushbell.home().join("clock"));
        clock.set("+0d");
        let library = fs::read_dir("/usr/lib")
            .expect("it is there")
            .filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketimeMT.so.1")))
            .find(|path| path.exists())
            .expect("faketime is there; `make test` installs what the tests need");
        pushbell.set_env("LD_PRELOAD", &library.display().to_string());
        pushbell.set_env("FAKETIME_TIMESTAMP_FILE", &clock.0.display().to_string());
        pushbell.set_env("FAKETIME_NO_CACHE", "1");
        pushbell.set_env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        clock
    }

    /// Sets the clock before (`-1d`) or after (`+16m`) this computer's; effective immediately.
    pub(crate) fn set(&self, offset: &str) {
        let new = self.0.with_extension("new");
        fs::write(&new, offset).expect("the home is writable");
        fs::rename(&new, &self.0).expect("the home is writable");
    }
}
