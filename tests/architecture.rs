//! The rules of the architecture, as tests: which module may use what, and what may become part of the program.
//!
//! They read the sources as text, comments removed. `src/lib.rs` says why the rules are what they are.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// One file: its path in the repository, its text without comments, and that without tests.
struct Source {
    path: String,
    code: String,
    program: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("the directory is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The program's sources below `src/`.
fn sources() -> &'static [Source] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(read_sources);
    &SOURCES
}

fn read_sources() -> Vec<Source> {
    let source = |file: PathBuf| {
        let path = file.strip_prefix(root()).expect("it is in the repository").display().to_string().replace('\\', "/");
        let code = without_comments(&fs::read_to_string(&file).expect("sources are text"));
        let only_tests = path.ends_with("/tests.rs") || path.contains("/tests/");
        let program = if only_tests { String::new() } else { without_tests(&code) };
        Source { path, code, program }
    };
    files(&root().join("src"), "rs").into_iter().map(source).collect()
}

/// The text with comments replaced by nothing; strings and lines stay.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").map_or(rest.len(), |end| end + 2);
            code.extend(rest[..end].matches('\n'));
            rest = &rest[end..];
        } else {
            let length = match next {
                'r' if !code.ends_with(|before: char| before.is_alphanumeric() || before == '_') => raw_string(rest),
                '"' => string(rest),
                '\'' => character(rest),
                _ => None,
            };
            let (kept, after) = rest.split_at(length.unwrap_or(next.len_utf8()));
            code.push_str(kept);
            rest = after;
        }
    }
    code
}

/// The length of the string literal that the text begins with.
fn string(text: &str) -> Option<usize> {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, next)| {
        let ends = *next == '"' && !escaped;
        escaped = *next == '\\' && !escaped;
        ends
    })?;
    Some(end.0 + 1)
}

/// The length of the raw string literal that the text begins with, if it does.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].chars().take_while(|next| *next == '#').count();
    let body = text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(2 + hashes + body.find(&end)? + end.len())
}

/// The length of the character literal that the text begins with, if it is one and no lifetime.
fn character(text: &str) -> Option<usize> {
    let end = if text[1..].starts_with('\\') { 2 + text[2..].char_indices().nth(1)?.0 } else { 1 };
    let end = end + text[end..].find('\'')?;
    (end <= 12 && text[1..end].chars().count() == 1 || text[1..].starts_with('\\')).then_some(end + 1)
}

/// The code without items that are `#[cfg(test)]`; lines stay. They end at a `;`, or at the first line that closes a
/// brace at the item's own indentation, as the formatter writes it.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some((before, item)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let indentation = &before[before.rfind('\n').map_or(0, |line| line + 1)..];
        let semicolon = item.find(';').map_or(item.len(), |end| end + 1);
        let brace = item.find('{').unwrap_or(item.len());
        let closed = format!("\n{indentation}}}");
        let end =
            if semicolon < brace { semicolon } else { item.find(&closed).map_or(item.len(), |end| end + closed.len()) };
        kept.extend(item[..end].matches('\n'));
        rest = &item[end..];
    }
    kept + rest
}

/// Fails with every line of the given sources' code that contains one of the words, tests left out.
#[track_caller]
fn forbid(rule: &str, concerned: impl Fn(&str) -> bool, words: &[&str]) {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| concerned(&source.path)) {
        for (line, text) in source.program.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| text.contains(**word)) {
                broken.push(format!("{}:{}: {word}", source.path, line + 1));
            }
        }
    }
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

fn within(module: &'static str) -> impl Fn(&str) -> bool {
    move |path| path.starts_with(&format!("src/{module}/")) || path == format!("src/{module}.rs")
}

