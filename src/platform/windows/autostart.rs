//! Starting with the desktop: a value of the registry's Run key, which Windows starts at each sign-in.

use std::{io, path::Path};

use super::registry;
use crate::{identity, platform::autostart::Autostart};

const RUN: &str = r"Software\Microsoft\Windows\CurrentVersion\Run";

/// Where the Task Manager and the settings note what the person has switched off.
const APPROVED: &str = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run";

/// Whether it starts with the desktop now.
///
/// # Errors
/// When the registry cannot be read.
pub fn status() -> io::Result<Autostart> {
    let command = registry::text(RUN, identity::APP_ID).map_err(|error| told("read", &error))?;
    // Even: on; odd: off.
    let off = registry::first_byte(APPROVED, identity::APP_ID).is_some_and(|state| state % 2 == 1);
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

/// Starts this program with the desktop from now on.
///
/// # Errors
/// When the registry cannot be written.
pub fn turn_on(program: &Path) -> io::Result<Autostart> {
    let program = program.to_str().ok_or_else(|| {
        let words = format!("{}: Windows can start only a program whose path is Unicode", program.display());
        io::Error::new(io::ErrorKind::InvalidInput, words)
    })?;
    registry::set_text(RUN, identity::APP_ID, &format!("\"{program}\"")).map_err(|error| told("written", &error))?;
    registry::delete(APPROVED, identity::APP_ID).map_err(|error| told("written", &error))?;
    status()
}

/// Starts no program with the desktop any more.
///
/// # Errors
/// When the registry cannot be written.
pub fn turn_off() -> io::Result<Autostart> {
    registry::delete(RUN, identity::APP_ID).map_err(|error| told("written", &error))?;
    registry::delete(APPROVED, identity::APP_ID).map_err(|error| told("written", &error))?;
    status()
}

/// What to do about a command whose program is not there.
fn missing(command: &str) -> Option<String> {
    let program = command.strip_prefix('"').and_then(|rest| rest.split('"').next()).unwrap_or(command);
    (!Path::new(program).is_file())
        .then(|| format!("{program} is not there any more: run `pushbell autostart on` with the program that is"))
}

fn told(done: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!(r"HKEY_CURRENT_USER\{RUN} cannot be {done}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_turned_on_and_off_and_says_when_its_program_has_gone() {
        let program = std::env::current_exe().unwrap();
        let on = turn_on(&program).unwrap();
        assert_eq!((on.on, &on.problem), (true, &None), "{on:?}");
        assert_eq!(registry::text(RUN, identity::APP_ID).unwrap(), Some(format!("\"{}\"", program.display())));
        let moved = turn_on(&program.with_file_name("gone.exe")).unwrap();
        assert!(moved.on && moved.problem.unwrap().contains("gone.exe is not there"));
        let off = turn_off().unwrap();
        assert_eq!((off.on, off.problem), (false, None));
        assert!(!turn_off().unwrap().on);
    }
}
