//! Checks the rules of the architecture by reading the sources as text. `docs/architecture.md` gives the reasons.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Modules, each with the modules that it uses.
type Graph = BTreeMap<String, BTreeSet<String>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("the directory is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// For every file, its path below `src/` and its program code (without comments and tests).
fn sources() -> Vec<(String, String)> {
    let directory = root().join("src");
    let source = |file: PathBuf| {
        let path = file.strip_prefix(&directory).expect("it is in there").display().to_string().replace('\\', "/");
        let is_test = path.ends_with("tests.rs") || path.contains("/tests/");
        let text = fs::read_to_string(&file).expect("sources are text");
        (path, if is_test { String::new() } else { program(&text) })
    };
    files(&directory).into_iter().map(source).collect()
}

/// The code without comments and without items that are `#[cfg(test)]`, with line numbers unchanged. An item ends with
/// its statement, or with the first closing brace at its own indentation, as rustfmt writes it.
fn program(text: &str) -> String {
    let mut kept = String::new();
    let mut end_of_test = None;
    for line in text.lines() {
        let indentation = &line[..line.len() - line.trim_start().len()];
        match &end_of_test {
            None if line.trim() == "#[cfg(test)]" => end_of_test = Some(format!("{indentation}}}")),
            None => {
                let comment = line.match_indices("//").find(|(at, _)| line[..*at].matches('"').count() % 2 == 0);
                kept.push_str(&line[..comment.map_or(line.len(), |(at, _)| at)]);
            }
            Some(end) => {
                let is_statement = line.trim_end().ends_with(';') && end.len() == indentation.len() + 1;
                if line == end || is_statement {
                    end_of_test = None;
                }
            }
        }
        kept.push('\n');
    }
    kept
}

/// The first name of each path that follows the prefix: `a` and `b` of `crate::{a::C, b}`.
fn names_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let name = |path: &str| {
        let path = path.trim_start();
        path[..path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len())].to_owned()
    };
    let mut names = BTreeSet::new();
    for after in code.split(prefix).skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            names.insert(name(after));
            continue;
        };
        let mut depth = 0;
        let mut start = 0;
        for (at, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    names.insert(name(&group[start..at]));
                    start = at + 1;
                    if character == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    // Left by the trailing comma of a group.
    names.remove("");
    names
}

/// The modules of a directory (below `src/`, with a slash at the end unless empty) and which of them each uses.
fn graph(directory: &str, prefixes: &[&str]) -> Graph {
    let mut graph = Graph::new();
    for (path, code) in sources() {
        let Some(path) = path.strip_prefix(directory) else { continue };
        let part = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
        // In a nested directory, `super` is the module of that directory.
        let is_nested = !directory.is_empty() && path.contains('/');
        let prefixes = prefixes.iter().filter(|prefix| !is_nested || **prefix != "super::");
        graph.entry(part.to_owned()).or_default().extend(prefixes.flat_map(|prefix| names_after(&code, prefix)));
    }
    graph.retain(|part, _| !["lib", "main", "mod"].contains(&part.as_str()));
    let parts: BTreeSet<_> = graph.keys().cloned().collect();
    for (part, used) in &mut graph {
        used.retain(|other| other != part && parts.contains(other));
    }
    graph
}

/// What remains after repeatedly removing the modules that use nothing: cycles and their users.
fn rings(mut graph: Graph) -> Graph {
    while let Some(part) = graph.iter().find(|(_, used)| used.is_empty()).map(|(part, _)| part.clone()) {
        graph.remove(&part);
        for used in graph.values_mut() {
            used.remove(&part);
        }
    }
    graph
}

#[test]
fn no_modules_use_each_other_in_a_ring() {
    let modules = graph("", &["crate::"]);
    assert!(modules.len() > 20 && modules["app"].contains("controller"), "{modules:#?}");
    assert_eq!(rings(modules), Graph::new());
}

#[test]
fn no_files_of_push_or_inbox_use_each_other_in_a_ring() {
    assert_eq!(rings(graph("push/", &["super::", "crate::push::"])), Graph::new());
    assert_eq!(rings(graph("inbox/", &["super::", "crate::inbox::"])), Graph::new());
}

