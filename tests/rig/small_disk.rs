//! A file system that can be filled and made read-only.

use std::{fs, io::Write, path::PathBuf, process::Command};

use super::{
    Pushbell, SOON,
    process::{Part, TempDir},
    wait_until,
};

/// A file system of 3 MB mounted over the app's data directory, visible to programs run with [`SmallDisk::inside`]: in
/// a mount namespace that lives as long as this value.
pub(crate) struct SmallDisk {
    holder: Part,
    directory: PathBuf,
}

impl SmallDisk {
    /// Copies the directory's contents; the app must not be running. Without root privileges this requires unprivileged
    /// user namespaces.
    pub(crate) fn in_place_of_data_of(pushbell: &Pushbell) -> Self {
        let directory = pushbell.data_directory();
        let script = r#"set -e
            mkdir "$1.disk"; mount -t tmpfs -o size=3m,mode=0700 disk "$1.disk"
            cp -a "$1/." "$1.disk"; mount --bind "$1.disk" "$1"
            echo ready; exec sleep infinity"#;
        let mut command = Command::new("unshare");
        if !rustix::process::getuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "sh", "-c", script, "sh"]).arg(&directory);
        let holder = Part::start("disk", command, pushbell.env(), &pushbell.home());
        wait_until("the disk is there", SOON, || holder.stdout().contains("ready"));
        Self { holder, directory }
    }

    /// The command that runs a program inside.
    pub(crate) fn inside(&self) -> Vec<String> {
        let mut command = vec!["nsenter".to_owned(), format!("--target={}", self.holder.pid()), "--mount".to_owned()];
        if !rustix::process::getuid().is_root() {
            command.extend(["--user".to_owned(), "--preserve-credentials".to_owned()]);
        }
        command
    }

    /// The path of a file on it, as seen from outside.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.pid()));
        root.join(self.directory.strip_prefix("/").expect("it is absolute")).join(name)
    }

    /// A copy of the database. SQLite would resolve a path through `/proc` to one outside.
    pub(crate) fn copy_of_database(&self) -> (TempDir, PathBuf) {
        let copy = TempDir::new();
        let database = copy.path().join("pushbell.db");
        fs::copy(self.path("pushbell.db"), &database).expect("the app has made it");
        assert!(!self.path("pushbell.db-wal").exists(), "the app has closed it");
        (copy, database)
    }

    /// Fills it to the last byte.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::create(self.path("ballast")).expect("the disk can be written");
        while file.write_all(&[0; 4096]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }

    /// Undoes [`SmallDisk::fill`].
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.path("ballast")).expect("it is there");
    }

    /// Remounts it as `ro` or `rw`.
    pub(crate) fn remount(&self, how: &str) {
        let inside = self.inside();
        let status = Command::new(&inside[0])
            .args(&inside[1..])
            .args(["mount", "-o", &format!("remount,bind,{how}")])
            .arg(&self.directory)
            .status()
            .expect("nsenter starts");
        assert!(status.success(), "the disk is made {how}");
    }
}
