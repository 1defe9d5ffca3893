//! Where a program reads and writes is handed to it by whoever starts it. Its terminal is what the user types at.

use std::{
    env,
    fs::{File, OpenOptions},
    io::{self, Read, Stdout, Write as _},
};

use rpassword::ConfigBuilder;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

/// Nothing is to be done here.
pub(crate) fn attach() {}

/// What is typed is not shown, from when this is made until it is read or dropped.
#[derive(Debug)]
pub(crate) struct HiddenTyping {
    terminal: File,
    before: Termios,
}

impl HiddenTyping {
    /// Begins to hide it. Ask for it after that: an answer may come at once.
    ///
    /// # Errors
    /// When there is no terminal.
    pub(crate) fn begin() -> io::Result<Self> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut hidden = before.clone();
        // Characters come one by one, also those that would interrupt.
        hidden.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&terminal, OptionalActions::Now, &hidden)?;
        Ok(Self { terminal, before })
    }

    /// Waits for a line, which is returned without its end. Ctrl-C interrupts the program, as it does elsewhere.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(crate) fn read(self) -> io::Result<String> {
        let mut terminal = self.terminal.try_clone()?;
        let line =
            rpassword::read_password_with_config(ConfigBuilder::new().input_reader(self).output_discard().build());
        terminal.write_all(b"\n")?;
        line
    }

    fn end(&self) {
        // A terminal that is gone shows nothing.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

impl Read for HiddenTyping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const CTRL_C: u8 = 3;
        let count = self.terminal.read(buffer)?;
        if buffer.iter().take(count).any(|byte| *byte == CTRL_C) {
            // It ends the program, without anything being dropped.
            self.end();
        }
        Ok(count)
    }
}

impl Drop for HiddenTyping {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether what is printed there is logged: systemd says by `JOURNAL_STREAM` which stream leads to its journal
/// (systemd.exec(5)).
#[must_use]
pub(crate) fn is_logged(stream: &Stdout) -> bool {
    let journal = env::var("JOURNAL_STREAM").unwrap_or_default();
    rustix::fs::fstat(stream).is_ok_and(|stream| journal == format!("{}:{}", stream.st_dev, stream.st_ino))
}
