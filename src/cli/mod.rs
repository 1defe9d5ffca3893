//! The command line: every command, what it prints, and how it ends.

mod account;
pub mod arguments;
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

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use jiff::Zoned;
use tokio::runtime::Runtime;
use tracing::Level;

use crate::{
    app::{self, RunOptions},
    config::{Config, ConfigError},
    control::{Reply, Request, Status, ask},
    failure::{self, Failure},
    logging,
    paths::Paths,
    platform::console,
    push::text,
    sound,
};
use arguments::{Arguments, CheckConfig, Command, Run};

/// Does what the command line says, and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    console::attach();
    let arguments = Arguments::parse();
    let mut out = io::stdout();
    let ended = dispatch(arguments, &mut out).and_then(|()| Ok(out.flush()?));
    match ended {
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

/// What runs a command that waits for others.
fn runtime() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Failed(format!("the runtime cannot be started: {error}")))
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
    if !matches!(command, Command::Run(_)) {
        // The running program starts it itself, as its configuration says.
        logging::start(log_level, Level::WARN).map_err(|error| Failure::Failed(error.to_string()))?;
    }
    match command {
        Command::Run(Run { no_tray }) => app::run(RunOptions { paths: context.paths, no_tray, log_level }),
        Command::Login(asked) => login::run(&context, &asked, out),
        Command::Logout(which) => logout::run(&context, &which, out),
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
            let until = pause::end(&asked.length, &Zoned::now()).map_err(Failure::Usage)?;
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
        Command::CheckConfig(asked) => check_config(&context, asked, out),
        Command::Autostart(asked) => autostart::run(&context, asked, out),
        // Done above.
        Command::Completions(_) | Command::Man => Ok(()),
    }
}

impl Context {
    /// How the running program is.
    fn status(&self) -> Result<Status, Failure> {
        match ask(&self.paths.control, &Request::Status)? {
            Reply::Status(status) => Ok(*status),
            Reply::Done | Reply::Pushed { .. } => {
                Err(Failure::Failed("the running Pushbell did not say how it is".to_owned()))
            }
            Reply::Failed { reason } => Err(Failure::Failed(output::harmless(&reason))),
        }
    }

    /// Tells the running program to do something.
    fn tell(&self, request: &Request) -> Result<(), Failure> {
        match ask(&self.paths.control, request)? {
            Reply::Done | Reply::Status(_) | Reply::Pushed { .. } => Ok(()),
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

    /// The configuration; the default one until the first start has written a file.
    fn config(&self) -> Result<Config, ConfigError> {
        if self.has_config_file() { Config::load(&self.paths.config) } else { Ok(Config::default()) }
    }

    fn has_config_file(&self) -> bool {
        self.config_named || self.paths.config.symlink_metadata().is_ok()
    }
}

fn check_config(context: &Context, asked: CheckConfig, out: &mut dyn Write) -> Result<(), Failure> {
    let path: PathBuf = match asked.file {
        Some(file) => file,
        None if context.has_config_file() => context.paths.config.clone(),
        None => {
            let path = context.paths.config.display();
            return Ok(writeln!(out, "{path} is not there yet: `pushbell` writes it when it first starts.")?);
        }
    };
    match Config::load(&path) {
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
