//! Regression tests for what fuzzing has found.

use std::{fs, path::Path};

use crate::checks;

/// Runs every input below `fuzz/regressions/TARGET` and the seeds of the fuzz corpus.
fn replay(target: &str, check: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut inputs = 0;
    for directory in ["regressions", "seeds"] {
        // A target without findings has no directory.
        for entry in fs::read_dir(fuzz.join(directory).join(target)).into_iter().flatten() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            check(&fs::read(path).unwrap());
            inputs += 1;
        }
    }
    assert!(inputs > 0, "{target} has inputs");
}

#[test]
fn bodies_that_fuzzing_found_are_harmless() {
    replay("body", checks::body);
}

#[test]
fn configurations_that_fuzzing_found_are_harmless() {
    replay("config", checks::config);
}

#[test]
fn sound_names_that_fuzzing_found_are_harmless() {
    replay("sound", checks::sound);
}

#[test]
fn texts_that_fuzzing_found_are_harmless() {
    replay("text", checks::text);
}
