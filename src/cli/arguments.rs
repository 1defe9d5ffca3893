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
pub(super) const EXAMPLES: &str = "  pushbell login @alice:example.org   connect your homeserver, and see that it works
  pushbell                            start; popups, sounds and a badge from now on
  pushbell test --kind mention        see and hear what a mention does
  pushbell status                     is it running, and does everything work?
  pushbell pause until 08:00          no popups and sounds until the morning";

pub(super) const EXIT_CODES: &str = "\
0 done, 1 failed, 2 wrong usage, 3 signed in but no push has arrived yet, 69 Pushbell is not running, 78 invalid configuration.";

/// Notifications from your Matrix homeserver on the desktop: popups, sounds and a badge in the tray.
#[derive(Debug, Parser)]
#[command(name = "pushbell", version = app_info::VERSION, after_help = format!("Examples:\n{EXAMPLES}\n\nExit codes: {EXIT_CODES}"))]
pub(super) struct Arguments {
    /// Use this configuration file
    #[arg(long, global = true, value_name = "FILE", env = "PUSHBELL_CONFIG", hide_env_values = true)]
    #[arg(help_heading = GLOBAL)]
    pub(super) config: Option<PathBuf>,
    /// Log to stderr at this level, overriding the configuration: error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", hide_possible_values = true, help_heading = GLOBAL)]
    #[arg(value_parser = log_levels())]
    pub(super) log_level: Option<Level>,
    /// The command; `run` if none is given
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run in the tray (the default)
    Run(Run),
    /// Connect your homeserver: sign in, and wait until a notification has arrived
    Login(Login),
    /// Disconnect your homeserver: remove the pusher, and sign out
    Logout(Logout),
    /// Verify an account's session, so that encrypted messages can be read
    Verify(Verify),
    /// Show and change the notification settings of rooms, on all your devices
    #[command(subcommand)]
    Room(Room),
    /// Manage accounts that are registered by hand, without signing in
    #[command(subcommand)]
    Account(Account),
    /// Open Pushbell's page in the browser: inbox, set-up, settings and health
    Open {
        /// The part of the page
        #[arg(value_enum, default_value_t = Section::Inbox, hide_default_value = true)]
        section: Section,
    },
    /// Send a sample push to the running Pushbell, the way a homeserver does
    Test(Test),
    /// Show whether Pushbell is running, and the state of each part
    Status {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Find out what keeps notifications away, and what to do about it
    Doctor {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print received notifications, newest first
    History(History),
    /// Mark everything as read: badge to zero, popups withdrawn
    Clear,
    /// Show no popups and play no sounds for a while; notices are kept and counted
    Pause {
        /// How long: "30m", "2h" or "until 08:00" [default: until `pushbell resume`]
        #[arg(num_args = 0..=2, value_name = "LENGTH")]
        length: Vec<String>,
    },
    /// End a pause; what arrived meanwhile is shown in one summary
    Resume,
    /// Unmute all rooms that were muted from a popup
    Unmute,
    /// Check a configuration file and show where its faults are
    CheckConfig {
        /// The file to check [default: the one that Pushbell uses]
        file: Option<PathBuf>,
    },
    /// Switch starting with the desktop on or off, or show whether it is on
    #[command(subcommand)]
    Autostart(Autostart),
    /// Print shell completions, for packagers
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
    /// Start with the desktop, by the method that suits it
    On,
    /// Do not start with the desktop
    Off,
    /// Show whether it starts with the desktop, and by which method
    Status,
}

/// `pushbell run`
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct Run {
    /// Run without a tray icon, on a desktop that has no tray
    #[arg(long)]
    pub(super) no_tray: bool,
}

/// `pushbell login`
#[derive(Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(super) struct Login {
    /// Your user ID: @alice:example.org
    #[arg(value_name = "@USER:SERVER")]
    pub(super) user: String,
    /// The homeserver's address [default: found from the user ID]
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
    /// Use pushes where they arrive, else --listen [default, unless another way was chosen before]
    #[arg(long, conflicts_with_all = ["push", "listen", "ntfy"])]
    pub(super) auto: bool,
    /// Use pushes to this computer only
    #[arg(long)]
    pub(super) push: bool,
    /// Use a connection to the homeserver that is kept open: nothing has to reach this computer
    #[arg(long, conflicts_with_all = ["push", "token_file", "event_id_only"])]
    pub(super) listen: bool,
    /// Use this ntfy server: the homeserver pushes to it, and Pushbell keeps a connection to it open
    #[arg(long, value_name = "URL", conflicts_with_all = ["push", "listen", "event_id_only"])]
    pub(super) ntfy: Option<String>,
    /// Read the ntfy server's access token, if it requires one, from the first line of this file; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "ntfy")]
    pub(super) ntfy_token_file: Option<PathBuf>,
    /// Have pushes contain event ids only: sender, room and text are fetched from the homeserver
    #[arg(long)]
    pub(super) event_id_only: bool,
    /// How long to wait for the first push [default: 60 without a terminal, 600 with one]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(super) wait: Option<u64>,
    /// Continue although the homeserver cannot reach this computer, or is not reached over https
    #[arg(long)]
    pub(super) anyway: bool,
}

impl Login {
    /// With a user ID alone.
    pub(super) fn of(user: &str) -> Self {
        Self { user: user.to_owned(), ..Self::default() }
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
    /// Sign out of all accounts
    #[arg(long)]
    pub(super) all: bool,
    /// Forget the session even if its homeserver cannot be reached
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
    /// Also fetch missing keys from the account's key backup, which the recovery key opens; this computer can then read
    /// the account's whole history
    #[arg(long)]
    pub(super) with_backup: bool,
}

/// `pushbell room`
#[derive(Debug, Subcommand)]
pub(super) enum Room {
    /// List the rooms with messages in the inbox, and those with a rule of their own
    List {
        /// Only those of this account, by its name or user ID
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Print JSON, one object per line
        #[arg(long)]
        json: bool,
    },
    /// Show the notification setting of a room
    Show {
        #[command(flatten)]
        which: WhichRoom,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Change the notification setting of a room, as your client does
    Set(SetRoom),
}

/// A room of an account.
#[derive(Debug, Args)]
pub(super) struct WhichRoom {
    /// The room: its id, its alias, or its name as in popups
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
    /// The messages that notify you
    #[arg(long, value_enum)]
    pub(super) notify: RoomNotify,
    /// With "mentions" in an encrypted room: have every message pushed, so that Pushbell finds the mentions; this also
    /// wakes your other devices
    #[arg(long, conflicts_with = "no_override")]
    pub(super) with_override: bool,
    /// Do not do that, and do not ask
    #[arg(long)]
    pub(super) no_override: bool,
}

/// `pushbell account`
#[derive(Debug, Subcommand)]
pub(super) enum Account {
    /// Create an account, and show how to register it with a homeserver
    Add(AddAccount),
    /// List all accounts
    List {
        /// Accept the list although its file was changed by something other than Pushbell
        #[arg(long)]
        accept: bool,
    },
    /// Print an account's URL, `app_id` and pushkey, and a request to paste
    Show {
        /// The account's name
        name: String,
    },
    /// Remove an account; its homeserver removes the pusher at the next push
    Remove {
        /// The account's name
        name: String,
    },
}

/// `pushbell account add`
#[derive(Debug, Args)]
pub(super) struct AddAccount {
    /// A name for it, for example "home"
    pub(super) name: String,
    /// The pusher's `app_id`, at most 64 characters
    #[arg(long, value_name = "APP_ID", default_value = app_info::APP_ID)]
    pub(super) app_id: String,
    /// The pusher's pushkey, at most 512 bytes [default: 256 random bits]
    #[arg(long, value_name = "PUSHKEY")]
    pub(super) pushkey: Option<String>,
    /// What the unread count of a push refers to
    #[arg(long, value_enum, default_value_t)]
    pub(super) counts: CountsScope,
    /// Use this ntfy server: the homeserver pushes to it, and Pushbell keeps a connection to it open. A popup says only
    /// that there is something new
    #[arg(long, value_name = "URL", conflicts_with_all = ["pushkey", "counts"])]
    pub(super) ntfy: Option<String>,
    /// Read the ntfy server's access token, if it requires one, from the first line of this file; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "ntfy")]
    pub(super) ntfy_token_file: Option<PathBuf>,
}

/// `pushbell test`
#[derive(Debug, Args)]
pub(super) struct Test {
    /// The kind of notification
    #[arg(long, value_enum, default_value_t = Kind::Message)]
    pub(super) kind: Kind,
    /// The account [default: the first]
    #[arg(long, value_name = "NAME")]
    pub(super) account: Option<String>,
}

/// `pushbell history`
#[derive(Debug, Args)]
pub(super) struct History {
    /// Maximum number of notifications
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(super) limit: usize,
    /// Only those of this account, by its name or user ID
    #[arg(long, value_name = "NAME")]
    pub(super) account: Option<String>,
    /// Only those of rooms with this id, alias or part of a name; of direct rooms the sender's name
    #[arg(long, value_name = "TEXT")]
    pub(super) room: Option<String>,
    /// Only unread ones
    #[arg(long)]
    pub(super) unread: bool,
    /// Print JSON, one object per line
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
