//! The user's own sounds, stored under generated names after they were decoded.

use std::{fs, io, path::Path};

use super::{
    clip::{Clip, MAX_RING, Unplayable},
    lookup::Bundled,
};
use crate::platform::files;

/// Maximum size of a stored sound, in bytes.
pub(crate) const MAX_SIZE: usize = 2_000_000;
/// Maximum number of sounds.
const MAX_OWN: usize = 100;
/// Maximum length of a name without its number and extension.
const MAX_STEM: usize = 40;
/// Names of devices on Windows, whatever the extension.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Why a sound is not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotKept {
    /// It is too large.
    #[error("it is larger than {} MB", MAX_SIZE / 1_000_000)]
    TooLarge,
    /// It cannot be decoded.
    #[error(transparent)]
    Unplayable(#[from] Unplayable),
    /// There are too many.
    #[error("there are {MAX_OWN} sounds already: remove some from {0} first")]
    TooMany(String),
    /// It cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The names of the files in the sounds directory, without hidden ones.
pub(crate) fn list(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).take(MAX_OWN).collect();
    names.sort();
    names
}

/// Stores these bytes as a sound, and returns the name of the file. `called` is the name of the user's file.
///
/// # Errors
/// When it cannot be decoded or stored.
pub(crate) fn keep(directory: &Path, called: &str, bytes: &[u8]) -> Result<String, NotKept> {
    if bytes.len() > MAX_SIZE {
        return Err(NotKept::TooLarge);
    }
    Clip::from_bytes(bytes.to_vec(), MAX_RING)?;
    let extension = Clip::extension_of(bytes).ok_or(Unplayable::UnknownFormat)?;
    files::create_private_directory(directory)?;
    let there = list(directory);
    if there.len() >= MAX_OWN {
        return Err(NotKept::TooMany(directory.display().to_string()));
    }
    let name = free_name(&stem(called), extension, &there);
    files::replace_private(&directory.join(&name), bytes)?;
    Ok(name)
}

/// A name of lower-case letters, digits and hyphens, without any meaning to a file system.
fn stem(called: &str) -> String {
    let stem = called.rsplit_once('.').map_or(called, |(stem, _)| stem);
    let harmless = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    let stem: String = stem.chars().map(harmless).collect();
    let stem = stem.split_whitespace().collect::<Vec<_>>().join("-");
    let stem = stem.get(..MAX_STEM).unwrap_or(&stem).trim_end_matches('-');
    let is_taken = stem.is_empty() || DEVICES.contains(&stem) || Bundled::named(stem).is_some();
    if is_taken { format!("sound-{stem}").trim_end_matches('-').to_owned() } else { stem.to_owned() }
}

/// An unused name, with a number if necessary. It is unique without its extension, since sounds are also found without.
fn free_name(stem: &str, extension: &str, there: &[String]) -> String {
    let is_free = |stem: &str| there.iter().all(|name| name.rsplit_once('.').map_or(&**name, |(it, _)| it) != stem);
    let numbered = (2..).map(|number| format!("{stem}-{number}"));
    let free = std::iter::once(stem.to_owned()).chain(numbered).find(|stem| is_free(stem)).unwrap_or_default();
    format!("{free}.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_is_kept_under_a_name_made_here_once_it_is_one() {
        let home = tempfile::tempdir().unwrap();
        let sounds = home.path().join("sounds");
        let bing = || include_bytes!("../../assets/sounds/bing.ogg").to_vec();
        let kept = |called: &str| keep(&sounds, called, &bing()).unwrap();
        for (called, expected) in [
            ("Kitchen Bell.mp3", "kitchen-bell.ogg"),
            ("kitchen bell", "kitchen-bell-2.ogg"),
            ("../../.bashrc", "sound.ogg"),
            ("C:\\sounds\\..\\NUL.wav", "c-sounds-nul.ogg"),
            ("nul", "sound-nul.ogg"),
            ("default.ogg", "sound-default.ogg"),
            ("\u{202e}ünïcode\0", "n-code.ogg"),
            (&"long ".repeat(100), &format!("{}.ogg", "long-".repeat(8).trim_end_matches('-'))),
        ] {
            assert_eq!(kept(called), expected, "{called}");
            assert_eq!(fs::read(sounds.join(expected)).unwrap(), bing());
        }
        let before = list(&sounds);
        for (bytes, why) in [
            (b"#!/bin/sh\n".to_vec(), "it is no WAV"),
            (b"OggS and no more".to_vec(), "it cannot be decoded"),
            (Vec::new(), "there is no sound in it"),
            ([bing(), vec![0; MAX_SIZE]].concat(), "it is larger than 2 MB"),
        ] {
            let refused = keep(&sounds, "x", &bytes).unwrap_err().to_string();
            assert!(refused.starts_with(why), "{refused}");
        }
        assert_eq!(list(&sounds), before);
    }
}