#[test]
fn comments_are_found_and_strings_are_left_alone() {
    let check = |text: &str, expected: &str| assert_eq!(without_comments(text), expected, "{text}");
    check("a // b\nc", "a \nc");
    check("a /* b\nb */ c", "a \n c");
    check(r#"let a = "http://b"; // c"#, r#"let a = "http://b"; "#);
    check(r#"let a = "\"//"; // c"#, r#"let a = "\"//"; "#);
    check(r##"let a = r#"" // "#; // c"##, r##"let a = r#"" // "#; "##);
    check("let a = '\"'; // b", "let a = '\"'; ");
    check(r"let a = '\''; // b", r"let a = '\''; ");
    check("fn a<'b>(c: &'b str) {} // d \"", "fn a<'b>(c: &'b str) {} ");
}

#[test]
fn only_platform_names_the_operating_system() {
    forbid(
        "code that differs between operating systems belongs into src/platform",
        |path| !within("platform")(path),
        &[
            "target_os",
            "target_family",
            "cfg(unix)",
            "cfg(windows)",
            "cfg(not(unix))",
            "cfg(not(windows))",
            "cfg(any(unix",
            "cfg(any(windows",
            "cfg(all(unix",
            "cfg(all(windows",
            "cfg!(unix",
            "cfg!(windows",
            "std::os::",
            "os::unix",
            "os::windows",
            "libc::",
            "rustix::",
            "zbus::",
            "windows_sys::",
            "objc2",
            "dispatch2::",
            "linux::",
        ],
    );
}

#[test]
fn only_platform_is_unsafe_and_says_why() {
    forbid("unsafe code belongs into src/platform", |path| !within("platform")(path), &["unsafe ", "unsafe_code"]);
    for source in sources() {
        let (uses, reasons) =
            (source.code.matches("unsafe {").count(), source.code.matches("expect(unsafe_code").count());
        assert!(uses == 0 || reasons > 0, "{}: #[expect(unsafe_code, reason = …)] is missing", source.path);
        assert!(!source.code.contains("allow(unsafe_code"), "{}: expect it instead", source.path);
    }
}

#[test]
fn the_compiler_denies_unsafe_code_and_exceptions_say_why() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml"))
        .expect("Cargo.toml is there")
        .parse()
        .expect("Cargo.toml is TOML");
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("deny"));
    for source in sources() {
        for exception in source.code.split("expect(unsafe_code").skip(1) {
            let attribute = exception.split(']').next().unwrap_or_default();
            assert!(attribute.contains("reason = \""), "{}: its reason is missing", source.path);
        }
    }
    let elsewhere = ["tests", "examples", "fuzz/targets"].map(|name| root().join(name));
    for path in elsewhere.iter().filter(|path| path.exists()).flat_map(|path| files(path, "rs")) {
        let code = without_comments(&fs::read_to_string(&path).expect("sources are text"));
        assert!(path.ends_with("architecture.rs") || !code.contains("unsafe"), "{}", path.display());
    }
}

#[test]
fn pushkeys_are_compared_in_constant_time() {
    // `admit` decides; the file's own check, which compares what a person wrote, decides nothing for a stranger.
    forbid(
        "a pushkey from a push is compared as accounts::secret::ComparableKey",
        |path| within("accounts")(path) && path != "src/accounts/validate.rs" || within("http")(path),
        &["pushkey ==", "pushkey !=", "pushkey.eq(", "== device.pushkey", "== &device.pushkey", "pushkey.cmp("],
    );
    let admit = sources().iter().find(|source| source.path == "src/accounts/admit.rs").expect("it is there");
    assert!(admit.program.contains(".ct_eq("), "accounts are found by a comparison in constant time");
}

/// Whatever asks the world for something: files, network, time, randomness, the environment, other threads.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::io",
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "tokio",
    "getrandom",
    "hyper",
    "rusqlite",
    "tracing::",
];

#[test]
fn push_is_pure() {
    forbid("src/push computes from its arguments alone", within("push"), IMPURE);
}

#[test]
fn values_of_the_desktop_are_pure() {
    for module in ["present", "desktop/tray_view", "notice", "identity"] {
        forbid("these are plain values", within(module), IMPURE);
    }
    // Addresses are in std::net, too.
    let impure: Vec<_> =
        IMPURE.iter().filter(|word| **word != "std::net").chain(&["Tcp", "Udp", "ToSocketAddrs"]).collect();
    forbid(
        "this computes from its arguments alone",
        within("address"),
        &impure.into_iter().copied().collect::<Vec<_>>(),
    );
}

