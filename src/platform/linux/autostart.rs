//! Starting with the desktop: by a systemd user unit where the session reaches systemd's `graphical-session.target`,
//! otherwise by an XDG autostart entry. Never by both.
//!
//! Units are enabled and disabled with `systemctl`, which also works without a user manager.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use directories::BaseDirs;
use tokio::{process::Command, runtime::Builder, time::timeout};

use crate::{
    app_info,
    platform::{autostart::Autostart, files},
};

/// Deadline of `systemctl`.
const DEADLINE: Duration = Duration::from_secs(3);

/// The unit that packages install, for a program in `/usr/bin`.
const PACKAGED_UNIT: &str = include_str!("../../../assets/linux/pushbell.service");
const PACKAGED_PROGRAM: &str = "/usr/bin/pushbell";

/// The first line of a unit that was created here, and so may be removed. The second line is `# ` and the program.
const MADE_BY_US: &str = "# Made by `pushbell autostart on`, and removed by `pushbell autostart off`.\n";

/// Whether and how Pushbell starts with this desktop.
///
/// # Errors
/// When a unit or entry cannot be read.
pub(crate) fn status() -> io::Result<Autostart> {
    Files::of_environment()?.status(is_graphical() && !session_target_is_active())
}

/// Starts the program with this desktop, by a unit or an entry, and turns the other off; last, so that a failure leaves
/// one.
///
/// # Errors
/// When a file cannot be written, or cannot contain the program's path.
pub(crate) fn turn_on(program: &Path) -> io::Result<Autostart> {
    let files = Files::of_environment()?;
    let program = in_one_line(&present(program))?;
    if session_target_is_active() {
        files.enable_unit(&program)?;
        files.disable_entry()?;
    } else {
        files.write_entry(&entry_text(&program))?;
        files.disable_unit()?;
    }
    status()
}

/// Removes whatever starts Pushbell with this desktop.
///
/// # Errors
/// When a file cannot be written or removed.
pub(crate) fn turn_off() -> io::Result<Autostart> {
    let files = Files::of_environment()?;
    files.disable_entry()?;
    files.disable_unit()?;
    status()
}

/// The files that start Pushbell.
struct Files {
    /// The user's own user unit.
    unit: PathBuf,
    /// The user's own autostart entry.
    entry: PathBuf,
    /// The entries of the system, by precedence.
    system_entries: Vec<PathBuf>,
}

/// An enabled autostart entry.
#[derive(Debug, PartialEq)]
struct EnabledEntry {
    path: PathBuf,
    /// The program, if the entry names it by its path.
    program: Option<PathBuf>,
}

impl Files {
    fn of_environment() -> io::Result<Self> {
        let no_home = || io::Error::new(io::ErrorKind::NotFound, "there is no home directory: set HOME to one");
        let base = BaseDirs::new().ok_or_else(no_home)?;
        let system = env::var_os("XDG_CONFIG_DIRS").filter(|list| !list.is_empty());
        let system = system.unwrap_or_else(|| "/etc/xdg".into());
        let entry = |directory: &Path| directory.join(format!("autostart/{}.desktop", app_info::APP_ID));
        Ok(Self {
            unit: base.config_dir().join("systemd/user").join(unit_name()),
            entry: entry(base.config_dir()),
            system_entries: env::split_paths(&system).filter(|path| path.is_absolute()).map(|it| entry(&it)).collect(),
        })
    }

    /// `lacks_target`: the session does not reach `graphical-session.target`, which would start the unit.
    fn status(&self, lacks_target: bool) -> io::Result<Autostart> {
        let has_unit = unit_is_enabled();
        let entry = first_entry([&self.entry].into_iter().chain(&self.system_entries))?;
        let unit_words = || format!("the systemd user unit {}", unit_name());
        let entry_words = |entry: &EnabledEntry| format!("the XDG autostart entry {}", entry.path.display());
        let missing = |program: Option<PathBuf>| {
            let program = program.filter(|program| !program.exists())?;
            Some(format!("it starts {}, which is not there: run `pushbell autostart on` again", program.display()))
        };
        let no_target = || {
            let words = "this desktop does not reach systemd's graphical-session.target, which would start it: \
                         run `pushbell autostart on` again here";
            lacks_target.then(|| words.to_owned())
        };
        let on = has_unit || entry.is_some();
        let (by, problem) = match (has_unit, entry) {
            (false, None) => (String::new(), None),
            (true, Some(entry)) => (
                format!("{} and {}", unit_words(), entry_words(&entry)),
                Some("one is enough: run `pushbell autostart on` to keep the one that fits".to_owned()),
            ),
            (true, None) => (unit_words(), missing(self.program_of_unit()?).or_else(no_target)),
            (false, Some(entry)) => (entry_words(&entry), missing(entry.program)),
        };
        Ok(Autostart { on, by, problem })
    }

