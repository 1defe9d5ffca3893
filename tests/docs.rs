//! Checks that the tests named by the documentation exist.
//!
//! `src/config/tests.rs` checks that the configuration in it is valid.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{fs, path::Path};

/// Whether packages install this file (`INSTALLED` in the Makefile).
fn is_installed(path: &Path) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_in = |directory: &str, ending: &str| {
        path.parent() == Some(&*root.join(directory)) && path.extension().is_some_and(|extension| extension == ending)
    };
    path.is_file() && (path == root.join("README.md") || is_in("docs", "md") || is_in("docs/images", "png"))
}

/// The documentation's files: path below the root, and content.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = fs::read_dir(root.join("docs")).expect("it is there").flatten();
    let names = names.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "md"));
    let names = names.filter_map(|entry| Some(format!("docs/{}", entry.file_name().to_str()?)));
    let names = names.chain(["README.md".to_owned()]);
    names.map(|name| (name.clone(), read(&name).expect("it can be read"))).collect()
}

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

/// Paths of tests between backquotes: `tests/file.rs::name`.
fn tests_in(text: &str) -> Vec<(&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.split_once(".rs::")).collect()
}

/// Whether this file contains this test.
fn exists(path: &str, name: &str) -> bool {
    let Some(source) = read(&format!("{path}.rs")) else { return false };
    let Some(at) = source.find(&format!("fn {name}(")) else { return false };
    // Its attributes are between the end of the previous item and its name.
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

#[test]
fn every_link_leads_to_something_that_is_installed_too() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (page, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let target = root.join(&page).parent().expect("it is in a directory").join(file);
            assert!(is_installed(&target), "{page}: {link}");
        }
    }
}

#[test]
fn every_make_target_that_is_named_exists() {
    let makefile = read("Makefile").expect("it is there");
    let exists = |target: &str| makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
    assert!(exists("run") && !exists("install-everything"));
    let mut named = 0;
    for (page, text) in pages() {
        let commands =
            text.split('`').flat_map(|piece| piece.lines()).filter_map(|line| line.trim().strip_prefix("make "));
        for target in commands.filter_map(|rest| rest.split_whitespace().next()) {
            let target = target.trim_end_matches(|c: char| !c.is_alphanumeric());
            // A line of prose may begin with the word.
            let is_command = text.contains(&format!("`make {target}")) || text.contains(&format!("\nmake {target} "));
            if is_command && !target.contains('=') {
                assert!(exists(target), "{page}: make {target}");
                named += 1;
            }
        }
    }
    assert!(named > 10, "only {named} are named");
}
