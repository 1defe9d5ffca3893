//! Checks whether the configured sounds can be played.

use std::{fs, path::Path};

use super::{
    clip::{Clip, MAX_RING},
    lookup::{self, Choice, Places},
};
use crate::config;

/// Maximum number of files in the user's directory that are checked.
const MAX_FILES: usize = 64;

/// The sounds that cannot be played, a sentence for each with the reason: entries of `[sound.tweaks]`, and with
/// `looks_around` also the files in the sounds directory. `default_directory` is used if the settings name none.
#[must_use]
pub(crate) fn faults(settings: &config::Sound, default_directory: &Path, looks_around: bool) -> Vec<String> {
    let directory = settings.directory.as_deref().unwrap_or(default_directory);
    let places = Places {
        tweaks: settings.tweaks.clone(),
        directory: directory.to_owned(),
        themes: lookup::theme_directories(),
    };
    let mut faults = Vec::new();
    if settings.directory.is_some() && !directory.is_dir() {
        faults.push(format!("sound.directory: there is no directory {}", directory.display()));
    }
    let fault =
        |path: &Path| Clip::from_file(path, MAX_RING).err().map(|reason| format!("{}: {reason}", path.display()));
    for (tweak, value) in &settings.tweaks {
        let fault = match places.entry(value) {
            Some(Choice::File(path)) => fault(&path),
            Some(Choice::Bundled(_)) => None,
            None => Some(format!("there is no sound {value:?} in {}", directory.display())),
        };
        faults.extend(fault.map(|fault| format!("sound.tweaks.{tweak:?}: {fault}")));
    }
    if looks_around {
        let mut files: Vec<_> = fs::read_dir(directory).into_iter().flatten().flatten().map(|it| it.path()).collect();
        files.sort();
        faults.extend(files.iter().take(MAX_FILES).filter(|path| path.is_file()).filter_map(|path| fault(path)));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_cannot_be_played_are_named_with_the_reason() {
        let home = tempfile::TempDir::new().unwrap();
        let path = |name: &str| home.path().join(name);
        fs::write(path("good.ogg"), include_bytes!("../../assets/sounds/bing.ogg")).unwrap();
        fs::write(path("talk.m4a"), b"\0\0\0\x20ftypM4A ").unwrap();
        fs::write(path("old.aiff"), b"FORM\0\0\0\x04AIFF").unwrap();
        fs::write(path("junk.mp3"), b"junk before\xff\xfb\x90\0").unwrap();
        let settings = |tweaks: &[(&str, String)], directory: Option<&str>| config::Sound {
            enabled: true,
            volume: 1.0,
            directory: directory.map(path),
            tweaks: tweaks.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        };
        let whole = |name: &str| path(name).display().to_string();
        let table = [
            ("a", "good".to_owned()),
            ("b", "bing".to_owned()),
            ("c", whole("talk.m4a")),
            ("d", whole("gone.wav")),
            ("e", "gone".to_owned()),
        ];
        let named = faults(&settings(&table, None), home.path(), false);
        let [format, gone, absent] = &named[..] else { panic!("{named:?}") };
        assert!(format.starts_with("sound.tweaks.\"c\": ") && format.contains("talk.m4a: it is no WAV"), "{format}");
        assert!(gone.contains("gone.wav: ") && gone.contains("(os error 2)"), "{gone}");
        assert!(absent.contains("there is no sound \"gone\" in "), "{absent}");
        let around = faults(&settings(&[], None), home.path(), true);
        let expected = ["junk.mp3", "old.aiff", "talk.m4a"];
        assert!(
            around.len() == 3 && around.iter().zip(expected).all(|(fault, name)| fault.contains(name)),
            "{around:?}"
        );
        let nowhere = faults(&settings(&[], Some("nowhere")), home.path(), true);
        assert!(nowhere.len() == 1 && nowhere[0].starts_with("sound.directory: there is no directory "), "{nowhere:?}");
    }
}
