//! A terminal for interactive commands: the program runs on a pseudo-terminal whose output is read.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    process::{Child, Command},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

use super::{SOON, wait_for, wait_until};

/// A command running on a terminal.
pub(crate) struct Terminal {
    keyboard: File,
    /// The side that programs use.
    inside: File,
    child: Child,
    screen: Arc<Mutex<String>>,
    /// How much of the output has been matched.
    read: usize,
}

impl Terminal {
    /// Runs it with exactly this environment.
    #[track_caller]
    pub(crate) fn run(program: &str, arguments: &[&str], env: &[(String, String)]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are pseudo-terminals");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it is ours");
        let name = ptsname(&master, Vec::new()).expect("it has a name").into_string().expect("a path");
        let side = || OpenOptions::new().read(true).write(true).open(&name).expect("it can be opened");
        // It must be the controlling terminal: passwords are read from there.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", program])
            .args(arguments)
            .env_clear()
            .envs(env.iter().map(|(key, value)| (key, value)))
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .expect("util-linux is installed");
        let keyboard = File::from(master);
        let screen = Arc::new(Mutex::new(String::new()));
        let mut output = keyboard.try_clone().expect("it can be shared");
        let written = Arc::clone(&screen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading fails once no process has the other side open.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).replace('\r', "");
                written.lock().expect("no holder panics").push_str(&text);
            }
        });
        Self { keyboard, inside: side(), child, screen, read: 0 }
    }

    /// The output so far.
    pub(crate) fn screen(&self) -> String {
        self.screen.lock().expect("no holder panics").clone()
    }

    /// Waits for this output, after what was waited for before.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) {
        let (screen, from) = (Arc::clone(&self.screen), self.read);
        let look = || {
            let screen = screen.lock().expect("no holder panics");
            screen[from..].find(text).map(|at| from + at + text.len())
        };
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wait_for(text, SOON, look)));
        self.read = found.unwrap_or_else(|_| panic!("{text:?} is not written:\n{}", self.screen()));
    }

    #[track_caller]
    pub(crate) fn type_line(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\n").as_bytes()).expect("the terminal takes it");
    }

    /// Accepts the default of each yes/no question until the command ends; returns the number of questions.
    #[track_caller]
    pub(crate) fn take_defaults(&mut self, timeout: Duration) -> usize {
        let mut answered = 0;
        let start = std::time::Instant::now();
        while self.child.try_wait().expect("it is our child").is_none() {
            assert!(start.elapsed() < timeout, "it does not end:\n{}", self.screen());
            let screen = self.screen();
            let asked = screen.matches("[y/N] ").count() + screen.matches("[Y/n] ").count();
            if asked > answered {
                answered += 1;
                self.type_line("");
            }
            thread::sleep(Duration::from_millis(10));
        }
        answered
    }

    /// Whether the terminal is back in its normal mode, with echo and signals.
    pub(crate) fn is_in_normal_mode(&self) -> bool {
        let modes = tcgetattr(&self.inside).expect("it is a terminal").local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    /// Waits until the command has ended; returns its exit code.
    #[track_caller]
    pub(crate) fn wait(&mut self, timeout: Duration) -> Option<i32> {
        let mut code = None;
        wait_until("the command ends", timeout, || {
            code = self.child.try_wait().expect("it is our child");
            code.is_some()
        });
        code.and_then(|status| status.code())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Usually it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
