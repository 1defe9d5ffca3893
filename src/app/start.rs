//! What must be good before anything is bound: the configuration and the inbox; and reading the accounts.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::{
    accounts::{Account, Accounts, AccountsFile, CountsScope, FIRST_ACCOUNT, new_pushkey},
    cli::{Failure, registration},
    config::{self, Config},
    controller::{Topic, WELCOME, own_popup},
    desktop::popup::Popup,
    identity,
    inbox::{Inbox, Retention},
    paths::Paths,
    platform::files,
};

/// The app icon.
const ICON: &[u8] = include_bytes!("../../assets/icons/pushbell-128.png");

/// What the parts are made from.
pub(super) struct Start {
    pub(super) paths: Paths,
    pub(super) config: Config,
    pub(super) inbox: Inbox,
    /// The app icon for popups: a file, or a name that an icon theme may know.
    pub(super) icon: String,
    /// A popup to begin with.
    pub(super) announcement: Option<Popup>,
}

/// Reads the configuration; a first start writes the commented default before.
pub(super) fn configuration(paths: &Paths) -> Result<Config, Failure> {
    config::write_default(&paths.config).map_err(|error| {
        Failure::Failed(format!("{}: the default configuration cannot be written: {error}", paths.config.display()))
    })?;
    Ok(Config::load(&paths.config)?)
}

impl Start {
    /// Opens the inbox; a first start makes an account and says how to register it.
    pub(super) fn prepare(paths: Paths, config: Config, news: &Arc<Notify>) -> Result<Self, Failure> {
        // Accounts come before the inbox: accounts that are missing beside an inbox were lost, and must not be made anew.
        let mut announcement = None;
        if is_missing(&paths.accounts)? && is_missing(&paths.database)? {
            let account = first_account(&paths)?;
            let url = config.server.base_url();
            let by_hand = if super::is_logged() {
                // The pushkey is nothing for a log.
                format!("`pushbell account show {FIRST_ACCOUNT}` says how to do it by hand.")
            } else {
                format!(
                    "Or do it by hand, with the account \"{FIRST_ACCOUNT}\" that was made for that. This is what a \
                     homeserver must be told:\n\n{}\n\
                     `pushbell account show {FIRST_ACCOUNT}` prints this again, `pushbell test` sends a test push.",
                    registration::describe(&account, &url)
                )
            };
            super::say(&format!(
                "Pushbell is ready. `pushbell login @you:example.org` connects your homeserver.\n\n{by_hand}"
            ))?;
            announcement = Some(own_popup(WELCOME, "Click to see how to connect your homeserver."));
        }
        let inbox = Inbox::open(&paths.database, retention(&config), Arc::clone(news))?;
        let icon = icon(&paths.icon);
        Ok(Self { paths, config, inbox, icon, announcement })
    }
}

/// Reads the accounts. That they cannot be read is a problem, but does not keep the rest from running.
pub(super) fn accounts(path: &Path) -> (Accounts, Option<(Topic, String)>) {
    match Accounts::read(path) {
        Ok(accounts) => (accounts, None),
        Err(error) => (Accounts::unavailable(&error), Some((Topic::Accounts, error.to_string()))),
    }
}

/// How the configuration says that the inbox is kept.
pub(super) fn retention(config: &Config) -> Retention {
    Retention { keep_days: config.history.keep_days, keep_bodies: config.history.keep_bodies }
}

fn is_missing(path: &Path) -> Result<bool, Failure> {
    path.try_exists().map(|exists| !exists).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
}

fn first_account(paths: &Paths) -> Result<Account, Failure> {
    let account = Account {
        name: FIRST_ACCOUNT.into(),
        app_id: identity::APP_ID.to_owned(),
        pushkey: new_pushkey().map_err(|error| Failure::Failed(format!("no random numbers for a pushkey: {error}")))?,
        counts: CountsScope::Account,
        created_at: Timestamp::now(),
        sign_in: None,
    };
    AccountsFile::new(&paths.accounts).add(account.clone())?;
    Ok(account)
}

/// Puts the app icon into a file, since the program may run without being installed.
fn icon(path: &Path) -> String {
    let written = path
        .parent()
        .map_or(Ok(()), files::create_private_directory)
        .and_then(|()| if path.exists() { Ok(()) } else { files::replace_private(path, ICON) });
    match written {
        Ok(()) => path.display().to_string(),
        Err(error) => {
            tracing::warn!("popups have no icon: {}: {error}", path.display());
            identity::APP_ID.to_owned()
        }
    }
}