#[test]
fn modules_use_each_other_in_one_direction() {
    // Who may not use whom. The pure half knows nothing of the parts that act; the parts know nothing of their owner.
    let rules: &[(&str, &[&str])] = &[
        ("push", &["app", "cli", "control", "controller", "http", "inbox", "platform", "accounts", "config"]),
        (
            "notice",
            &["app", "cli", "control", "controller", "http", "inbox", "platform", "accounts", "config", "desktop"],
        ),
        (
            "identity",
            &["app", "cli", "control", "controller", "http", "inbox", "platform", "accounts", "config", "desktop"],
        ),
        (
            "address",
            &["app", "cli", "control", "controller", "http", "inbox", "platform", "accounts", "config", "desktop"],
        ),
        ("control", &["app", "cli", "controller", "http", "inbox", "accounts", "config", "doctor", "homeserver"]),
        ("inbox", &["app", "cli", "control", "controller", "http", "desktop", "config"]),
        ("accounts", &["app", "cli", "control", "controller", "http", "desktop"]),
        ("config", &["app", "cli", "control", "controller", "http", "inbox", "accounts"]),
        ("http", &["app", "cli", "control", "controller", "desktop", "platform"]),
        (
            "homeserver",
            &[
                "app",
                "cli",
                "control",
                "controller",
                "http",
                "desktop",
                "inbox",
                "accounts",
                "config",
                "platform",
                "secrets",
            ],
        ),
        ("secrets", &["app", "cli", "control", "controller", "http", "desktop", "inbox", "config"]),
        ("session", &["app", "cli", "control", "controller", "http", "desktop", "inbox", "config"]),
        (
            "whereabouts",
            &["app", "cli", "control", "controller", "http", "desktop", "inbox", "accounts", "config", "secrets"],
        ),
        ("doctor", &["app", "cli", "controller"]),
        ("desktop", &["app", "cli", "control", "controller", "http", "inbox", "accounts"]),
        ("controller", &["app", "cli", "http", "platform"]),
        ("platform", &["app", "cli", "controller", "http", "inbox", "accounts"]),
    ];
    for (module, forbidden) in rules {
        for other in *forbidden {
            let words = [format!("crate::{other}::"), format!("crate::{other};"), format!("crate::{other},")];
            forbid(
                &format!("src/{module} does not use src/{other}"),
                |path| within(module)(path),
                &words.each_ref().map(String::as_str),
            );
            for source in sources().iter().filter(|source| within(module)(&source.path)) {
                assert!(
                    !crate_imports(&source.program).iter().any(|import| import == other),
                    "{}: src/{module} does not use src/{other}",
                    source.path
                );
            }
        }
    }
}

#[test]
fn only_commands_ask_the_doctor() {
    let rest = |path: &str| !within("doctor")(path) && !within("cli")(path);
    forbid("a running program has no use for the doctor", rest, &["crate::doctor", "    doctor::", "{doctor::"]);
}

#[test]
fn tests_within_a_file_are_left_out() {
    let check = |code: &str, expected: &str| assert_eq!(without_tests(code), expected, "{code}");
    check("a;\n#[cfg(test)]\nmod tests;\nb;", "a;\n\n\nb;");
    check("a;\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nc;", "a;\n\n\n\n\n\nc;");
    check("impl A {\n    #[cfg(test)]\n    fn b() {\n    }\n    fn c() {}\n}", "impl A {\n    \n\n\n    fn c() {}\n}");
}

