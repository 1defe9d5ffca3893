//! Starting with the desktop: by a systemd user unit where the session has systemd's `graphical-session.target`, by an
//! XDG autostart entry everywhere else. Never by both.
//!
//! What is on is read from the files that systemd and the desktop read, so it can be told and turned off also where no
//! user manager runs.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use directories::BaseDirs;
use tokio::{process::Command, runtime::Builder, time::timeout};

use crate::{
    identity,
    platform::{autostart::Autostart, files},
};

/// What starts Pushbell with this desktop.
///
/// # Errors
/// When the files that say so cannot be read.
pub fn status() -> io::Result<Autostart> {
    let places = Places::of_environment()?;
    let session = if places.is_graphical { Some(session_target_is_active()) } else { None };
    examine(&places, session)
}

/// Has this desktop start the program, by what fits it.
///
/// # Errors
/// When a file cannot be written, or the program's path is none that could be written into it.
pub fn turn_on(program: &Path) -> io::Result<Autostart> {
    let places = Places::of_environment()?;
    turn_on_in(&places, &present(program), session_target_is_active())?;
    reload_units();
    status()
}

/// Has nothing start Pushbell with this desktop.
///
/// # Errors
/// When a file cannot be written or removed.
pub fn turn_off() -> io::Result<Autostart> {
    let places = Places::of_environment()?;
    turn_off_in(&places)?;
    reload_units();
    status()
}

/// `session_target`: whether systemd's `graphical-session.target` is active in the session that asks, if one does.
fn examine(places: &Places, session_target: Option<bool>) -> io::Result<Autostart> {
    let unit = enabled_unit(places)?;
    let entry = enabled_entry(places)?;
    let words = |unit: &EnabledUnit| format!("the systemd user unit {}", unit.name);
    let entry_words = |entry: &EnabledEntry| format!("the XDG autostart entry {}", entry.path.display());
    let missing = |program: Option<&Path>| {
        let program = program.filter(|program| !program.exists())?;
        Some(format!("it starts {}, which is not there: run `pushbell autostart on` again", program.display()))
    };
    Ok(match (unit, entry) {
        (None, None) => Autostart { on: false, by: String::new(), problem: None },
        (Some(unit), Some(entry)) => Autostart {
            on: true,
            by: format!("{} and {}", words(&unit), entry_words(&entry)),
            problem: Some("one is enough: run `pushbell autostart on` to keep the one that fits".to_owned()),
        },
        (Some(unit), None) => Autostart {
            on: true,
            by: words(&unit),
            problem: missing(unit.program.as_deref()).or_else(|| {
                (session_target == Some(false)).then(|| {
                    "this desktop does not reach systemd's graphical-session.target, which would start it: \
                     run `pushbell autostart on` again here"
                        .to_owned()
                })
            }),
        },
        (None, Some(entry)) => {
            Autostart { on: true, by: entry_words(&entry), problem: missing(entry.program.as_deref()) }
        }
    })
}

/// What fits is turned on before the other is turned off, so that a failure leaves one of them.
fn turn_on_in(places: &Places, program: &Path, session_target: bool) -> io::Result<()> {
    if session_target {
        enable_unit(places, program)?;
        disable_entry(places)
    } else {
        enable_entry(places, program)?;
        disable_unit(places)
    }
}

fn turn_off_in(places: &Places) -> io::Result<()> {
    disable_entry(places)?;
    disable_unit(places)
}

/// The kernel says of a running program whose file was replaced by an upgrade that it is deleted.
fn present(program: &Path) -> PathBuf {
    let replaced = program.as_os_str().as_bytes().strip_suffix(b" (deleted)").filter(|_| !program.exists());
    replaced.map_or_else(|| program.to_owned(), |path| PathBuf::from(OsStr::from_bytes(path)))
}

/// A path as text for a file of lines.
fn in_one_line(program: &Path) -> io::Result<&str> {
    let text = program.to_str().filter(|text| !text.contains(char::is_control));
    text.ok_or_else(|| {
        let words = format!("{}: no file that starts programs can hold this path: move the program", program.display());
        io::Error::new(io::ErrorKind::InvalidInput, words)
    })
}

