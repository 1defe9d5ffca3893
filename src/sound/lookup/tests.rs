use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A home with `sounds/` and `theme/`, and the given files in it (those that end in a slash are directories).
fn home(files: &[&str], tweaks: &[(&str, &str)]) -> (TempDir, Places) {
    let home = TempDir::new().unwrap();
    for directory in ["sounds", "theme"] {
        fs::create_dir(home.path().join(directory)).unwrap();
    }
    for file in files {
        let path = home.path().join(file);
        if file.ends_with('/') { fs::create_dir_all(path).unwrap() } else { fs::write(path, "x").unwrap() }
    }
    let places = Places {
        tweaks: tweaks.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        directory: home.path().join("sounds"),
        themes: vec![home.path().join("theme")],
    };
    (home, places)
}

fn named(name: &str) -> SoundTweak {
    SoundTweak::Named(name.to_owned())
}

#[test]
fn the_first_place_that_has_the_name_decides() {
    fn check(files: &[&str], tweaks: &[(&str, &str)], name: &str, expected: &str) {
        let (home, places) = home(files, tweaks);
        let expected = match expected {
            "(default)" => Choice::Bundled(Bundled::Default),
            "(bing)" => Choice::Bundled(Bundled::Bing),
            "(ring)" => Choice::Bundled(Bundled::Ring),
            file => Choice::File(home.path().join(file)),
        };
        assert_eq!(places.choose(&named(name)), Some(expected), "{name:?} with {files:?} and {tweaks:?}");
    }
    check(&[], &[], "default", "(default)");
    check(&[], &[], "ring", "(ring)");
    check(&[], &[], "bing", "(bing)");
    check(&[], &[], "bing.wav", "(bing)");
    check(&[], &[], "bing.exe", "(default)");
    check(&[], &[], "no such sound", "(default)");
    check(&["sounds/pling"], &[], "pling", "sounds/pling");
    check(&["sounds/pling.mp3"], &[], "pling", "sounds/pling.mp3");
    check(&["sounds/pling.mp3", "sounds/pling.wav"], &[], "pling", "sounds/pling.wav");
    check(&["sounds/pling.ogg"], &[], "pling.ogg", "sounds/pling.ogg");
    check(&["sounds/pling.txt"], &[], "pling", "(default)");
    check(&["sounds/default.flac", "theme/default.oga"], &[], "default", "sounds/default.flac");
    check(&["theme/ring.oga"], &[], "ring", "(ring)");
    check(&["theme/bell.oga"], &[], "bell", "theme/bell.oga");
    check(&["theme/bell.oga", "sounds/bell.ogg"], &[], "bell", "sounds/bell.ogg");
    check(&["sounds/folder/"], &[], "folder", "sounds/folder");
    check(&["sounds/folder/", "sounds/folder.wav"], &[], "folder", "sounds/folder.wav");
    check(&["sounds/pling"], &[("pling", "ring")], "pling", "(ring)");
    check(&[], &[("bing.wav", "bing")], "bing.wav", "(bing)");
    check(&[], &[("a/b", "bing")], "a/b", "(bing)");
    check(&["sounds/mine.ogg"], &[("x", "mine")], "x", "sounds/mine.ogg");
    check(&["sounds/deep/", "sounds/deep/mine.ogg"], &[("x", "deep/mine.ogg")], "x", "sounds/deep/mine.ogg");
    check(&["sounds/x"], &[("x", "gone.wav")], "x", "(default)");
}

#[test]
fn a_path_in_the_table_is_taken_as_it_stands() {
    let whole = if cfg!(windows) { "C:/no/where.wav" } else { "/no/where.wav" };
    let (_home, places) = home(&[], &[("x", whole)]);
    assert_eq!(places.choose(&named("x")), Some(Choice::File(whole.into())));
}

#[test]
fn silence_plays_nothing_and_an_unusable_value_the_default() {
    let (_home, places) = home(&["sounds/default.wav"], &[]);
    assert_eq!(places.choose(&SoundTweak::Silent), None);
    assert_eq!(places.choose(&SoundTweak::Unusable), Some(Choice::Bundled(Bundled::Default)));
}

#[test]
fn a_value_from_a_push_is_never_a_path() {
    let (_home, places) = home(&["outside.wav", "sounds/inner/", "sounds/inner/x.wav"], &[]);
    let absolute = places.directory.join("inner/x.wav");
    let long = "x".repeat(4096);
    for name in [
        "",
        ".",
        "..",
        "../outside.wav",
        "../outside",
        "inner/x.wav",
        "inner/",
        "./inner",
        "/etc/passwd",
        "..\\outside.wav",
        "C:\\Windows\\Media\\ding.wav",
        "c:ding",
        "file:///etc/passwd",
        "inner\0",
        "a\nb",
        &long,
        absolute.to_str().unwrap(),
    ] {
        assert_eq!(places.choose(&named(name)), Some(Choice::Bundled(Bundled::Default)), "{name:?}");
    }
}

proptest! {
    #[test]
    fn whatever_a_push_names_stays_inside_the_sounds_directory(name in "[./\\\\a-c:\\x00]{0,12}|\\PC{0,300}") {
        let (home, places) = home(&["a", "b.wav", "sounds/a/", "sounds/a/b.wav", "sounds/c.wav"], &[]);
        match places.choose(&named(&name)) {
            Some(Choice::File(path)) => {
                let sounds = home.path().join("sounds");
                prop_assert_eq!((path.parent(), path.file_name().is_some()), (Some(sounds.as_path()), true));
            }
            Some(Choice::Bundled(_)) => {}
            None => prop_assert!(false, "a name is never silent"),
        }
    }
}
