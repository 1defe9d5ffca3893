//! Which sound a tweak means: the configuration's table, the user's directory, the bundled sounds, the desktop's
//! sound theme, in this order. The first that has the name decides; whether it can be played is found out later.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Component, Path, PathBuf},
};

use crate::push::notify::SoundTweak;

/// Extensions that are tried in a sounds directory.
const EXTENSIONS: [&str; 6] = ["wav", "ogg", "flac", "mp3", "opus", "oga"];
/// The extensions of the freedesktop sound theme specification, as far as they can be decoded.
const THEME_EXTENSIONS: [&str; 3] = ["oga", "ogg", "wav"];
/// Maximum length of a file name on common file systems.
const MAX_NAME_LENGTH: usize = 255;

/// A sound that was made for Pushbell and is compiled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bundled {
    /// A short two-note chime, for `default` and for whatever cannot be played.
    Default,
    /// A bell.
    Bing,
    /// A phrase with a rest at its end, to be repeated.
    Ring,
}

impl Bundled {
    const NAMED: [(&str, Self); 3] = [("default", Self::Default), ("bing", Self::Bing), ("ring", Self::Ring)];

    /// The names of all.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMED.iter().map(|(name, _)| *name)
    }

    /// The bundled sound of this name, with or without the extension of a sound file.
    pub(super) fn named(name: &str) -> Option<Self> {
        let stem = match name.rsplit_once('.') {
            Some((stem, extension)) if EXTENSIONS.contains(&extension) => stem,
            Some(_) | None => name,
        };
        Self::NAMED.iter().find(|(known, _)| *known == stem).map(|(_, sound)| *sound)
    }

    /// The encoded sound (Ogg Vorbis).
    pub(super) fn bytes(self) -> &'static [u8] {
        match self {
            Self::Default => include_bytes!("../../assets/sounds/default.ogg"),
            Self::Bing => include_bytes!("../../assets/sounds/bing.ogg"),
            Self::Ring => include_bytes!("../../assets/sounds/ring.ogg"),
        }
    }
}

/// The source of a sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// A path, which is not necessarily a sound file.
    File(PathBuf),
    /// A bundled sound.
    Bundled(Bundled),
}

/// Where sounds are looked for.
#[derive(Debug, Clone)]
pub struct Places {
    /// `[sound.tweaks]`: a bundled name or a file; a relative path belongs to `directory`.
    pub tweaks: BTreeMap<String, String>,
    /// The user's own sounds.
    pub directory: PathBuf,
    /// The directories of the desktop's sound theme ([`theme_directories`]).
    pub themes: Vec<PathBuf>,
}

impl Places {
    /// What to play for this tweak; `None` for silence.
    #[must_use]
    pub fn choose(&self, sound: &SoundTweak) -> Option<Choice> {
        match sound {
            SoundTweak::Silent => None,
            SoundTweak::Unusable => Some(Choice::Bundled(Bundled::Default)),
            SoundTweak::Named(name) => Some(self.find(name).unwrap_or(Choice::Bundled(Bundled::Default))),
        }
    }

    fn find(&self, name: &str) -> Option<Choice> {
        if let Some(value) = self.tweaks.get(name) {
            return self.entry(value);
        }
        if !is_file_name(name) {
            return None;
        }
        find_in(&self.directory, name, &EXTENSIONS)
            .map(Choice::File)
            .or_else(|| Bundled::named(name).map(Choice::Bundled))
            .or_else(|| self.themes.iter().find_map(|theme| find_in(theme, name, &THEME_EXTENSIONS)).map(Choice::File))
    }

    /// What a value of the table means.
    pub(super) fn entry(&self, value: &str) -> Option<Choice> {
        if let Some(bundled) = Bundled::named(value) {
            return Some(Choice::Bundled(bundled));
        }
        let path = PathBuf::from(value);
        if path.is_absolute() {
            Some(Choice::File(path))
        } else {
            find_in(&self.directory, value, &EXTENSIONS).map(Choice::File)
        }
    }
}

/// Whether a name from a push can only denote an entry of the directory in which it is looked up.
fn is_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let single =
        matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name);
    single && name.len() <= MAX_NAME_LENGTH && !name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\' | ':'))
}

/// The entry `name`, else `name` with one of the extensions. A file with an extension has precedence over a directory.
fn find_in(directory: &Path, name: &str, extensions: &[&str]) -> Option<PathBuf> {
    let with_extension = extensions.iter().map(|extension| directory.join(format!("{name}.{extension}")));
    let mut found_directory = None;
    for path in std::iter::once(directory.join(name)).chain(with_extension) {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => _ = found_directory.get_or_insert(path),
            Err(error) if is_absence(error.kind()) => {}
            Ok(_) | Err(_) => return Some(path),
        }
    }
    found_directory
}

fn is_absence(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind;
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename)
}

/// The directories of the freedesktop sound theme, which every desktop that has sound themes falls back to.
#[must_use]
pub fn theme_directories() -> Vec<PathBuf> {
    let user = directories::BaseDirs::new().map(|base| base.data_dir().to_owned());
    let system = env::var_os("XDG_DATA_DIRS").filter(|value| !value.is_empty());
    let system = system.unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    let system = env::split_paths(&system).filter(|path| path.is_absolute()).collect::<Vec<_>>();
    user.into_iter().chain(system).map(|root| root.join("sounds/freedesktop/stereo")).collect()
}

#[cfg(test)]
mod tests;
