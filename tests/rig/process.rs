//! Processes that end with the test.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, setrlimit};

/// Where programs are searched for. The caller's own path may contain stubs.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// The watchdog: a shell that receives every process group and temporary directory. When the test process ends for any
/// reason, the shell's standard input ends, and it kills and deletes what is left. (`PR_SET_PDEATHSIG` would not do: it
/// follows the thread that started the process, and a test's thread ends before the test process.)
const WATCHDOG: &str = r#"
declare -A groups directories
while read -r what value; do
  case $what in
    +group) groups[$value]=1;; -group) unset "groups[$value]";;
    +directory) directories[$value]=1;; -directory) unset "directories[$value]";;
  esac
done
for group in "${!groups[@]}"; do kill -KILL -- "-$group"; done
for directory in "${!directories[@]}"; do rm -rf -- "$directory"; done
"#;

fn tell_watchdog(what: &str, value: &dyn std::fmt::Display) {
    static WATCHDOG_INPUT: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    let input = WATCHDOG_INPUT.get_or_init(|| {
        #[expect(clippy::zombie_processes, reason = "it outlives us")]
        let mut shell = Command::new("bash")
            .args(["-c", WATCHDOG])
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("bash starts");
        Mutex::new(shell.stdin.take().expect("its input is a pipe"))
    });
    let mut input = input.lock().expect("no holder panics");
    writeln!(input, "{what} {value}").expect("the watchdog reads");
}

/// A temporary directory that is deleted after the test, however it ends. Its path is short, because it contains
/// sockets.
pub(crate) struct TempDir(tempfile::TempDir);

impl TempDir {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("pushbell-rig-").tempdir_in("/tmp").expect("/tmp is writable");
        tell_watchdog("+directory", &directory.path().display());
        Self(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A process that was just killed may still have been writing: the watchdog retries at the end.
        if fs::remove_dir_all(self.path()).is_ok() {
            tell_watchdog("-directory", &self.path().display());
        }
    }
}

/// A running program in a process group of its own, with its output in files.
pub(crate) struct Part {
    name: String,
    child: Child,
    ended: Option<ExitStatus>,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Part {
    /// Starts it with exactly the environment `env`; `NAME.out` and `NAME.err` in `logs` receive its output.
    #[track_caller]
    pub(crate) fn start(name: &str, mut command: Command, env: &[(String, String)], logs: &Path) -> Self {
        let (stdout, stderr) = (logs.join(format!("{name}.out")), logs.join(format!("{name}.err")));
        let append = |path: &Path| File::options().create(true).append(true).open(path).expect("logs are writable");
        let child = command
            .env_clear()
            .envs(env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(append(&stdout))
            .stderr(append(&stderr))
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{} does not start: {error}. `make test` installs what the tests need.",
                    command.get_program().display()
                )
            });
        tell_watchdog("+group", &child.id());
        Self { name: name.to_owned(), child, ended: None, stdout, stderr }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Peak resident memory without that of mapped files such as its own code, in MiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the program runs");
        let kilobytes = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux says it");
            line.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        // Mapped code that was run stays resident.
        (kilobytes("VmHWM:") - kilobytes("RssFile:")) / 1024
    }

    /// Sends a signal to the whole process group.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.ended.is_none()
            && let Some(group) = Pid::from_raw(self.child.id().cast_signed())
        {
            // The group may be gone already.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Stops it with SIGSTOP, until [`Part::thaw`].
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// `Some` once it has ended.
    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("it is our child");
        }
        self.ended
    }

    #[track_caller]
    pub(crate) fn wait(&mut self, timeout: Duration) -> ExitStatus {
        super::wait_for(&format!("{} ends", self.name), timeout, || self.try_wait())
    }

    /// Sends SIGKILL to its whole process group.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        if self.ended.is_none() {
            self.ended = self.child.wait().ok();
        }
    }

    pub(crate) fn stdout(&self) -> String {
        read(&self.stdout)
    }

    pub(crate) fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Its output so far.
    pub(crate) fn output(&self) -> String {
        self.stdout() + self.stderr().as_str()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let group = self.child.id();
        if std::thread::panicking() {
            // A recording is not text.
            let output = [&self.stdout, &self.stderr].map(|file| fs::read_to_string(file).unwrap_or_default()).concat();
            let tail = output.lines().rev().take(40).collect::<Vec<_>>();
            eprintln!("--- {} (end of its output)", self.name);
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        self.signal(Signal::CONT);
        self.signal(Signal::TERM);
        let start = Instant::now();
        while self.try_wait().is_none() && start.elapsed() < Duration::from_secs(3) {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill();
        // Its child processes may have outlived it.
        if let Some(group) = Pid::from_raw(group.cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        tell_watchdog("-group", &group);
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// Raises this process's limit of open files; panics if the maximum is lower than needed.
pub(crate) fn raise_open_files(needed: usize) {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("up to the maximum");
    let maximum = limit.maximum.unwrap_or(u64::MAX);
    assert!(maximum >= needed as u64, "{needed} open files are needed, {maximum} allowed: raise `ulimit -Hn`");
}

/// Runs a program to its end; panics if it fails.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &[&str], env: &[(String, String)]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(env.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program} does not start: {error}. `make test` installs what the tests need."));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
