//! Starting with the desktop: a launch agent, which macOS lists among the login items.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use directories::BaseDirs;

use crate::{
    app_info,
    platform::{
        autostart::Autostart,
        portable::launch_agent::{self, property_list},
    },
};

/// Whether it starts with the desktop. A login item that is disabled in the settings cannot be recognised.
///
/// # Errors
/// When the agent cannot be read.
pub(crate) fn status() -> io::Result<Autostart> {
    let agent = agent()?;
    let list = match fs::read_to_string(&agent) {
        Ok(list) => list,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Autostart { on: false, by: String::new(), problem: None });
        }
        Err(error) => return Err(with_context(&agent, "read", &error)),
    };
    let problem = match launch_agent::program(&list) {
        Some(program) if Path::new(&program).is_file() => None,
        Some(program) => {
            Some(format!("{program} is not there any more: run `pushbell autostart on` with the program that is"))
        }
        None => Some(format!("{} is not ours: remove it, then run `pushbell autostart on`", agent.display())),
    };
    Ok(Autostart { on: true, by: format!("the launch agent {}", agent.display()), problem })
}

/// Makes this program start with the desktop.
///
/// # Errors
/// When the agent cannot be written.
pub(crate) fn turn_on(program: &Path) -> io::Result<Autostart> {
    let agent = agent()?;
    let program = program.to_str().ok_or_else(|| {
        let words = format!("{}: macOS can start only a program whose path is Unicode", program.display());
        io::Error::new(io::ErrorKind::InvalidInput, words)
    })?;
    let written = agent.parent().map_or(Ok(()), fs::create_dir_all);
    written
        .and_then(|()| fs::write(&agent, property_list(app_info::APP_ID, program)))
        .map_err(|error| with_context(&agent, "written", &error))?;
    status()
}

/// Stops starting with the desktop. A running program is not affected.
///
/// # Errors
/// When the agent cannot be removed.
pub(crate) fn turn_off() -> io::Result<Autostart> {
    let agent = agent()?;
    match fs::remove_file(&agent) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(with_context(&agent, "removed", &error)),
        Ok(()) | Err(_) => status(),
    }
}

fn agent() -> io::Result<PathBuf> {
    let home = BaseDirs::new().ok_or_else(|| io::Error::other("there is no home directory: set HOME to one"))?;
    Ok(home.home_dir().join("Library/LaunchAgents").join(format!("{}.plist", app_info::APP_ID)))
}

fn with_context(agent: &Path, done: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{} cannot be {done}: {error}", agent.display()))
}
