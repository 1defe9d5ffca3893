//! The console of the parent process. The program belongs to the graphical subsystem, so that a double click opens no
//! console, and attaches to an existing one by itself.

use std::{
    fs::OpenOptions,
    io::{self, Stdout},
    os::windows::io::IntoRawHandle,
};

use windows_sys::Win32::{
    Storage::FileSystem::{FILE_TYPE_UNKNOWN, GetFileType},
    System::Console::{
        ATTACH_PARENT_PROCESS, AttachConsole, ENABLE_VIRTUAL_TERMINAL_PROCESSING, GetConsoleMode, GetStdHandle,
        STD_ERROR_HANDLE, STD_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, SetConsoleMode, SetStdHandle,
    },
};

const STREAMS: [(STD_HANDLE, &str); 3] =
    [(STD_INPUT_HANDLE, "CONIN$"), (STD_OUTPUT_HANDLE, "CONOUT$"), (STD_ERROR_HANDLE, "CONOUT$")];

/// Attaches to the console of the parent process, if it has one; redirected streams stay redirected. Call it before
/// anything is read or written.
pub(crate) fn attach() {
    let redirected = STREAMS.map(|(stream, _)| is_open(stream));
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: no pointer is passed.
    let attached = unsafe { AttachConsole(ATTACH_PARENT_PROCESS) } != 0;
    if !attached {
        return;
    }
    for ((stream, name), redirected) in STREAMS.into_iter().zip(redirected) {
        if !redirected {
            open_console(stream, name);
        }
    }
}

/// Hides typed input while it is read.
#[derive(Debug)]
pub(crate) struct HiddenTyping(());

impl HiddenTyping {
    /// Input is hidden by [`HiddenTyping::read`] alone.
    ///
    /// # Errors
    /// Never.
    #[expect(clippy::unnecessary_wraps, reason = "it can fail elsewhere")]
    pub(crate) fn begin() -> io::Result<Self> {
        Ok(Self(()))
    }

    /// Reads a line, without its line end.
    ///
    /// # Errors
    /// When there is no console.
    #[expect(clippy::unused_self, reason = "elsewhere it holds the terminal's state")]
    pub(crate) fn read(self) -> io::Result<String> {
        rpassword::read_password()
    }
}

/// Whether this stream leads to a log: never on Windows.
#[must_use]
pub(crate) fn is_logged(_stream: &Stdout) -> bool {
    false
}

fn is_open(stream: STD_HANDLE) -> bool {
    #[expect(unsafe_code, reason = "calls of the system")]
    // SAFETY: no pointer is passed; an invalid handle has an unknown type.
    unsafe {
        GetFileType(GetStdHandle(stream)) != FILE_TYPE_UNKNOWN
    }
}

/// On failure the stream stays closed, as without a console.
fn open_console(stream: STD_HANDLE, name: &str) {
    let Ok(console) = OpenOptions::new().read(true).write(true).open(name) else { return };
    // It is never closed.
    let console = console.into_raw_handle();
    let mut mode = 0;
    #[expect(unsafe_code, reason = "calls of the system")]
    // SAFETY: the handle is open, and `mode` is written before it is read.
    unsafe {
        SetStdHandle(stream, console);
        // Colours are written as escape sequences. Input has no such mode.
        if stream != STD_INPUT_HANDLE && GetConsoleMode(console, &raw mut mode) != 0 {
            SetConsoleMode(console, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
        }
    }
}
