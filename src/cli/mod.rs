//! The command line: every command, its output and its exit code.

mod account;
mod arguments;
mod autostart;
mod doctor;
mod history;
mod login;
mod logout;
mod open;
mod output;
mod packaging;
mod pause;
mod person;
mod relay;
mod room;
mod status;
mod terminal;
mod test;
mod verify;

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::Parser;
use jiff::{Timestamp, Zoned};
use tracing::Level;

use crate::{
    app::{self, RunOptions, runtime},
    config::{self, Config, ConfigError, InForce, ReadError},
    control::{self, AskError, Reply, Request, Status, ask_blocking},
    failure::{self, Failure},
    invocation, logging, page,
    paths::Paths,
    platform::console,
    push::text,
    secrets::Secrets,
    sound,
};
use arguments::{Arguments, Command, Run};
use person::Person;

/// Runs the command and returns its exit code. Every failure is one message on stderr that begins with "pushbell: ".
#[must_use]
pub fn main() -> ExitCode {
    console::attach();
    let mut out = io::stdout();
    let ended = match Arguments::try_parse() {
        Ok(arguments) => dispatch(arguments, &mut out),
        Err(error) if error.use_stderr() => Err(Failure::Usage(usage(&error))),
        // `--help` and `--version`.
        Err(error) => error.print().map_err(Failure::from),
    };
    match ended.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                // If stderr is closed, the exit code has to suffice.
                let message = invocation::with_command(&text::spelled_out(&message));
                let _ = writeln!(io::stderr(), "pushbell: {message}");
            }
            failure.exit_code().into()
        }
    }
}

/// clap's message about a wrong command line, without its prefix.
fn usage(error: &clap::Error) -> String {
    let text = error.render().to_string();
    text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()
}

/// Runs the asynchronous part of a command.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = runtime()?;
    let ended = runtime.block_on(work);
    // A blocking call that goes on, such as a read of the terminal, must not delay the exit.
    runtime.shutdown_background();
    ended
}

/// Shared context of all commands.
struct Context {
    paths: Paths,
    /// A configuration file was named, and so has to exist.
    config_named: bool,
}

fn dispatch(arguments: Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    let Arguments { config, log_level, command } = arguments;
    // Packages are built without a home directory.
    match &command {
        Some(Command::Completions { shell }) => return packaging::completions(*shell, out),
        Some(Command::Man) => return packaging::man(out),
        Some(_) | None => {}
    }
    let context = Context { config_named: config.is_some(), paths: Paths::find(config)? };
    let command = command.unwrap_or(Command::Run(Run::default()));
    // These write the file, or report its faults themselves.
    let copes_without_config =
        matches!(command, Command::Run(_) | Command::CheckConfig { .. } | Command::Doctor { .. });
    if !copes_without_config {
        context.check_named_config()?;
    }
    if !matches!(command, Command::Run(_)) {
        // `run` starts logging itself, at the level of its configuration.
        logging::start(log_level, Level::WARN)?;
    }
    match command {
        Command::Run(Run { no_tray }) => {
            let page = page::serving(page::AccountCommands {
                sign_in: login::for_page,
                sign_out: logout::for_page,
                verify: verify::for_page,
            });
            app::run(RunOptions { paths: context.paths, no_tray, log_level, page })
        }
        Command::Login(asked) => login::run(&context, &asked, out),
        Command::Logout(which) => logout::run(&context, &which, out),
        Command::Verify(asked) => verify::run(&context, &asked, out),
        Command::Room(command) => room::run(&context, command, out),
        Command::Account(command) => account::run(&context, command, out),
        Command::Open { section } => open::run(&context, section, out),
        Command::Test(asked) => test::run(&context, &asked, out),
        Command::Status { json } => status::run(&context, json, out),
        Command::Doctor { json } => doctor::run(&context, json, out),
        Command::History(asked) => history::run(&context, &asked, out),
        Command::Clear => {
            context.ask(&Request::Clear)?;
            Ok(writeln!(out, "Everything is read.")?)
        }
        Command::Pause { length } => {
            let until = pause::end(&length, &Zoned::now()).map_err(|error| Failure::Usage(error.to_string()))?;
            context.ask(&Request::Pause { until })?;
            Ok(writeln!(out, "Paused {}.", control::until(until.unwrap_or(Timestamp::MAX)))?)
        }
        Command::Resume => {
            context.ask(&Request::Resume)?;
            Ok(writeln!(out, "Resumed.")?)
        }
        Command::Unmute => {
            context.ask(&Request::Unmute)?;
            Ok(writeln!(out, "All rooms are shown again.")?)
        }
        Command::CheckConfig { file } => check_config(&context, file.as_deref(), out),
        Command::Autostart(asked) => autostart::run(&context, asked, out),
        // Handled above.
        Command::Completions { .. } | Command::Man => Ok(()),
    }
}

impl Context {
    /// Asks the running program.
    fn ask(&self, request: &Request) -> Result<Reply, AskError> {
        ask_blocking(&self.paths, request)
    }

    /// The status of the running program.
    fn status(&self) -> Result<Status, AskError> {
        self.ask(&Request::Status)?.into_status()
    }

    /// As [`Self::ask`]; false if no program accepts commands.
    fn tell(&self, request: &Request) -> Result<bool, AskError> {
        match self.ask(request) {
            Ok(_) => Ok(true),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The secrets. A person at the terminal has time to unlock the keyring.
    fn secrets(&self, person: Option<&Person>) -> Secrets {
        Secrets::of_a_command(&self.paths, person.is_some())
    }

    /// The public address: that of the running program, or else the configured one.
    fn public_url(&self) -> Result<String, Failure> {
        if let Ok(status) = self.status() {
            return Ok(status.public_url);
        }
        Ok(self.config()?.server.base_url())
    }

    /// The configuration file; the default configuration until the first start has written one.
    ///
    /// # Errors
    /// When the file is invalid, even if the running program uses a copy of the last valid one.
    fn config(&self) -> Result<Config, ConfigError> {
        if !self.has_config_file() {
            return Ok(Config::default());
        }
        let InForce { config, fault, .. } = config::in_force(&self.paths)?;
        fault.map_or(Ok(config), Err)
    }

    fn has_config_file(&self) -> bool {
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        self.config_named || is_there(&self.paths.config) || is_there(&self.paths.last_good_config)
    }

    /// A configuration file that was named has to exist, whether or not the command needs it.
    fn check_named_config(&self) -> Result<(), ConfigError> {
        match self.paths.config.metadata() {
            Err(error) if self.config_named => {
                let file = self.paths.config.display().to_string();
                Err(ConfigError::Unreadable { file, source: ReadError::from(error) })
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

fn check_config(context: &Context, file: Option<&Path>, out: &mut dyn Write) -> Result<(), Failure> {
    let path = file.unwrap_or(&context.paths.config);
    if file.is_none() && !context.has_config_file() {
        return Ok(writeln!(out, "{} is not there yet: `pushbell` writes it when it first starts.", path.display())?);
    }
    match if file.is_some() { Config::load(path) } else { context.config() } {
        Ok(config) => {
            let faults = sound::faults(&config.sound, &context.paths.sounds, false);
            if faults.is_empty() {
                return Ok(writeln!(out, "{} is good", path.display())?);
            }
            for fault in faults {
                writeln!(out, "{}: {}", path.display(), output::harmless(&fault))?;
            }
            Err(Failure::Reported(failure::BAD_CONFIG))
        }
        Err(error) => {
            writeln!(out, "{}", text::spelled_out(&error.to_string()))?;
            Err(Failure::Reported(failure::BAD_CONFIG))
        }
    }
}
