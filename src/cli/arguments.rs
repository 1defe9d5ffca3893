//! The definition of the command line.

use std::path::PathBuf;

use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use clap_complete::Shell;
use tracing::Level;

use crate::{
    accounts::{CountsScope, Way},
    app_info,
    control::Section,
    homeserver::push_rules::RoomNotify,
    sample::Kind,
};

const GLOBAL: &str = "Global options";

/// A command and its effect on each line.
pub(super) const EXAMPLES: &str =
    "  pushbell login @alice:example.org   sign in to your homeserver, and see that a push arrives
  pushbell                            start; popups, sounds and a badge from now on
  pushbell test --kind mention        see and hear what a mention does
  pushbell status                     is it running, and is everything well?
  pushbell pause until 08:00          no popups and sounds until the morning";

pub(super) const EXIT_CODES: &str = "\
0 done, 1 failed, 2 wrong usage, 3 signed in but no push has come yet, 69 Pushbell is not running, 78 the configuration is not good.";

/// A Matrix http pusher's endpoint on the desktop itself: pushes become popups, sounds and a badge in the tray.
#[derive(Debug, Parser)]
#[command(name = "pushbell", version = app_info::VERSION, after_help = format!("Examples:\n{EXAMPLES}\n\nExit codes: {EXIT_CODES}"))]
pub(super) struct Arguments {
    /// Use this configuration file
    #[arg(long, global = true, value_name = "FILE", env = "PUSHBELL_CONFIG", hide_env_values = true)]
    #[arg(help_heading = GLOBAL)]
    pub(super) config: Option<PathBuf>,
    /// Log so much to stderr, whatever the configuration says: error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", hide_possible_values = true, help_heading = GLOBAL)]
    #[arg(value_parser = log_levels())]
    pub(super) log_level: Option<Level>,
    /// What to do; nothing said is `run`
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run in the tray (what `pushbell` alone does)
    Run(Run),
    /// Sign in to your homeserver, have it push to this desktop, and see that a push arrives
    Login(Login),
    /// Have your homeserver push no more, and sign out
    Logout(Logout),
    /// Make an account's session a verified one, so that encrypted messages can be read
    Verify(Verify),
    /// List, show and set what rooms notify of, on all your devices
    #[command(subcommand)]
    Room(Room),
    /// Make, list, show and remove accounts that are registered by hand
    #[command(subcommand)]
    Account(Account),
    /// Open Pushbell's page in the browser: inbox, set-up, settings and health
    Open {
        /// Where
        #[arg(value_enum, default_value_t = Section::Inbox, hide_default_value = true)]
        section: Section,
    },
    /// Send a sample push to the running Pushbell, the way a homeserver does
    Test(Test),
    /// Say whether Pushbell is running, and how it is
    Status {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Check each part, and say what to do about each fault
    Doctor {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print the inbox, newest first
    History(History),
    /// Set the badge to zero, withdraw all popups, and count everything as read
    Clear,
    /// Show no popups and play no sounds for a while; notices are kept and counted
    Pause {
        /// How long: "30m", "2h" or "until 08:00" [default: until `pushbell resume`]
        #[arg(num_args = 0..=2, value_name = "LENGTH")]
        length: Vec<String>,
    },
    /// End a pause; what came meanwhile is shown in one summary
    Resume,
    /// Show the messages of all rooms again that were muted from a popup
    Unmute,
    /// Check a configuration file and say where its faults are
    CheckConfig {
        /// The file to check [default: the one that Pushbell uses]
        file: Option<PathBuf>,
    },
    /// Start with the desktop, or no longer, or say whether it does
    #[command(subcommand)]
    Autostart(Autostart),
    /// Print a shell's completions, for packagers
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page, for packagers
    Man,
}

/// `pushbell autostart`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(super) enum Autostart {
    /// Start with the desktop, by what fits it
    On,
    /// Do not start with the desktop
    Off,
    /// Say whether it starts with the desktop, and by what
    Status,
}

/// `pushbell run`
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct Run {
    /// Do without a tray icon, on a desktop that has no tray
    #[arg(long)]
    pub(super) no_tray: bool,
}

/// `pushbell login`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(super) struct Login {
    /// Your user ID: @alice:example.org
    #[arg(value_name = "@USER:SERVER")]
    pub(super) user: String,
    /// Where the homeserver is [default: found from the user ID]
    #[arg(long, value_name = "URL")]
    pub(super) homeserver: Option<String>,
    /// Read the password from the first line of this file; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "token_file")]
    pub(super) password_file: Option<PathBuf>,
    /// Use the access token on the first line of this file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Verify the new session with the recovery key or passphrase on the first line of this file; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "token_file")]
    pub(super) recovery_key_file: Option<PathBuf>,
    /// Take pushes where they come, and else a connection as of --listen: the default, unless another was chosen before
    #[arg(long, conflicts_with_all = ["push", "listen", "ntfy"])]
    pub(super) auto: bool,
    /// Have the homeserver push to this computer, and nothing else
    #[arg(long)]
    pub(super) push: bool,
    /// Keep a connection to the homeserver open instead, over which it says what is new: nothing has to reach this computer
    #[arg(long, conflicts_with_all = ["push", "token_file", "event_id_only"])]
    pub(super) listen: bool,
    /// Have the homeserver push to this ntfy server, which Pushbell keeps a connection to
    #[arg(long, value_name = "URL", conflicts_with_all = ["push", "listen", "event_id_only"])]
    pub(super) ntfy: Option<String>,
    /// Have the homeserver send no content: sender, room and text are fetched from it
    #[arg(long)]
    pub(super) event_id_only: bool,
    /// How long to wait for a first push [default: 60 without a terminal, 600 with one]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(super) wait: Option<u64>,
    /// Go on even though the homeserver cannot reach this computer, or is not reached over https
    #[arg(long)]
    pub(super) anyway: bool,
}

