//! The XDG autostart entry: a desktop entry in `autostart/` of the person's or of the system's configuration.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Places, at, in_one_line, read, remove};
use crate::{identity, platform::files};

/// An entry that the desktop starts.
pub(super) struct Enabled {
    pub(super) path: PathBuf,
    /// The program, if the entry names it by its path.
    pub(super) program: Option<PathBuf>,
}

/// The entry that counts, if it is on: the person's own hides that of the system.
pub(super) fn enabled(places: &Places) -> io::Result<Option<Enabled>> {
    first_of([&places.own].into_iter().chain(&places.system))
}

/// Writes the person's own entry.
pub(super) fn enable(places: &Places, program: &Path) -> io::Result<()> {
    write(&own(places), &text(in_one_line(program)?))
}

/// Removes the person's own entry. One of the system's is hidden by one that says so.
pub(super) fn disable(places: &Places) -> io::Result<()> {
    if first_of(&places.system)?.is_some() {
        write(&own(places), "[Desktop Entry]\nType=Application\nName=Pushbell\nHidden=true\n")
    } else {
        remove(&own(places))
    }
}

fn own(places: &Places) -> PathBuf {
    path(&places.own)
}

fn path(directory: &Path) -> PathBuf {
    directory.join("autostart").join(format!("{}.desktop", identity::APP_ID))
}

fn first_of<'a>(directories: impl IntoIterator<Item = &'a PathBuf>) -> io::Result<Option<Enabled>> {
    for directory in directories {
        let path = path(directory);
        if let Some(text) = read(&path)? {
            let value = |key| value(&text, key);
            let is_off = value("Hidden") == Some("true") || value("X-GNOME-Autostart-enabled") == Some("false");
            let program =
                value("TryExec").map(|value| PathBuf::from(unescaped(value))).filter(|path| path.is_absolute());
            return Ok((!is_off).then_some(Enabled { path, program }));
        }
    }
    Ok(None)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), files::create_private_directory).map_err(at(path))?;
    files::replace_private(path, text.as_bytes()).map_err(at(path))
}

fn text(program: &str) -> String {
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
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
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
