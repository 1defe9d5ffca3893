//! Reads the user's files, which have to be valid before anything is bound.

use std::path::Path;

use super::config_file;
use crate::{
    accounts::{Account, Accounts, AccountsFile, FIRST_ACCOUNT},
    app_info,
    config::{Config, InForce},
    controller::ProblemKind,
    failure::Failure,
    inbox::Inbox,
    invocation,
    paths::Paths,
    platform::files,
    registration,
};

/// The app icon.
const ICON: &[u8] = include_bytes!("../../assets/icons/pushbell-128.png");

/// The parts needed for a start.
pub(super) struct Start {
    pub(super) paths: Paths,
    pub(super) config: Config,
    pub(super) inbox: Inbox,
    /// The app icon for popups: a file, or a name in the icon theme.
    pub(super) icon: String,
    /// At a first start, the text of the welcome.
    pub(super) welcome: Option<String>,
    /// The fault of the configuration file, if a copy is in force.
    pub(super) config_problem: Option<(ProblemKind, String)>,
}

impl Start {
    /// Opens the inbox; a first start creates an account.
    pub(super) fn prepare(paths: Paths, in_force: InForce, is_first_run: bool) -> Result<Self, Failure> {
        let InForce { config, text, fault } = in_force;
        AccountsFile::new(&paths.accounts).remove_leftovers();
        // Accounts come before the inbox: accounts missing beside an existing inbox were lost, and must not be created
        // anew.
        let welcome = is_first_run.then(|| welcome(&paths, &config)).transpose()?;
        let inbox = Inbox::open(&paths.database, (&config).into())?;
        if let Some(text) = text {
            config_file::keep(&paths, &text);
        }
        let config_problem = fault.map(|fault| (ProblemKind::Configuration, config_file::problem(&paths, &fault)));
        let icon = icon(&paths.icon);
        Ok(Self { paths, config, inbox, icon, welcome, config_problem })
    }
}

/// Creates the first account, and describes how to register it.
fn welcome(paths: &Paths, config: &Config) -> Result<String, Failure> {
    let account = first_account(paths)?;
    let pushbell = invocation::command();
    let by_hand = if super::is_logged() {
        // Pushkeys are never logged.
        format!("`{pushbell} account show {FIRST_ACCOUNT}` says how to do it by hand.")
    } else {
        format!(
            "Or do it by hand, with the account \"{FIRST_ACCOUNT}\" that was made for that. This is what a homeserver must \
             be told:\n\n{}\n\
             `{pushbell} account show {FIRST_ACCOUNT}` prints this again, `{pushbell} test` sends a test push.",
            registration::describe(&account, None, &config.server.base_url())
        )
    };
    Ok(format!(
        "Pushbell is ready. `{pushbell} login @you:example.org` connects your homeserver.

{by_hand}"
    ))
}

/// Reads the accounts. An unreadable file is a problem, but does not prevent the start.
pub(super) fn accounts(path: &Path) -> (Accounts, Option<(ProblemKind, String)>) {
    let accounts = Accounts::read(path).unwrap_or_else(|error| Accounts::unavailable(&error));
    let problem = accounts.unreadable().map(|reason| (ProblemKind::Accounts, reason.to_owned()));
    (accounts, problem)
}

fn first_account(paths: &Paths) -> Result<Account, Failure> {
    let account = Account::by_hand(FIRST_ACCOUNT)
        .map_err(|error| Failure::Failed(format!("no random numbers for a pushkey: {error}")))?;
    AccountsFile::new(&paths.accounts).add(account.clone())?;
    Ok(account)
}

/// Writes the app icon to a file, since the program may run without being installed.
fn icon(path: &Path) -> String {
    let written = path
        .parent()
        .map_or(Ok(()), files::create_private_directory)
        .and_then(|()| if path.exists() { Ok(()) } else { files::replace_private(path, ICON) });
    match written {
        Ok(()) => path.display().to_string(),
        Err(error) => {
            tracing::warn!("popups have no icon: {}: {error}", path.display());
            app_info::APP_ID.to_owned()
        }
    }
}