/// Names the file in an error.
fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Removes a file; one that is not there is no error.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What a file holds; `None` where there is none.
fn read(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// The directories of this person and of the system, the person's own first, as the XDG Base Directory Specification
/// and `systemd.unit(5)` have them.
#[derive(Debug, Clone)]
struct Places {
    /// `XDG_CONFIG_HOME`: what the person decides.
    own: PathBuf,
    /// `XDG_CONFIG_DIRS`: what the system decides.
    system: Vec<PathBuf>,
    /// Where systemd looks for user units, besides the person's own.
    units: Vec<PathBuf>,
    /// Whether this process belongs to a graphical session.
    is_graphical: bool,
}

impl Places {
    fn of_environment() -> io::Result<Self> {
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
    fn own_units(&self) -> PathBuf {
        self.own.join("systemd/user")
    }

    /// Every directory with user units, the first to count first.
    fn all_units(&self) -> impl Iterator<Item = PathBuf> {
        [self.own_units()].into_iter().chain(self.units.clone())
    }
}

/// The absolute directories that a variable lists. Empty is the same as unset.
fn listed(variable: &str, default: &str) -> Vec<PathBuf> {
    let list = env::var_os(variable).filter(|list| !list.is_empty()).unwrap_or_else(|| default.into());
    env::split_paths(&list).filter(|path| path.is_absolute()).collect()
}

/// How long the user manager may take to answer.
const DEADLINE: Duration = Duration::from_secs(3);

/// Whether a user manager runs whose `graphical-session.target` is active: then the desktop tells systemd when it
/// begins and ends.
fn session_target_is_active() -> bool {
    systemctl(&["is-active", "--quiet", "graphical-session.target"]).is_some_and(|status| status.success())
}

/// Has the user manager, if one runs, take up changed files.
fn reload_units() {
    if !systemctl(&["daemon-reload"]).is_some_and(|status| status.success()) {
        tracing::debug!("no user manager has taken up the changed units: it does at the next login");
    }
}

/// `None` where there is no systemctl, or no answer in time.
fn systemctl(arguments: &[&str]) -> Option<ExitStatus> {
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let mut command = Command::new("systemctl");
        command.arg("--user").args(arguments).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        timeout(DEADLINE, command.status()).await.ok()?.ok()
    })
}

/// An entry that the desktop starts.
struct EnabledEntry {
    path: PathBuf,
    /// The program, if the entry names it by its path.
    program: Option<PathBuf>,
}

/// The entry that counts, if it is on: the person's own hides that of the system.
fn enabled_entry(places: &Places) -> io::Result<Option<EnabledEntry>> {
    first_entry([&places.own].into_iter().chain(&places.system))
}

/// Writes the person's own entry.
fn enable_entry(places: &Places, program: &Path) -> io::Result<()> {
    write_entry(&own_entry(places), &entry_text(in_one_line(program)?))
}

/// Removes the person's own entry. One of the system's is hidden by one that says so.
fn disable_entry(places: &Places) -> io::Result<()> {
    if first_entry(&places.system)?.is_some() {
        write_entry(&own_entry(places), "[Desktop Entry]\nType=Application\nName=Pushbell\nHidden=true\n")
    } else {
        remove(&own_entry(places))
    }
}

fn own_entry(places: &Places) -> PathBuf {
    entry_path(&places.own)
}

fn entry_path(directory: &Path) -> PathBuf {
    directory.join("autostart").join(format!("{}.desktop", identity::APP_ID))
}

fn first_entry<'a>(directories: impl IntoIterator<Item = &'a PathBuf>) -> io::Result<Option<EnabledEntry>> {
    for directory in directories {
        let path = entry_path(directory);
        if let Some(text) = read(&path)? {
            let value = |key| entry_value(&text, key);
            let is_off = value("Hidden") == Some("true") || value("X-GNOME-Autostart-enabled") == Some("false");
            let program =
                value("TryExec").map(|value| PathBuf::from(unescaped(value))).filter(|path| path.is_absolute());
            return Ok((!is_off).then_some(EnabledEntry { path, program }));
        }
    }
    Ok(None)
}

fn write_entry(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), files::create_private_directory).map_err(at(path))?;
    files::replace_private(path, text.as_bytes()).map_err(at(path))
}

fn entry_text(program: &str) -> String {
    // A program that was removed without its entry is passed over because of `TryExec`.
    format!(
        "[Desktop Entry]\nType=Application\nName={name}\nComment=Matrix push notifications\nExec={exec} run\n\
         TryExec={try_exec}\nIcon={icon}\nTerminal=false\nNoDisplay=true\nX-GNOME-Autostart-enabled=true\n",
        name = identity::APP_NAME,
        exec = exec_word(program),
        try_exec = escaped(program),
        icon = identity::APP_ID,
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

/// The first word of `Exec`: quoted as for a shell, `%` doubled, and then escaped like any text.
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

/// Text as a desktop entry has it; control characters do not come here.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\")
}

fn unescaped(value: &str) -> String {
    let mut text = String::new();
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match (character, characters.clone().next()) {
            ('\\', Some(next)) => {
                characters.next();
                text.push(if next == 's' { ' ' } else { next });
            }
            (other, Some(_) | None) => text.push(other),
        }
    }
    text
}

/// The unit that packages install, for a program in `/usr/bin`.
const PACKAGED: &str = include_str!("../../../assets/linux/pushbell.service");
const PACKAGED_PROGRAM: &str = "/usr/bin/pushbell";

/// Stands above a unit that we made, which may be removed again.
const MADE_BY_US: &str = "# Made by `pushbell autostart on`, and removed by `pushbell autostart off`.\n";

/// What `systemctl mask` links a unit to.
const MASK: &str = "/dev/null";

