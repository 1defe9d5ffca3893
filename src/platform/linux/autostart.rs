//! Starting with the desktop: by a systemd user unit where the session has systemd's `graphical-session.target`, by an
//! XDG autostart entry everywhere else. Never by both.
//!
//! What is on is read from the files that systemd and the desktop read, so it can be told and turned off also where no
//! user manager runs.

mod entry;
mod places;
mod systemctl;
mod unit;

use std::{
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::platform::autostart::Autostart;
use places::Places;

/// What starts Pushbell with this desktop.
///
/// # Errors
/// When the files that say so cannot be read.
pub fn status() -> io::Result<Autostart> {
    let places = Places::of_environment()?;
    let session = if places.is_graphical { Some(systemctl::session_target_is_active()) } else { None };
    examine(&places, session)
}

/// Has this desktop start the program, by what fits it.
///
/// # Errors
/// When a file cannot be written, or the program's path is none that could be written into it.
pub fn turn_on(program: &Path) -> io::Result<Autostart> {
    let places = Places::of_environment()?;
    turn_on_in(&places, &present(program), systemctl::session_target_is_active())?;
    systemctl::reload();
    status()
}

/// Has nothing start Pushbell with this desktop.
///
/// # Errors
/// When a file cannot be written or removed.
pub fn turn_off() -> io::Result<Autostart> {
    let places = Places::of_environment()?;
    turn_off_in(&places)?;
    systemctl::reload();
    status()
}

/// `session_target`: whether systemd's `graphical-session.target` is active in the session that asks, if one does.
fn examine(places: &Places, session_target: Option<bool>) -> io::Result<Autostart> {
    let unit = unit::enabled(places)?;
    let entry = entry::enabled(places)?;
    let words = |unit: &unit::Enabled| format!("the systemd user unit {}", unit.name);
    let entry_words = |entry: &entry::Enabled| format!("the XDG autostart entry {}", entry.path.display());
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
        unit::enable(places, program)?;
        entry::disable(places)
    } else {
        entry::enable(places, program)?;
        unit::disable(places)
    }
}

fn turn_off_in(places: &Places) -> io::Result<()> {
    entry::disable(places)?;
    unit::disable(places)
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

#[cfg(test)]
mod tests;
