use tempfile::TempDir;

use super::*;

/// A person's and a system's directories.
struct Home {
    directory: TempDir,
    places: Places,
    program: PathBuf,
}

impl Home {
    fn new() -> Self {
        Self::with_program("bin/pushbell")
    }

    fn with_program(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let places = Places {
            own: path("config"),
            system: vec![path("etc/xdg")],
            units: vec![path("etc/systemd/user"), path("usr/lib/systemd/user")],
            is_graphical: true,
        };
        let program = path(name);
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::write(&program, "").unwrap();
        Self { directory, places, program }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn on(&self, session_target: bool) {
        turn_on_in(&self.places, &self.program, session_target).unwrap();
    }

    fn off(&self) {
        turn_off_in(&self.places).unwrap();
    }

    fn state(&self) -> Autostart {
        examine(&self.places, Some(true)).unwrap()
    }

    /// Every file and link, without directories.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut directories = vec![self.places.own.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.symlink_metadata().unwrap().is_dir() {
                    directories.push(path);
                } else {
                    files.push(path.strip_prefix(&self.places.own).unwrap().display().to_string());
                }
            }
        }
        files.sort();
        files
    }
}

fn entry_name() -> String {
    format!("autostart/{}.desktop", identity::APP_ID)
}

fn link_name() -> String {
    format!("systemd/user/graphical-session.target.wants/{}", unit_name())
}

#[test]
fn what_fits_is_turned_on_and_the_other_goes() {
    let home = Home::new();
    assert_eq!(home.state(), Autostart { on: false, by: String::new(), problem: None });
    let unit = format!("systemd/user/{}", unit_name());
    let both = |first: &str, second: &str| vec![first.to_owned(), second.to_owned()];
    for _ in 0..2 {
        home.on(true);
        assert_eq!(home.files(), both(&link_name(), &unit));
        assert_eq!((home.state().on, home.state().problem), (true, None));
        assert_eq!(home.state().by, format!("the systemd user unit {}", unit_name()));
        home.on(false);
        assert_eq!(home.files(), [entry_name()]);
        let entry = home.places.own.join(entry_name());
        assert_eq!(home.state().by, format!("the XDG autostart entry {}", entry.display()));
        assert_eq!((home.state().on, home.state().problem), (true, None));
    }
    home.off();
    assert!(home.files().is_empty() && !home.state().on, "{:?}", home.files());
    home.on(true);
    home.off();
    assert!(home.files().is_empty() && !home.state().on, "{:?}", home.files());
    home.off();
}

#[test]
fn two_at_once_are_told_and_turning_on_keeps_one() {
    let home = Home::new();
    home.on(true);
    enable_entry(&home.places, &home.program).unwrap();
    let state = home.state();
    assert!(state.on && state.by.contains(" and "), "{state:?}");
    assert!(state.problem.is_some_and(|problem| problem.contains("one is enough")));
    home.on(true);
    assert_eq!(home.state().problem, None);
}

#[test]
fn the_unit_of_a_package_is_used_if_it_starts_this_program() {
    let home = Home::new();
    let text = |program: &Path| format!("[Service]\nExecStart={} run\n", program.display());
    let packaged = home.write(&format!("usr/lib/systemd/user/{}", unit_name()), &text(&home.program));
    home.on(true);
    assert_eq!(home.files(), [link_name()]);
    assert_eq!(fs::read_link(home.places.own.join(link_name())).unwrap(), packaged);
    assert_eq!((home.state().on, home.state().problem), (true, None));
    home.off();
    assert!(packaged.exists() && !home.state().on);

    fs::write(&packaged, text(Path::new("/another/pushbell"))).unwrap();
    home.on(true);
    let own = home.places.own_units().join(unit_name());
    assert!(fs::read_to_string(&own).unwrap().contains(&format!("ExecStart=\"{}\" run\n", home.program.display())));
    // Once the package has this very program, its unit counts again.
    fs::write(&packaged, text(&home.program)).unwrap();
    home.on(true);
    assert!(!own.exists());
}

#[test]
fn a_unit_that_the_person_wrote_stays() {
    let home = Home::new();
    let own = home.write(&format!("config/systemd/user/{}", unit_name()), "[Service]\nExecStart=/mine\n");
    home.on(true);
    assert_eq!(fs::read_link(home.places.own.join(link_name())).unwrap(), own);
    home.off();
    assert!(own.exists() && !home.state().on);
}

