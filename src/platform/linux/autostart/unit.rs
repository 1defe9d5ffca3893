//! The systemd user unit, started by `graphical-session.target`.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{Places, at, in_one_line, read, remove};
use crate::{identity, platform::files};

/// The unit that packages install, for a program in `/usr/bin`.
const PACKAGED: &str = include_str!("../../../../assets/linux/pushbell.service");
const PACKAGED_PROGRAM: &str = "/usr/bin/pushbell";

/// Stands above a unit that we made, which may be removed again.
const MADE_BY_US: &str = "# Made by `pushbell autostart on`, and removed by `pushbell autostart off`.\n";

/// What `systemctl mask` links a unit to.
const MASK: &str = "/dev/null";

/// A unit that systemd starts with the session.
pub(super) struct Enabled {
    pub(super) name: String,
    /// The program, if it can be read from the unit.
    pub(super) program: Option<PathBuf>,
}

/// The unit, if something wants it started and nothing forbids it.
pub(super) fn enabled(places: &Places) -> io::Result<Option<Enabled>> {
    let Some(unit) = Unit::find(places.all_units())? else { return Ok(None) };
    let wanted = !unit.is_masked && links(places.all_units())?.next().is_some();
    Ok(wanted.then(|| Enabled { name: name(), program: unit.program() }))
}

/// Links the unit to the session's target, as `systemctl --user enable` does, having made one for this program unless
/// there is one already.
pub(super) fn enable(places: &Places, program: &Path) -> io::Result<()> {
    let own = places.own_units().join(name());
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
        files::replace_private(&own, text(in_one_line(program)?).as_bytes()).map_err(at(&own))?;
        own
    };
    let wants = places.own_units().join("graphical-session.target.wants");
    files::create_private_directory(&wants).map_err(at(&wants))?;
    let link = wants.join(name());
    remove(&link)?;
    symlink(path, &link).map_err(at(&link))
}

/// Removes the person's own links to the unit, and the unit if we made it. One that the system wants started is masked.
pub(super) fn disable(places: &Places) -> io::Result<()> {
    for link in links([places.own_units()])? {
        remove(&link)?;
    }
    let own = places.own_units().join(name());
    let unit = Unit::find([places.own_units()])?;
    if unit.as_ref().is_some_and(Unit::is_ours) {
        remove(&own)?;
    }
    if enabled(places)?.is_some() {
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
            let path = directory.join(name());
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
            let link = path.join(name());
            if starts_units && link.symlink_metadata().is_ok() {
                links.push(link);
            }
        }
    }
    Ok(links.into_iter())
}

fn name() -> String {
    format!("{}.service", identity::DIRECTORY_NAME)
}

fn is_same(one: Option<&Path>, other: &Path) -> bool {
    let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    one.is_some_and(|one| resolved(one) == resolved(other))
}

fn text(program: &str) -> String {
    let quoted = program.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%");
    MADE_BY_US.to_owned() + &PACKAGED.replace(PACKAGED_PROGRAM, &format!("\"{quoted}\""))
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
