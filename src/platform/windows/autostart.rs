//! Starting with the desktop: a value of the registry's Run key, whose programs Windows starts at each sign-in.

use std::{io, path::Path};

use windows::core::{Error, HRESULT};
use windows_registry::CURRENT_USER;

use crate::{app_info, platform::autostart::Autostart};

const RUN: &str = r"Software\Microsoft\Windows\CurrentVersion\Run";

/// Where the Task Manager and the settings store what the user has disabled.
const APPROVED: &str = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run";

/// `HRESULT_FROM_WIN32(ERROR_FILE_NOT_FOUND)`
const NOT_FOUND: HRESULT = HRESULT(0x8007_0002_u32.cast_signed());

/// Whether it starts with the desktop.
///
/// # Errors
/// When the registry cannot be read.
pub(crate) fn status() -> io::Result<Autostart> {
    let command = if_there(CURRENT_USER.open(RUN).and_then(|key| key.get_string(app_info::APP_ID)), "read")?;
    // An odd first byte means disabled.
    let state = CURRENT_USER.open(APPROVED).and_then(|key| key.get_value(app_info::APP_ID));
    let off = state.is_ok_and(|state| state.first().is_some_and(|state| state % 2 == 1));
    let problem = match &command {
        None => None,
        Some(_) if off => Some(
            "it is switched off in Windows' settings, under Apps, Startup: switch it on there, or run \
             `pushbell autostart on`"
                .to_owned(),
        ),
        Some(command) => missing(command),
    };
    let by = command.as_ref().map_or_else(String::new, |_| format!(r"the registry key HKEY_CURRENT_USER\{RUN}"));
    Ok(Autostart { on: command.is_some() && !off, by, problem })
}

/// Makes this program start with the desktop.
///
/// # Errors
/// When the registry cannot be written.
pub(crate) fn turn_on(program: &Path) -> io::Result<Autostart> {
    let program = program.to_str().ok_or_else(|| {
        let words = format!("{}: Windows can start only a program whose path is Unicode", program.display());
        io::Error::new(io::ErrorKind::InvalidInput, words)
    })?;
    let set = CURRENT_USER.create(RUN).and_then(|key| key.set_string(app_info::APP_ID, format!("\"{program}\"")));
    set.map_err(|error| with_context("written", &error))?;
    remove(APPROVED)?;
    status()
}

/// Stops starting with the desktop.
///
/// # Errors
/// When the registry cannot be written.
pub(crate) fn turn_off() -> io::Result<Autostart> {
    remove(RUN)?;
    remove(APPROVED)?;
    status()
}

/// Removes the value, if there is one.
fn remove(key: &str) -> io::Result<()> {
    let removed = CURRENT_USER.options().read().write().open(key).and_then(|key| key.remove_value(app_info::APP_ID));
    if_there(removed, "written").map(drop)
}

fn if_there<T>(found: Result<T, Error>, done: &str) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code() == NOT_FOUND => Ok(None),
        Err(error) => Err(with_context(done, &error)),
    }
}

/// The advice if the command's program is missing.
fn missing(command: &str) -> Option<String> {
    let program = command.strip_prefix('"').and_then(|rest| rest.split('"').next()).unwrap_or(command);
    (!Path::new(program).is_file())
        .then(|| format!("{program} is not there any more: run `pushbell autostart on` with the program that is"))
}

fn with_context(done: &str, error: &Error) -> io::Error {
    io::Error::other(format!(r"HKEY_CURRENT_USER\{RUN} cannot be {done}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_turned_on_and_off_and_says_when_its_program_has_gone() {
        let program = std::env::current_exe().unwrap();
        let on = turn_on(&program).unwrap();
        assert_eq!((on.on, &on.problem), (true, &None), "{on:?}");
        let command = CURRENT_USER.open(RUN).unwrap().get_string(app_info::APP_ID).unwrap();
        assert_eq!(command, format!("\"{}\"", program.display()));
        let moved = turn_on(&program.with_file_name("gone.exe")).unwrap();
        assert!(moved.on && moved.problem.unwrap().contains("gone.exe is not there"));
        let off = turn_off().unwrap();
        assert_eq!((off.on, off.problem), (false, None));
        assert!(!turn_off().unwrap().on);
    }
}