/// A unit that systemd starts with the session.
struct EnabledUnit {
    name: String,
    /// The program, if it can be read from the unit.
    program: Option<PathBuf>,
}

/// The unit, if something wants it started and nothing forbids it.
fn enabled_unit(places: &Places) -> io::Result<Option<EnabledUnit>> {
    let Some(unit) = Unit::find(places.all_units())? else { return Ok(None) };
    let wanted = !unit.is_masked && links(places.all_units())?.next().is_some();
    Ok(wanted.then(|| EnabledUnit { name: unit_name(), program: unit.program() }))
}

/// Links the unit to the session's target, as `systemctl --user enable` does, having made one for this program unless
/// there is one already.
fn enable_unit(places: &Places, program: &Path) -> io::Result<()> {
    let own = places.own_units().join(unit_name());
    let mut unit = Unit::find(places.all_units())?;
    if unit.as_ref().is_some_and(|unit| unit.path == own && (unit.is_masked || unit.is_ours())) {
        remove(&own)?;
        unit = Unit::find(places.all_units())?;
    }
    // What the person wrote stays; that of a package serves if it starts this very program.
    let serves = |unit: &Unit| unit.path == own || is_same(unit.program().as_deref(), program);
    let path = if let Some(unit) = unit.filter(serves) {
        unit.path
    } else {
        files::create_private_directory(&places.own_units()).map_err(at(&own))?;
        files::replace_private(&own, unit_text(in_one_line(program)?).as_bytes()).map_err(at(&own))?;
        own
    };
    let wants = places.own_units().join("graphical-session.target.wants");
    files::create_private_directory(&wants).map_err(at(&wants))?;
    let link = wants.join(unit_name());
    remove(&link)?;
    symlink(path, &link).map_err(at(&link))
}

/// Removes the person's own links to the unit, and the unit if we made it. One that the system wants started is masked.
fn disable_unit(places: &Places) -> io::Result<()> {
    for link in links([places.own_units()])? {
        remove(&link)?;
    }
    let own = places.own_units().join(unit_name());
    let unit = Unit::find([places.own_units()])?;
    if unit.as_ref().is_some_and(Unit::is_ours) {
        remove(&own)?;
    }
    if enabled_unit(places)?.is_some() {
        if own.symlink_metadata().is_ok() {
            let words = format!("{}: the system starts this unit of yours: rename or remove it", own.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, words));
        }
        files::create_private_directory(&places.own_units()).map_err(at(&own))?;
        symlink(MASK, &own).map_err(at(&own))?;
    }
    Ok(())
}

struct Unit {
    path: PathBuf,
    text: String,
    is_masked: bool,
}

impl Unit {
    /// The unit's file that counts: the first.
    fn find(directories: impl IntoIterator<Item = PathBuf>) -> io::Result<Option<Self>> {
        for directory in directories {
            let path = directory.join(unit_name());
            if fs::read_link(&path).is_ok_and(|target| target == Path::new(MASK)) {
                return Ok(Some(Self { path, text: String::new(), is_masked: true }));
            }
            if let Some(text) = read(&path)? {
                return Ok(Some(Self { path, text, is_masked: false }));
            }
        }
        Ok(None)
    }

    fn is_ours(&self) -> bool {
        self.text.starts_with(MADE_BY_US)
    }

    /// The first word of `ExecStart`, if it is a path.
    fn program(&self) -> Option<PathBuf> {
        let command = self.text.lines().find_map(|line| line.trim().strip_prefix("ExecStart="))?;
        let program = match command.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => command.split_whitespace().next()?.replace("%%", "%"),
        };
        Some(PathBuf::from(program)).filter(|path| path.is_absolute())
    }
}

/// The links by which targets want or require the unit.
fn links(directories: impl IntoIterator<Item = PathBuf>) -> io::Result<impl Iterator<Item = PathBuf>> {
    let mut links = Vec::new();
    for directory in directories {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries {
            let path = entry.map_err(at(&directory))?.path();
            let starts_units = path.extension().is_some_and(|kind| kind == "wants" || kind == "requires");
            let link = path.join(unit_name());
            if starts_units && link.symlink_metadata().is_ok() {
                links.push(link);
            }
        }
    }
    Ok(links.into_iter())
}

fn unit_name() -> String {
    format!("{}.service", identity::DIRECTORY_NAME)
}

fn is_same(one: Option<&Path>, other: &Path) -> bool {
    let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    one.is_some_and(|one| resolved(one) == resolved(other))
}

fn unit_text(program: &str) -> String {
    let quoted = program.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%");
    format!("{MADE_BY_US}{}", PACKAGED.replace(PACKAGED_PROGRAM, &format!("\"{quoted}\"")))
}

/// A quoted word of `ExecStart`, from after its first quote on.
fn unquoted(quoted: &str) -> String {
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next().filter(|character| *character != '"') {
        text.push(if character == '\\' { characters.next().unwrap_or(character) } else { character });
    }
    text.replace("%%", "%")
}

#[cfg(test)]
mod tests;