    /// Enables the unit, and creates it if missing. A unit that the user wrote is kept; that of a package is used if it
    /// starts this program.
    fn enable_unit(&self, program: &str) -> io::Result<()> {
        if self.program_of_unit()?.is_some() || is_masked(&self.unit) {
            remove(&self.unit)?;
            reload_units();
        }
        if !self.unit.exists() && !package_has_unit_for(program) {
            write(&self.unit, &unit_text(program))?;
        }
        change_unit("enable")
    }

    /// Disables the unit, and removes it if it was created here. One that is enabled system-wide is masked.
    fn disable_unit(&self) -> io::Result<()> {
        if unit_is_enabled() {
            change_unit("disable")?;
        }
        if self.program_of_unit()?.is_some() {
            remove(&self.unit)?;
        }
        if unit_is_enabled() { change_unit("mask") } else { Ok(()) }
    }

    /// The program of the user's own unit, if it was created here.
    fn program_of_unit(&self) -> io::Result<Option<PathBuf>> {
        let text = read(&self.unit)?.unwrap_or_default();
        let program = text.strip_prefix(MADE_BY_US).and_then(|text| text.lines().next()?.strip_prefix("# "));
        Ok(program.map(PathBuf::from))
    }

    fn write_entry(&self, text: &str) -> io::Result<()> {
        write(&self.entry, text)
    }

    /// Removes the user's own entry. An entry of the system is overridden by a hidden one.
    fn disable_entry(&self) -> io::Result<()> {
        if first_entry(&self.system_entries)?.is_some() {
            self.write_entry("[Desktop Entry]\nType=Application\nName=Pushbell\nHidden=true\n")
        } else {
            remove(&self.entry)
        }
    }
}

fn is_graphical() -> bool {
    ["WAYLAND_DISPLAY", "DISPLAY"].iter().any(|name| env::var_os(name).is_some())
}

/// The kernel marks the path of a running program whose file was replaced by an upgrade as deleted.
fn present(program: &Path) -> PathBuf {
    let replaced = program.as_os_str().as_bytes().strip_suffix(b" (deleted)").filter(|_| !program.exists());
    replaced.map_or_else(|| program.to_owned(), |path| PathBuf::from(OsStr::from_bytes(path)))
}

/// A path as text without control characters.
fn in_one_line(program: &Path) -> io::Result<String> {
    let text = program.to_str().filter(|text| !text.contains(char::is_control));
    text.map(str::to_owned).ok_or_else(|| {
        let words = format!("{}: no file that starts programs can hold this path: move the program", program.display());
        io::Error::new(io::ErrorKind::InvalidInput, words)
    })
}

/// Adds the path to an error.
fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Removes a file, if there is one.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The content of a file; `None` if there is none.
fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), files::create_private_directory).map_err(at(path))?;
    files::replace_private(path, text.as_bytes()).map_err(at(path))
}

fn unit_name() -> String {
    format!("{}.service", app_info::DIRECTORY_NAME)
}

fn unit_text(program: &str) -> String {
    let quoted = program.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%");
    format!("{MADE_BY_US}# {program}\n{}", PACKAGED_UNIT.replace(PACKAGED_PROGRAM, &format!("\"{quoted}\"")))
}

/// `systemctl mask` links a unit to `/dev/null`.
fn is_masked(unit: &Path) -> bool {
    fs::read_link(unit).is_ok_and(|target| target == Path::new("/dev/null"))
}

/// Whether the user manager's `graphical-session.target` is active, which the desktop starts and stops.
fn session_target_is_active() -> bool {
    systemctl(&["is-active", "--quiet", "graphical-session.target"], false)
        .is_some_and(|output| output.status.success())
}

/// Makes the user manager, if one runs, read changed units.
fn reload_units() {
    if !systemctl(&["daemon-reload"], false).is_some_and(|output| output.status.success()) {
        tracing::debug!("no user manager has taken up the changed units: it does at the next login");
    }
}

/// Whether systemd has a unit that starts this program, in any of the user manager's directories.
fn package_has_unit_for(program: &str) -> bool {
    let show = systemctl(&["show", "--property=FragmentPath", "--value", &unit_name()], false);
    let path = show.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().any(|line| line.starts_with(&format!("ExecStart={program} ")))
}

/// Whether the user or an administrator has enabled the unit. (`systemctl` succeeds for `static` as well.)
fn unit_is_enabled() -> bool {
    systemctl(&["is-enabled", &unit_name()], true).is_some_and(|output| output.stdout.starts_with(b"enabled"))
}

