//! The shell command of this program, and the place of its documentation.

use std::{
    env, fs,
    path::{MAIN_SEPARATOR, Path, PathBuf},
    sync::LazyLock,
};

/// The shell command that starts this program: `pushbell` where the shell finds it by that name, else its path.
pub(crate) fn command() -> &'static str {
    static COMMAND: LazyLock<String> = LazyLock::new(|| match env::current_exe() {
        Ok(program) => command_for(&program, &env::var_os("PATH").unwrap_or_default()),
        Err(_) => NAME.to_owned(),
    });
    &COMMAND
}

/// Replaces the program's name in commands such as "`pushbell login`" by [`command`].
pub(crate) fn with_command(text: &str) -> String {
    text.replace("`pushbell", &format!("`{}", command()))
}

/// The path of a page of the documentation, if it was installed or built with this program; else its name.
pub(crate) fn documentation(page: &str) -> String {
    let found = env::current_exe().ok().and_then(|program| page_beside(&program, page));
    found.map_or_else(|| format!("docs/{page} of Pushbell's documentation"), |path| path.display().to_string())
}

const NAME: &str = "pushbell";

fn command_for(program: &Path, path: &std::ffi::OsStr) -> String {
    let file = format!("{NAME}{}", env::consts::EXE_SUFFIX);
    // The shell runs the first one found.
    let found = env::split_paths(path).map(|directory| directory.join(&file)).find(|file| file.is_file());
    let same = |found: PathBuf| fs::canonicalize(found).ok().zip(fs::canonicalize(program).ok());
    if found.and_then(same).is_some_and(|(found, program)| found == program) {
        return NAME.to_owned();
    }
    let text = program.display().to_string();
    let is_plain = text.chars().all(|c| c.is_alphanumeric() || "/:._-+@".contains(c) || c == MAIN_SEPARATOR);
    match (is_plain, MAIN_SEPARATOR) {
        (true, _) => text,
        (false, '\\') => format!("\"{text}\""),
        (false, _) => shell_word(&text),
    }
}

/// Quotes a word for a POSIX shell.
pub(crate) fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The page in `share/doc` beside the `bin` of an installed program, or in `docs` beside the `target` of a built one.
fn page_beside(program: &Path, page: &str) -> Option<PathBuf> {
    let page = Path::new("docs").join(page);
    let installed = program.ancestors().nth(2).map(|prefix| prefix.join("share/doc").join(NAME).join(&page));
    let built = program.ancestors().skip(1).filter(|place| place.join("Cargo.toml").is_file());
    installed.into_iter().chain(built.map(|place| place.join(&page))).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    #[test]
    fn the_command_is_the_name_only_where_that_finds_this_program() {
        let home = tempfile::tempdir().unwrap();
        let file = format!("{NAME}{}", env::consts::EXE_SUFFIX);
        let (built, installed) = (home.path().join("built").join(&file), home.path().join("bin").join(&file));
        touch(&built);
        touch(&installed);
        let check = |path: &[&str], expected: &str| {
            let path = env::join_paths(path.iter().map(|name| home.path().join(name))).unwrap();
            assert_eq!(command_for(&built, &path), expected, "{path:?}");
        };
        let own = command_for(&built, std::ffi::OsStr::new(""));
        assert!(own.contains("built"), "{own}");
        check(&["none", "built", "bin"], "pushbell");
        check(&["bin", "built"], &own);
        check(&["none"], &own);
    }

    #[cfg(unix)]
    #[test]
    fn the_command_is_found_through_links_and_quoted_where_need_be() {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("my programs/pushbell");
        touch(&program);
        assert_eq!(command_for(&program, std::ffi::OsStr::new("")), format!("'{}'", program.display()));
        fs::create_dir(home.path().join("bin")).unwrap();
        std::os::unix::fs::symlink(&program, home.path().join("bin/pushbell")).unwrap();
        assert_eq!(command_for(&program, home.path().join("bin").as_os_str()), "pushbell");
    }

    #[test]
    fn commands_in_a_text_begin_as_they_are_typed() {
        let text = with_command("`pushbell login` signs in to pushbell; `pushbell` runs it");
        assert_eq!(text, format!("`{0} login` signs in to pushbell; `{0}` runs it", command()));
        assert_ne!(command(), NAME);
    }

    #[test]
    fn a_page_is_found_beside_the_program() {
        let home = tempfile::tempdir().unwrap();
        let check = |program: &str, page: &str, others: &[&str]| {
            let program = home.path().join(program);
            assert_eq!(page_beside(&program, "connect.md"), None, "{page}");
            let page = home.path().join(page);
            for other in others {
                touch(&home.path().join(other));
            }
            touch(&page);
            assert_eq!(page_beside(&program, "connect.md"), Some(page));
        };
        check("usr/bin/pushbell", "usr/share/doc/pushbell/docs/connect.md", &[]);
        check("source/target/release/pushbell", "source/docs/connect.md", &["source/Cargo.toml"]);
    }
}
