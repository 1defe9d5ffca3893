//! Opens rooms, addresses and files with the user's own programs. There is never a shell. Programs that outlive our
//! interest in them are reaped by tokio.

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use crate::desktop::links::Opening;

/// Deadline of the query for the program that handles `matrix:` links.
const QUERY_DEADLINE: Duration = Duration::from_secs(3);

/// A launcher that still runs after this time counts as successful: some wait for the program that they started.
const LAUNCH_DEADLINE: Duration = Duration::from_secs(10);

/// Whether the browsers of this system resolve every name that ends in `.localhost` to this computer.
pub(crate) const KNOWS_LOCALHOST_NAMES: bool = true;

/// Programs that open an address or a path, by preference.
const LAUNCHERS: [&[&str]; 2] = [&["xdg-open"], &["gio", "open"]];

/// Variables that an opened program may need, and that the user manager may lack.
const SESSION_VARIABLES: [&str; 6] =
    ["PATH", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_CURRENT_DESKTOP", "DBUS_SESSION_BUS_ADDRESS"];

/// Commands that print the program that handles `matrix:` links.
const QUERIES: [&[&str]; 2] =
    [&["xdg-mime", "query", "default", "x-scheme-handler/matrix"], &["gio", "mime", "x-scheme-handler/matrix"]];

/// Starts the user's programs.
#[derive(Debug, Clone)]
pub(in crate::platform) struct Launcher {
    environment: Vec<(&'static str, OsString)>,
    /// Whether this process is a systemd unit. Then programs are started in units of their own: in this one they would
    /// end with it, and be under its limits.
    in_unit: bool,
}

impl Launcher {
    pub(in crate::platform) fn new() -> Self {
        Self { environment: Vec::new(), in_unit: is_in_unit() }
    }

    /// Opens this, with the activation token of the click.
    pub(in crate::platform) async fn open(&self, opening: Opening, token: Option<String>) -> Result<(), String> {
        let mut launcher = self.clone();
        for token in token.into_iter().filter(|token| !token.contains('\0')) {
            let names = ["XDG_ACTIVATION_TOKEN", "DESKTOP_STARTUP_ID"];
            launcher.environment.extend(names.map(|name| (name, OsString::from(&token))));
        }
        match opening {
            Opening::Matrix { link, web } => {
                let address = if launcher.handles_matrix_links().await { link } else { web };
                launcher.launch(address.into()).await
            }
            Opening::Address(address) => launcher.launch(address.into()).await,
            Opening::File(path) => launcher.launch(path.into()).await,
            Opening::Command(program, arguments) => launcher.start(&program, &arguments).await,
        }
    }

    /// Starts the user's own program, without watching it.
    async fn start(&self, program: &str, arguments: &[String]) -> Result<(), String> {
        let cannot_start = |why: String| format!("popup.open: cannot start \"{program}\": {why}");
        let mut command = self.command(program, &[]);
        let mut child = command.args(arguments).spawn().map_err(|error| cannot_start(error.to_string()))?;
        if self.in_unit
            && let Ok(Ok(status)) = timeout(LAUNCH_DEADLINE, child.wait()).await
        {
            return if status.success() { Ok(()) } else { Err(cannot_start("is it installed?".to_owned())) };
        }
        Ok(())
    }

    async fn handles_matrix_links(&self) -> bool {
        for query in QUERIES {
            let [program, arguments @ ..] = query else { continue };
            let mut command = self.directly().command(program, &[]);
            command.args(arguments).stdout(Stdio::piped()).kill_on_drop(true);
            match timeout(QUERY_DEADLINE, command.output()).await {
                Ok(Ok(output)) => return output.status.success() && names_a_program(&output.stdout),
                Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(Err(error)) => tracing::debug!("{program}: {error}"),
                Err(_) => tracing::debug!("{program} does not answer"),
            }
        }
        false
    }

    /// A launcher that starts programs in this process's own unit.
    fn directly(&self) -> Self {
        Self { in_unit: false, ..self.clone() }
    }

    /// Makes the desktop open an address or a path. Falls back to this process's own unit if a new one cannot be
    /// started, as on a session bus without the user manager.
    async fn launch(&self, what: OsString) -> Result<(), String> {
        match self.launch_by_any(&what).await {
            Err(_) if self.in_unit => self.directly().launch_by_any(&what).await,
            launched => launched,
        }
    }

    async fn launch_by_any(&self, what: &OsStr) -> Result<(), String> {
        let mut failure = String::from("neither xdg-open nor gio is installed: install xdg-utils");
        for launcher in LAUNCHERS {
            let [program, arguments @ ..] = launcher else { continue };
            let mut child = match self.command(program, &["--wait"]).args(arguments).arg(what).spawn() {
                Ok(child) => child,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    failure = format!("cannot start {program}: {error}");
                    continue;
                }
            };
            match timeout(LAUNCH_DEADLINE, child.wait()).await {
                Ok(Ok(status)) if status.success() => return Ok(()),
                Ok(Ok(status)) => failure = format!("{program} could not open it ({status}): set popup.open"),
                Ok(Err(error)) => failure = format!("{program}: {error}"),
                Err(_) => return Ok(()),
            }
        }
        Err(failure)
    }

    /// A program that may outlive this process, in a process group of its own. `how`: options for systemd-run, if that
    /// starts it. The activation token of this process itself is not passed on.
    fn command(&self, program: &str, how: &[&str]) -> Command {
        let mut command = if self.in_unit { self.unit_of_its_own(program, how) } else { Command::new(program) };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        command.env_remove("XDG_ACTIVATION_TOKEN").env_remove("DESKTOP_STARTUP_ID");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Variables are passed by name, since every user can read a command line.
    fn unit_of_its_own(&self, program: &str, how: &[&str]) -> Command {
        let mut command = Command::new("systemd-run");
        command.args(["--user", "--quiet", "--collect", "--slice=app.slice"]).args(how);
        let session = SESSION_VARIABLES.into_iter().filter(|name| env::var_os(name).is_some());
        let own = self.environment.iter().map(|(name, _)| *name);
        command.args(session.chain(own).map(|name| format!("--setenv={name}"))).args(["--", program]);
        command
    }
}

/// `SYSTEMD_EXEC_PID` may be inherited from a unit further up.
fn is_in_unit() -> bool {
    env::var("SYSTEMD_EXEC_PID").is_ok_and(|pid| pid == std::process::id().to_string())
}

/// xdg-mime prints a desktop file or nothing; gio prints a sentence with desktop files in it.
fn names_a_program(output: &[u8]) -> bool {
    String::from_utf8_lossy(output).split_whitespace().any(|word| word.ends_with(".desktop"))
}

/// Whether an opened browser would be visible to the user: there is a graphical session, and no SSH connection.
#[must_use]
pub(crate) fn browser_available() -> bool {
    let has = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    (has("WAYLAND_DISPLAY") || has("DISPLAY")) && !has("SSH_CONNECTION") && !has("SSH_TTY")
}

/// Opens an `https:` or `http:` address. Success does not guarantee that a window appears.
///
/// # Errors
/// A sentence if the desktop reports a failure.
pub(crate) async fn open_in_browser(address: &str) -> Result<(), String> {
    Launcher::new().launch(address.into()).await
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    use tempfile::TempDir;
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        config::OpenWith,
        desktop::{DesktopEvent, OpenTarget},
        platform::opener::{MAX_OPENINGS, Opener},
    };

    /// Programs that record how they were called, in a directory that is the whole `PATH`.
    struct Programs {
        directory: TempDir,
        opener: Opener,
        events: mpsc::UnboundedReceiver<DesktopEvent>,
    }

    impl Programs {
        fn new(programs: &[(&str, &str)]) -> Self {
            Self::started(programs, false)
        }

        fn started(programs: &[(&str, &str)], in_unit: bool) -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            for (name, script) in programs {
                let path = directory.path().join(name);
                fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a program");
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("made executable");
            }
            let (sender, events) = mpsc::unbounded_channel();
            let record = directory.path().join("record");
            let environment = vec![("PATH", directory.path().into()), ("RECORD", record.into())];
            let opener = Opener::new(Launcher { environment, in_unit }, sender);
            Self { directory, opener, events }
        }

        async fn record(&self) -> String {
            let record = self.directory.path().join("record");
            read_when_there(&record).await
        }
    }

    /// Scripts rename their record into place, so it is there whole or not at all.
    async fn read_when_there(path: &Path) -> String {
        timeout(Duration::from_secs(10), async {
            loop {
                if let Ok(text) = fs::read_to_string(path) {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("the program was called")
    }

    const RECORD: &str = r#"{ echo "${0##*/} $*"; echo "$XDG_ACTIVATION_TOKEN $DESKTOP_STARTUP_ID"; } >"$RECORD.new"
PATH=/usr/bin:/bin mv "$RECORD.new" "$RECORD""#;

    fn room() -> OpenTarget {
        OpenTarget::Room { room_id: "!r:x".into(), event_id: None, user: None }
    }

    #[tokio::test]
    async fn a_matrix_link_goes_to_its_handler_with_the_token() {
        let programs = Programs::new(&[("xdg-mime", "echo client.desktop"), ("xdg-open", RECORD)]);
        programs.opener.open(&room(), &OpenWith::Matrix, Some("token".into()));
        assert_eq!(programs.record().await, "xdg-open matrix:roomid/r:x?via=x\ntoken token\n");
    }

    #[tokio::test]
    async fn matrix_to_is_opened_where_nothing_handles_matrix_links() {
        let check = async |query: (&str, &str)| {
            let programs = Programs::new(&[query, ("xdg-open", RECORD)]);
            programs.opener.open(&room(), &OpenWith::Matrix, None);
            assert_eq!(programs.record().await, "xdg-open https://matrix.to/#/!r%3Ax?via=x\n \n");
        };
        check(("xdg-mime", "true")).await;
        check(("gio", "echo 'No default applications for x-scheme-handler/matrix'")).await;
        check(("something-else", "true")).await;
    }

    #[tokio::test]
    async fn gio_opens_what_xdg_open_could_not() {
        let programs = Programs::new(&[("xdg-open", "exit 3"), ("gio", RECORD)]);
        programs.opener.open(&OpenTarget::File("/etc/hosts".into()), &OpenWith::Matrix, None);
        assert_eq!(programs.record().await, "gio open /etc/hosts\n \n");
    }

    #[tokio::test]
    async fn a_command_is_started_without_a_shell() {
        let programs = Programs::new(&[("client", RECORD)]);
        let command = ["client", "--go", "{room};$(true)"].map(str::to_owned).to_vec();
        programs.opener.open(&room(), &OpenWith::Command(command), None);
        assert_eq!(programs.record().await, "client --go !r:x;$(true)\n \n");
    }

    #[tokio::test]
    async fn what_a_unit_opens_runs_in_a_unit_of_its_own() {
        let programs = Programs::started(&[("systemd-run", RECORD), ("xdg-mime", "echo client.desktop")], true);
        programs.opener.open(&room(), &OpenWith::Matrix, Some("secret".into()));
        let record = programs.record().await;
        assert!(record.starts_with("systemd-run --user --quiet --collect --slice=app.slice --wait "), "{record}");
        assert!(record.ends_with("--setenv=DESKTOP_STARTUP_ID -- xdg-open matrix:roomid/r:x?via=x\nsecret secret\n"));
    }

    #[tokio::test]
    async fn what_no_unit_can_be_made_for_is_opened_within_our_own() {
        let mut programs = Programs::started(&[("systemd-run", "exit 1"), ("xdg-open", RECORD)], true);
        programs.opener.open(&OpenTarget::File("/etc/hosts".into()), &OpenWith::Matrix, None);
        assert_eq!(programs.record().await, "xdg-open /etc/hosts\n \n");
        programs.opener.open(&room(), &OpenWith::Command(vec!["client".into()]), None);
        let event = programs.events.recv().await;
        assert!(matches!(&event, Some(DesktopEvent::NotOpened(reason)) if reason.contains("client")), "{event:?}");
    }

    #[tokio::test]
    async fn a_failure_is_said_in_a_sentence() {
        let mut programs = Programs::new(&[]);
        let mut check = async |target, with, expected: &str| {
            programs.opener.open(&target, &with, None);
            let event = programs.events.recv().await;
            assert!(matches!(&event, Some(DesktopEvent::NotOpened(reason)) if reason.contains(expected)), "{event:?}");
        };
        check(room(), OpenWith::Matrix, "install xdg-utils").await;
        check(room(), OpenWith::Command(vec!["no-such-client".into()]), "no-such-client").await;
        let nothing = OpenTarget::Room { room_id: String::new(), event_id: None, user: None };
        check(nothing, OpenWith::Matrix, "no valid room").await;
    }

    #[tokio::test]
    async fn no_more_than_a_few_are_opened_at_a_time() {
        let mut programs = Programs::new(&[("xdg-open", "read line")]);
        for _ in 0..=MAX_OPENINGS {
            programs.opener.open(&OpenTarget::File("/x".into()), &OpenWith::Matrix, None);
        }
        let event = programs.events.recv().await;
        assert!(matches!(event, Some(DesktopEvent::NotOpened(reason)) if reason.contains("too much")));
    }

    #[test]
    fn only_a_desktop_file_is_a_handler() {
        let check = |output: &str, expected| assert_eq!(names_a_program(output.as_bytes()), expected, "{output}");
        check("", false);
        check("im.client.desktop\n", true);
        check("No default applications for \u{201c}x-scheme-handler/matrix\u{201d}\n", false);
        check("Default application for \u{201c}x\u{201d}: im.client.desktop\nRegistered applications:\n", true);
    }
}