/// Enables, disables or masks the unit.
fn change_unit(verb: &str) -> io::Result<()> {
    let output = systemctl(&[verb, &unit_name()], true).ok_or_else(|| io::Error::other("systemctl does not answer"))?;
    if !output.status.success() {
        return Err(io::Error::other(format!("systemctl: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    reload_units();
    Ok(())
}

/// Runs `systemctl --user`; with `offline` on the files of units, without the user manager. `None` if there is no
/// `systemctl`, or no answer in time.
fn systemctl(arguments: &[&str], offline: bool) -> Option<Output> {
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let mut command = Command::new("systemctl");
        command.arg("--user").args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        if offline {
            command.env("SYSTEMD_OFFLINE", "1");
        }
        timeout(DEADLINE, command.output()).await.ok()?.ok()
    })
}

/// The first entry, if it is on.
fn first_entry<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> io::Result<Option<EnabledEntry>> {
    for path in paths {
        if let Some(text) = read(path)? {
            let value = |key| entry_value(&text, key);
            let is_off = value("Hidden") == Some("true") || value("X-GNOME-Autostart-enabled") == Some("false");
            let program = value("TryExec").map(|value| PathBuf::from(value.replace(r"\\", r"\")));
            let program = program.filter(|path| path.is_absolute());
            return Ok((!is_off).then(|| EnabledEntry { path: path.clone(), program }));
        }
    }
    Ok(None)
}

fn entry_text(program: &str) -> String {
    // `TryExec` makes the desktop ignore the entry of a removed program.
    format!(
        "[Desktop Entry]\nType=Application\nName={name}\nComment=Matrix push notifications\nExec={exec} run\n\
         TryExec={try_exec}\nIcon={icon}\nTerminal=false\nNoDisplay=true\nX-GNOME-Autostart-enabled=true\n",
        name = app_info::APP_NAME,
        exec = exec_word(program),
        try_exec = escaped(program),
        icon = app_info::APP_ID,
    )
}

/// A value of the entry's one group.
fn entry_value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let group = text.lines().map(str::trim).skip_while(|line| *line != "[Desktop Entry]").skip(1);
    group.take_while(|line| !line.starts_with('[')).find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim_end() == key).then_some(value.trim_start())
    })
}

/// The first argument of `Exec`: quoted as for a shell, `%` doubled, then escaped like any text.
fn exec_word(program: &str) -> String {
    let mut quoted = String::from("\"");
    for character in program.chars() {
        match character {
            '"' | '`' | '$' | '\\' => quoted.extend(['\\', character]),
            '%' => quoted.push_str("%%"),
            other => quoted.push(other),
        }
    }
    escaped(&(quoted + "\""))
}

/// Escapes text without control characters for a desktop entry.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_the_desktop_has_turned_off_is_off() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("entry");
        let check = |text: &str, on: bool| {
            fs::write(&path, text).unwrap();
            assert_eq!(first_entry([&path]).unwrap().is_some(), on, "{text}");
        };
        check("[Desktop Entry]\nExec=x\n", true);
        check("[Desktop Entry]\nExec=x\nHidden=true\n", false);
        check("[Desktop Entry]\nX-GNOME-Autostart-enabled = false\n", false);
        check("[Desktop Entry]\nExec=x\n[Other]\nHidden=true\n", true);
        check("[Other]\nHidden=true\n[Desktop Entry]\nHidden=false\n", true);
    }

    #[test]
    fn any_path_comes_back_from_the_files() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        let files = Files { unit: path("unit"), entry: path("entry"), system_entries: Vec::new() };
        for program in ["/plain", "/with space", r#"/q"u\o`t$e"#, "/100%f 50%%", "/ä→", r"/s\s\\n"] {
            let program = in_one_line(Path::new(program)).unwrap();
            fs::write(&files.unit, unit_text(&program)).unwrap();
            assert_eq!(files.program_of_unit().unwrap(), Some(PathBuf::from(&program)));
            files.write_entry(&entry_text(&program)).unwrap();
            let entry = first_entry([&files.entry]).unwrap().unwrap();
            assert_eq!(entry.program, Some(PathBuf::from(&program)));
        }
        assert_eq!(in_one_line(Path::new("/bin/a\nb")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_program_that_was_replaced_while_it_runs_is_named_as_before() {
        assert_eq!(present(Path::new("/no/such/pushbell (deleted)")), Path::new("/no/such/pushbell"));
        assert_eq!(present(Path::new("/no/such/pushbell")), Path::new("/no/such/pushbell"));
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("pushbell (deleted)");
        fs::write(&program, "").unwrap();
        assert_eq!(present(&program), program);
    }
}