#[test]
fn what_the_system_starts_is_hidden_or_masked_and_comes_back() {
    let home = Home::new();
    home.write(&format!("etc/xdg/{}", entry_name()), "[Desktop Entry]\nExec=pushbell\n");
    assert!(home.state().on);
    home.off();
    assert!(!home.state().on);
    assert!(fs::read_to_string(home.places.own.join(entry_name())).unwrap().contains("Hidden=true"));
    home.on(false);
    assert_eq!((home.state().on, home.state().problem), (true, None));

    for kind in ["wants", "requires"] {
        let home = Home::new();
        let unit = home.write(&format!("usr/lib/systemd/user/{}", unit_name()), "[Service]\nExecStart=/bin/true\n");
        let wants = home.write(&format!("etc/systemd/user/graphical-session.target.{kind}/{}", unit_name()), "");
        fs::remove_file(&wants).unwrap();
        std::os::unix::fs::symlink(unit, wants).unwrap();
        assert!(home.state().on);
        home.off();
        assert!(!home.state().on);
        assert_eq!(fs::read_link(home.places.own_units().join(unit_name())).unwrap(), Path::new("/dev/null"));
        home.on(true);
        assert_eq!((home.state().on, home.state().problem), (true, None));
    }
}

#[test]
fn an_entry_that_the_desktop_has_turned_off_is_off() {
    let home = Home::new();
    let check = |text: &str, on| {
        home.write(&format!("config/{}", entry_name()), text);
        assert_eq!(home.state().on, on, "{text}");
    };
    check("[Desktop Entry]\nExec=x\n", true);
    check("[Desktop Entry]\nExec=x\nHidden=true\n", false);
    check("[Desktop Entry]\nX-GNOME-Autostart-enabled = false\n", false);
    check("[Desktop Entry]\nExec=x\n[Other]\nHidden=true\n", true);
    check("[Other]\nHidden=true\n[Desktop Entry]\nHidden=false\n", true);
}

#[test]
fn what_would_not_start_is_told() {
    let problem = |home: &Home| examine(&home.places, Some(false)).unwrap().problem.unwrap_or_default();
    let home = Home::new();
    home.on(true);
    assert!(problem(&home).contains("graphical-session.target"));
    assert_eq!(examine(&home.places, None).unwrap().problem, None, "outside of a session");
    for session_target in [true, false] {
        home.on(session_target);
        fs::rename(&home.program, home.program.with_extension("old")).unwrap();
        assert!(problem(&home).contains("is not there"), "{}", problem(&home));
        fs::rename(home.program.with_extension("old"), &home.program).unwrap();
    }
}

#[test]
fn any_path_comes_back_from_the_files() {
    for name in ["plain", "with space", r#"q"u\o`t$e"#, "100%f 50%%", "ä→", r"s\s\\n"] {
        let home = Home::with_program(&format!("bin/{name}"));
        home.on(true);
        assert_eq!(enabled_unit(&home.places).unwrap().unwrap().program.as_ref(), Some(&home.program));
        home.on(false);
        assert_eq!(enabled_entry(&home.places).unwrap().unwrap().program.as_ref(), Some(&home.program));
    }
    let home = Home::with_program("bin/a\nb");
    for session_target in [true, false] {
        let error = turn_on_in(&home.places, &home.program, session_target).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
    assert!(!home.state().on);
}

#[test]
fn a_program_that_was_replaced_while_it_runs_is_named_as_before() {
    assert_eq!(present(Path::new("/no/such/pushbell (deleted)")), Path::new("/no/such/pushbell"));
    assert_eq!(present(Path::new("/no/such/pushbell")), Path::new("/no/such/pushbell"));
    let home = Home::with_program("bin/pushbell (deleted)");
    assert_eq!(present(&home.program), home.program);
}

#[test]
fn the_directories_of_every_system_are_among_those_that_variables_name() {
    let Places { units, .. } = Places::of_environment().unwrap();
    let at = |path: &str| units.iter().position(|other| other == Path::new(path)).unwrap();
    let known = ["/etc/systemd/user", "/run/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user"];
    assert!(known.map(at).is_sorted(), "{units:?}");
}
