//! The tests that the documentation names exist.
//!
//! That the configuration in it is good is tested by `src/config/tests.rs`.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{fs, path::Path};

const DOCUMENTS: [&str; 2] = ["docs/promises.md", "docs/hostile-input.md"];

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// The cells of the tables whose last column is headed "test", row by row.
fn rows(document: &str) -> Vec<Vec<&str>> {
    let mut rows = Vec::new();
    let mut names_tests = false;
    let mut before = "";
    for line in document.lines() {
        if line.starts_with("|---") {
            names_tests = before.to_lowercase().trim_end().ends_with("| test |");
        } else if names_tests && line.starts_with('|') && before.starts_with('|') {
            rows.push(line.trim_matches('|').split('|').map(str::trim).collect());
        }
        before = line;
    }
    rows
}

/// What stands between backquotes and is a path of a test: `tests/file.rs::name`.
fn tests_in(text: &str) -> Vec<(&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.split_once(".rs::")).collect()
}

/// Whether this file has this test.
fn exists(path: &str, name: &str) -> bool {
    let Some(source) = read(&format!("{path}.rs")) else { return false };
    let Some(at) = source.find(&format!("fn {name}(")) else { return false };
    // Its attributes are between the end of the item before and its name.
    let begin = source[..at].rfind(['}', ';', '{']).map_or(0, |end| end + 1);
    let attributes = &source[begin..at];
    attributes.contains("#[test]") || attributes.contains("#[tokio::test") || source[..at].contains("proptest! {")
}

#[test]
fn every_test_that_the_documentation_names_exists() {
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        let text = read(document).expect("the document is there");
        for (path, name) in tests_in(&text) {
            if !exists(path, name) {
                missing.push(format!("{document}: {path}.rs::{name}"));
            }
        }
    }
    assert!(missing.is_empty(), "no such tests:\n{}", missing.join("\n"));
}

#[test]
fn every_promise_names_a_test() {
    for document in DOCUMENTS {
        let text = read(document).expect("the document is there");
        let rows = rows(&text);
        assert!(rows.len() > 10, "{document} has only {} rows", rows.len());
        for row in rows {
            let last = row.last().expect("a row has cells");
            let is_checked_elsewhere = last.contains("`make ");
            assert!(is_checked_elsewhere || !tests_in(last).is_empty(), "{document}: no test in {row:?}");
        }
    }
}
