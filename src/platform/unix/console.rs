//! The terminal.

use std::{
    env,
    fs::{File, OpenOptions},
    io::{self, Read, Stdout, Write as _},
};

use rpassword::ConfigBuilder;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

/// Standard streams are inherited on Unix.
pub(crate) fn attach() {}

/// Hides typed input until it is read or this is dropped.
#[derive(Debug)]
pub(crate) struct HiddenTyping {
    terminal: File,
    before: Termios,
}

impl HiddenTyping {
    /// Begins to hide input. Call it before prompting, since input may follow at once.
    ///
    /// # Errors
    /// When there is no terminal.
    pub(crate) fn begin() -> io::Result<Self> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut hidden = before.clone();
        // Characters are read one by one, including those that would send signals.
        hidden.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&terminal, OptionalActions::Now, &hidden)?;
        Ok(Self { terminal, before })
    }

    /// Reads a line, without its line end. Ctrl-C interrupts the program as usual.
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
        // Fails only if the terminal is gone.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

impl Read for HiddenTyping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const CTRL_C: u8 = 3;
        let count = self.terminal.read(buffer)?;
        if buffer.iter().take(count).any(|byte| *byte == CTRL_C) {
            // The program ends without running destructors.
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

/// Whether this stream leads to systemd's journal, by `JOURNAL_STREAM` (systemd.exec(5)).
#[must_use]
pub(crate) fn is_logged(stream: &Stdout) -> bool {
    let journal = env::var("JOURNAL_STREAM").unwrap_or_default();
    rustix::fs::fstat(stream).is_ok_and(|stream| journal == format!("{}:{}", stream.st_dev, stream.st_ino))
}
