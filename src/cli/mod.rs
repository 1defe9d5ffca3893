//! The command line: every command, what it prints, and how it ends.

mod account;
mod arguments;
mod autostart;
mod completions;
mod doctor;
mod history;
mod login;
mod logout;
mod man;
mod output;
mod pause;
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
use jiff::Zoned;
use tracing::Level;

use crate::{
    app::{self, RunOptions, runtime},
    config::{self, Config, ConfigError, InForce, ReadError},
    control::{Reply, Request, Status, ask},
    failure::{self, Failure},
    logging,
    paths::Paths,
    platform::console,
    push::text,
    sound,
};
use arguments::{Arguments, CheckConfig, Command, Run};

/// Does what the command line says, and says how it ended. What is wrong is one message on stderr that begins with
/// "pushbell: ", whoever finds it.
#[must_use]
pub fn main() -> ExitCode {
    console::attach();
    let mut out = io::stdout();
    let ended = match Arguments::try_parse() {
        Ok(arguments) => dispatch(arguments, &mut out),
        Err(error) if error.use_stderr() => Err(Failure::Usage(usage(&error))),
        // Help and version: asked for.
        Err(error) => error.print().map_err(Failure::from),
    };
    match ended.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                // Where stderr is closed, the exit code has to do.
                let _ = writeln!(io::stderr(), "pushbell: {}", text::spelled_out(&message));
            }
            failure.exit_code().into()
        }
    }
}

/// What clap says of a wrong command line, without its own prefix.
fn usage(error: &clap::Error) -> String {
    let text = error.render().to_string();
    text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()
}

/// What every command starts from.
struct Context {
    paths: Paths,
    /// A configuration file was named: it must be there.
    config_named: bool,
}

fn dispatch(arguments: Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    let Arguments { config, log_level, command } = arguments;
    let log_level = log_level.map(Level::from);
    // A package is built where nobody has a home.
    match &command {
        Some(Command::Completions(asked)) => return completions::run(*asked, out),
        Some(Command::Man) => return man::run(out),
        Some(_) | None => {}
    }
    let context = Context { config_named: config.is_some(), paths: Paths::find(config)? };
    let command = command.unwrap_or(Command::Run(Run::default()));
    // These make the file, or say themselves what is wrong with it.
    let copes_without_config = matches!(command, Command::Run(_) | Command::CheckConfig(_) | Command::Doctor(_));
    if !copes_without_config {
        context.check_named_config()?;
    }
    if !matches!(command, Command::Run(_)) {
        // The running program starts it itself, as its configuration says.
        logging::start(log_level, Level::WARN).map_err(|error| Failure::Failed(error.to_string()))?;
    }
    match command {
        Command::Run(Run { no_tray }) => app::run(RunOptions { paths: context.paths, no_tray, log_level }),
        Command::Login(asked) => login::run(&context, &asked, out),
        Command::Logout(which) => logout::run(&context, &which, out),
        Command::Verify(asked) => verify::run(&context, &asked, out),
        Command::Account(command) => account::run(&context, command, out),
        Command::Test(asked) => test::run(&context, &asked, out),
        Command::Status(asked) => status::run(&context, asked.json, out),
        Command::Doctor(asked) => doctor::run(&context, asked.json, out),
        Command::History(asked) => history::run(&context, &asked, out),
        Command::Clear => {
            context.tell(&Request::Clear)?;
            Ok(writeln!(out, "Everything is read.")?)
        }
        Command::Pause(asked) => {
            let until = pause::end(&asked.length, &Zoned::now()).map_err(|error| Failure::Usage(error.to_string()))?;
            context.tell(&Request::Pause { until })?;
            match until {
                Some(until) => writeln!(out, "Paused until {}.", output::local_time(until))?,
                None => writeln!(out, "Paused until `pushbell resume`.")?,
            }
            Ok(())
        }
        Command::Resume => {
            context.tell(&Request::Resume)?;
            Ok(writeln!(out, "Resumed.")?)
        }
        Command::CheckConfig(asked) => check_config(&context, &asked, out),
        Command::Autostart(asked) => autostart::run(&context, asked, out),
        // Done above.
        Command::Completions(_) | Command::Man => Ok(()),
    }
}

impl Context {
    /// How the running program is.
    fn status(&self) -> Result<Status, Failure> {
        match ask(&self.paths, &Request::Status)? {
            Reply::Status(status) => Ok(*status),
            Reply::Done | Reply::Pushed { .. } | Reply::Sample { .. } => {
                Err(Failure::Failed("the running Pushbell did not say how it is".to_owned()))
            }
            Reply::Failed { reason } => Err(Failure::Failed(output::harmless(&reason))),
        }
    }

    /// Tells the running program to do something.
    fn tell(&self, request: &Request) -> Result<(), Failure> {
        match ask(&self.paths, request)? {
            Reply::Done | Reply::Status(_) | Reply::Pushed { .. } | Reply::Sample { .. } => Ok(()),
            Reply::Failed { reason } => Err(Failure::Failed(output::harmless(&reason))),
        }
    }

    /// The base address that homeservers are told: that of the running program, else the configured one.
    fn public_url(&self) -> Result<String, Failure> {
        match self.status() {
            Ok(status) => Ok(status.public_url),
            Err(_) => Ok(self.config()?.server.base_url()),
        }
    }

    /// The configuration file; the default configuration until the first start has written one.
    ///
    /// # Errors
    /// When the file is not good, even if the running program goes on with a copy of the last good one.
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

    /// A configuration file that was named must be there, whether the command needs it or not.
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

fn check_config(context: &Context, asked: &CheckConfig, out: &mut dyn Write) -> Result<(), Failure> {
    let path = asked.file.as_ref().unwrap_or(&context.paths.config);
    if asked.file.is_none() && !context.has_config_file() {
        return Ok(writeln!(out, "{} is not there yet: `pushbell` writes it when it first starts.", path.display())?);
    }
    match if asked.file.is_some() { Config::load(path) } else { context.config() } {
        Ok(config) => {
            let faults = sound::faults(&config.sound, &context.paths.sounds, false);
            if faults.is_empty() {
                return Ok(writeln!(out, "{} is good", path.display())?);
            }
            for fault in faults {
                writeln!(out, "{}: {}", path.display(), output::harmless(&fault))?;
            }
            Err(Failure::Told(failure::BAD_CONFIG))
        }
        Err(error) => {
            writeln!(out, "{}", text::spelled_out(&error.to_string()))?;
            Err(Failure::Told(failure::BAD_CONFIG))
        }
    }
}