#[test]
fn the_sources_are_understood() {
    let code = "use crate::{\n    a::{self, B},\n    c, d::e::F,\n}; // crate::x\nlet y = \"//\"; crate::g::h();\n\
                #[cfg(test)]\nmod tests {\n    use crate::z;\n}\n#[cfg(test)]\nmod other;\ncrate::i";
    let names = names_after(&program(code), "crate::");
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "c", "d", "g", "i"]);
    let ring = [("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["b"]), ("d", Vec::new())];
    let graph = ring.map(|(part, used)| (part.to_owned(), used.into_iter().map(str::to_owned).collect()));
    assert_eq!(rings(graph.into_iter().collect()).into_keys().collect::<Vec<_>>(), ["a", "b", "c"]);
}

/// Fails, listing every line of the chosen files that contains one of the words.
#[track_caller]
fn forbid(rule: &str, concerned: impl Fn(&str) -> bool, words: &[&str]) {
    let mut broken = Vec::new();
    for (path, code) in sources().iter().filter(|(path, _)| concerned(path)) {
        for (number, line) in (1..).zip(code.lines()) {
            broken.extend(
                words.iter().filter(|word| line.contains(**word)).map(|word| format!("{path}:{number}: {word}")),
            );
        }
    }
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

fn within(module: &str) -> impl Fn(&str) -> bool {
    move |path| path.starts_with(&format!("{module}/")) || path == format!("{module}.rs")
}

#[test]
fn only_platform_names_the_operating_system() {
    let conditions =
        ["target_os", "target_family", "(unix", "(windows", " unix,", " windows,", "os::unix", "os::windows"];
    let libraries = ["libc::", "rustix::", "inotify::", "zbus::", "windows_sys::", "objc2", "dispatch2::", "linux::"];
    let words = [&conditions[..], &libraries[..]].concat();
    forbid("what differs between systems belongs into src/platform", |path| !within("platform")(path), &words);
}

#[test]
fn only_platform_is_unsafe_and_says_why() {
    forbid("unsafe code belongs into src/platform", |path| !within("platform")(path), &["unsafe ", "unsafe_code"]);
    for (path, code) in sources() {
        let exceptions = code.split("expect(unsafe_code").skip(1);
        let reasons =
            exceptions.filter(|exception| exception.split(']').next().is_some_and(|it| it.contains("reason = \"")));
        assert!(
            reasons.count() > 0 || !code.contains("unsafe {"),
            "{path}: #[expect(unsafe_code, reason = …)] is missing"
        );
        assert!(!code.contains("allow(unsafe_code"), "{path}: expect it instead");
    }
    let manifest: toml::Table = read("Cargo.toml");
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("deny"));
}

/// Sentences and labels begin with a capital letter; what else stands in quotes in these modules does not.
#[test]
fn what_popups_and_the_tray_say_is_in_present_words() {
    let is_concerned = |path: &str| {
        within("present")(path) && !path.starts_with("present/words/")
            || within("controller")(path)
            || path == "desktop/tray_view.rs"
    };
    for (path, code) in sources().iter().filter(|(path, _)| is_concerned(path)) {
        for (number, line) in (1..).zip(code.lines()) {
            let is_sentence = |text: &str| {
                text.starts_with(|c: char| c.is_uppercase()) && text.chars().nth(1).is_some_and(char::is_lowercase)
            };
            let quoted = line.split('"').skip(1).step_by(2);
            let found: Vec<_> = quoted.filter(|text| is_sentence(text)).collect();
            assert!(found.is_empty(), "{path}:{number}: {found:?} belongs into present/words");
        }
    }
}

#[test]
fn pushkeys_are_compared_in_constant_time() {
    forbid(
        "a pushkey from a push is compared in constant time, in accounts::admit",
        |path| ["accounts", "http", "intake"].iter().any(|m| within(m)(path)),
        &["pushkey ==", "pushkey !=", "pushkey.eq(", "== device.pushkey", "== &device.pushkey", "pushkey.cmp("],
    );
    let admit = sources().into_iter().find(|(path, _)| path == "accounts/admit.rs").expect("it is there").1;
    assert!(admit.contains(".ct_eq("), "accounts are found by a comparison in constant time");
}

#[test]
fn what_computes_asks_the_world_for_nothing() {
    let clock = ["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now"];
    let world =
        ["std::fs", "std::env", "std::process", "std::thread", "std::io", "tokio", "getrandom", "rusqlite", "Tcp"];
    let words = [&clock[..], &world[..], &["tracing::"]].concat();
    for module in ["push", "present", "desktop/tray_view", "notice", "app_info", "address"] {
        forbid("this computes from its arguments alone", within(module), &words);
    }
    forbid("bytes come in, whoever brings them", within("intake"), &["hyper", "tokio::net", "std::net"]);
    forbid("push knows nothing of what is made of it", within("push"), &["crate::desktop", "crate::inbox"]);
}

#[test]
fn nothing_else_prints() {
    forbid(
        "only the command line, a first start and the log write to the terminal",
        |path| !within("cli")(path) && !["app/mod.rs", "logging.rs"].contains(&path),
        &["println!", "print!(", "dbg!(", "io::stdout", "io::stderr"],
    );
}

fn read(file: &str) -> toml::Table {
    fs::read_to_string(root().join(file)).expect("it is there").parse().expect("it is TOML")
}

#[test]
fn dependencies_are_what_was_decided() {
    let lock = read("Cargo.lock");
    let field = |package: &toml::Value, name: &str| package.get(name).and_then(toml::Value::as_str).map(str::to_owned);
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock["package"].as_array().expect("it lists packages") {
        let name = field(package, "name").expect("a package has a name");
        let source = field(package, "source").unwrap_or_default();
        assert!(source.starts_with("registry+") || name == "pushbell", "{name}: {source}");
        let is_gtk = ["gtk", "gdk", "glib", "gio", "pango", "cairo", "atk", "libappindicator", "libxdo"]
            .iter()
            .any(|prefix| name == *prefix || name.starts_with(&format!("{prefix}-")) || name == format!("{prefix}4"));
        assert!(!is_gtk, "{name}: the tray on Linux works without GTK");
        versions.entry(name).or_default().push(field(package, "version").unwrap_or_default());
    }
    for name in ["zbus", "zvariant", "tokio", "hyper", "rusqlite", "rustix"] {
        assert_eq!(versions[name].len(), 1, "{name}: {:?}", versions[name]);
    }
    // From 1.7.0 on, `blocking` (used by the tray's library) wakes an idle process every 500 ms.
    assert_eq!(versions["blocking"], ["1.6.2"], "cargo update -p blocking --precise 1.6.2");
}