/// The modules named first in `use crate::{…}`.
fn crate_imports(code: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for list in code.split("use crate::{").skip(1) {
        let mut depth = 1;
        let mut word = String::new();
        let mut at_start = true;
        for next in list.chars() {
            match next {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 1 && (next.is_alphanumeric() || next == '_') && at_start {
                word.push(next);
            } else if !word.is_empty() {
                modules.push(std::mem::take(&mut word));
                at_start = false;
            }
            if depth == 1 && next == ',' {
                at_start = true;
            }
            if depth == 0 {
                break;
            }
        }
    }
    modules
}

#[test]
fn imports_are_found() {
    let code =
        "use crate::{\n    config::{self, OpenWith},\n    notice, push::notify::SoundTweak,\n};\nuse crate::{inbox};";
    assert_eq!(crate_imports(code), ["config", "notice", "push", "inbox"]);
}

#[test]
fn nothing_else_prints() {
    forbid(
        "only the command line, a first start and the log write to the terminal",
        |path| !within("cli")(path) && !["src/app/mod.rs", "src/logging.rs"].contains(&path),
        &["println!", "eprintln!", "print!(", "eprint!(", "dbg!(", "io::stdout", "io::stderr"],
    );
}

#[test]
fn files_are_short_enough_to_read() {
    let rust = ["src", "tests", "examples"].map(|name| root().join(name));
    for path in rust.iter().filter(|path| path.exists()).flat_map(|path| files(path, "rs")) {
        let lines = fs::read_to_string(&path).expect("sources are text").lines().count();
        assert!(lines < 600, "{}: {lines} lines; split it by topic", path.display());
    }
}

#[test]
fn migrations_are_numbered_without_a_gap() {
    let mut numbers = files(&root().join("src/inbox/migrations"), "sql")
        .iter()
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let digits = name.chars().take_while(char::is_ascii_digit).collect::<String>();
            digits.parse::<u32>().unwrap_or_else(|_| panic!("{}: its name begins with its number", path.display()))
        })
        .collect::<Vec<_>>();
    numbers.sort_unstable();
    assert!(!numbers.is_empty(), "the inbox has migrations");
    let expected = (numbers[0]..).take(numbers.len()).collect::<Vec<_>>();
    assert!(numbers[0] <= 1 && numbers == expected, "{numbers:?}");
}

/// Name, version and source of every package that `Cargo.lock` names.
fn locked() -> Vec<(String, String, Option<String>)> {
    let text = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is kept");
    let lock: toml::Table = text.parse().expect("Cargo.lock is TOML");
    let packages = lock["package"].as_array().expect("it lists packages");
    let field = |package: &toml::Value, name: &str| package.get(name).and_then(toml::Value::as_str).map(str::to_owned);
    packages
        .iter()
        .map(|package| {
            let name = field(package, "name").expect("a package has a name");
            (name, field(package, "version").expect("a package has a version"), field(package, "source"))
        })
        .collect()
}

fn versions(name: &str) -> Vec<String> {
    locked().into_iter().filter(|(other, ..)| other == name).map(|(_, version, _)| version).collect()
}

#[test]
fn dependencies_come_from_one_registry() {
    let sources: BTreeSet<_> =
        locked().into_iter().filter(|(name, ..)| name != "pushbell").map(|(_, _, source)| source).collect();
    let source = sources.first().cloned().flatten().unwrap_or_default();
    assert!(sources.len() == 1 && source.starts_with("registry+"), "{sources:?}");
}

#[test]
fn there_is_one_zbus_and_one_tokio() {
    for name in ["zbus", "zvariant", "tokio", "hyper", "rusqlite", "rustix"] {
        assert_eq!(versions(name).len(), 1, "{name}: {:?}", versions(name));
    }
}

#[test]
fn nothing_wakes_an_idle_program() {
    // `blocking` (in the tray's library) wakes every 500 ms from 1.7.0 on.
    assert_eq!(versions("blocking"), ["1.6.2"], "cargo update -p blocking --precise 1.6.2");
}

#[test]
fn there_is_no_gtk() {
    for (name, ..) in locked() {
        let gtk = ["gtk", "gdk", "glib", "gio", "pango", "cairo", "atk", "libappindicator", "libxdo"]
            .iter()
            .any(|prefix| name == *prefix || name.starts_with(&format!("{prefix}-")) || name == format!("{prefix}4"));
        assert!(!gtk, "{name}: the tray on Linux works without GTK");
    }
}