impl Login {
    /// With a user ID alone.
    pub(super) fn of(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            homeserver: None,
            password_file: None,
            token_file: None,
            recovery_key_file: None,
            auto: false,
            push: false,
            listen: false,
            ntfy: None,
            event_id_only: false,
            wait: None,
            anyway: false,
        }
    }

    /// The way that is chosen, if one is.
    pub(super) fn way(&self) -> Option<Way> {
        let chosen = [
            (self.auto, Way::Auto),
            (self.push, Way::Push),
            (self.listen, Way::Listen),
            (self.ntfy.is_some(), Way::Ntfy),
        ];
        chosen.into_iter().find_map(|(is_chosen, way)| is_chosen.then_some(way))
    }
}

/// `pushbell logout`
#[derive(Debug, Args)]
pub(super) struct Logout {
    /// The account's name, or its user ID
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(super) name: Option<String>,
    /// Sign out of every account that is signed in
    #[arg(long)]
    pub(super) all: bool,
    /// Forget the session even though its homeserver cannot be told
    #[arg(long)]
    pub(super) anyway: bool,
}

/// `pushbell verify`
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The account's name, or its user ID [default: the only one that is signed in]
    pub(super) name: Option<String>,
    /// Read the recovery key or passphrase from the first line of this file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) recovery_key_file: Option<PathBuf>,
    /// Also read what has not been sent to this session from the account's key backup, which the recovery key opens: with
    /// it this computer can read the account's whole history
    #[arg(long)]
    pub(super) with_backup: bool,
}

/// `pushbell room`
#[derive(Debug, Subcommand)]
pub(super) enum Room {
    /// List the rooms that messages have come from, and those that have a rule of their own
    List {
        /// Only those of this account, by its name or user ID
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Say what a room notifies of
    Show {
        #[command(flatten)]
        which: WhichRoom,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Set what a room notifies of, as your client does
    Set(SetRoom),
}

/// A room of an account.
#[derive(Debug, Args)]
pub(super) struct WhichRoom {
    /// The room: its id, its alias, or the name that its popups have
    #[arg(value_name = "ROOM")]
    pub(super) room: String,
    /// The account, by its name or user ID [default: the only one that is signed in]
    #[arg(long, value_name = "NAME")]
    pub(super) account: Option<String>,
}

/// `pushbell room set`
#[derive(Debug, Args)]
pub(super) struct SetRoom {
    #[command(flatten)]
    pub(super) which: WhichRoom,
    /// What it notifies of
    #[arg(long, value_enum)]
    pub(super) notify: RoomNotify,
    /// With "mentions" in an encrypted room: have every message of it be pushed, so that Pushbell finds the mentions; your
    /// other devices are woken too
    #[arg(long, conflicts_with = "no_override")]
    pub(super) with_override: bool,
    /// Do not, and do not ask
    #[arg(long)]
    pub(super) no_override: bool,
}

/// `pushbell account`
#[derive(Debug, Subcommand)]
pub(super) enum Account {
    /// Make an account, and say how to register it with a homeserver
    Add(AddAccount),
    /// List all accounts
    List {
        /// Take the list as it is, though something else than Pushbell has changed its file
        #[arg(long)]
        accept: bool,
    },
    /// Print an account's URL, `app_id` and pushkey, and a request to paste
    Show {
        /// The account's name
        name: String,
    },
    /// Remove an account: its homeserver is told so at its next push
    Remove {
        /// The account's name
        name: String,
    },
}

/// `pushbell account add`
#[derive(Debug, Args)]
pub(super) struct AddAccount {
    /// What to call it, for example "home"
    pub(super) name: String,
    /// The pusher's `app_id`, at most 64 characters
    #[arg(long, value_name = "APP_ID", default_value = app_info::APP_ID)]
    pub(super) app_id: String,
    /// The pusher's pushkey, at most 512 bytes [default: 256 random bits]
    #[arg(long, value_name = "PUSHKEY")]
    pub(super) pushkey: Option<String>,
    /// What the unread number of a push counts
    #[arg(long, value_enum, default_value_t)]
    pub(super) counts: CountsScope,
}

/// `pushbell test`
#[derive(Debug, Args)]
pub(super) struct Test {
    /// What the push is about
    #[arg(long, value_enum, default_value_t = Kind::Message)]
    pub(super) kind: Kind,
    /// The account that it is for [default: the first]
    #[arg(long, value_name = "NAME")]
    pub(super) account: Option<String>,
}

/// `pushbell history`
#[derive(Debug, Args)]
pub(super) struct History {
    /// How many notices at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(super) limit: usize,
    /// Print one JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// The log levels by name.
fn log_levels() -> impl TypedValueParser<Value = Level> {
    PossibleValuesParser::new(["error", "warn", "info", "debug", "trace"]).try_map(|level| level.parse::<Level>())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        Arguments::command().debug_assert();
    }
}
