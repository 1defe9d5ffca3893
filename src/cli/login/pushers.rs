//! The pusher of the account, and the others that the homeserver has for this user.

use std::io::Write;

use super::{Failure, Login, output};
use crate::{
    accounts::{Account, Accounts},
    homeserver::{HomeserverClient, ListedPusher},
    invocation,
    ntfy::Relay,
    session,
};

/// Sets the account's pusher.
pub(super) async fn set(
    login: &Login<'_>,
    client: &HomeserverClient,
    account: &Account,
    relay: Option<&Relay>,
    reached_at: &str,
) -> Result<(), Failure> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].map(variable);
    let lang = session::language(locale.iter().map(String::as_str));
    let pusher = session::pusher(account, relay, reached_at, &lang, login.secrets.installation_mark());
    let set = client.set_pusher(&pusher).await;
    set.map_err(|error| Failure::Failed(format!("the pusher could not be set: {error}")))
}

/// Offers to remove the pushers that this installation has left behind.
pub(super) async fn review(
    login: &Login<'_>,
    client: &HomeserverClient,
    accounts: &Accounts,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    // Pushers that stay do no harm.
    let listed = client.pushers().await.unwrap_or_default();
    let left_behind = left_behind(&listed, accounts, &login.secrets.installation_mark());
    if left_behind.is_empty() {
        return Ok(());
    }
    for pusher in &left_behind {
        let url = output::harmless(&pusher.data.url);
        writeln!(out, "This desktop has left a pusher behind: to {url}, with a pushkey that it no longer has.")?;
    }
    let (remove, stay) =
        if left_behind.len() == 1 { ("Remove it?", "It stays") } else { ("Remove them?", "They stay") };
    match login.confirm(out, remove, true).await? {
        Some(true) => {
            for pusher in left_behind {
                if let Err(error) = client.remove_pusher(&pusher.app_id, &pusher.pushkey).await {
                    writeln!(out, "Not removed: {}", output::harmless(&error.to_string()))?;
                }
            }
        }
        Some(false) => {}
        None => {
            let pushbell = invocation::command();
            writeln!(out, "{stay} for now: `{pushbell} login {}` in a terminal asks whether to remove.", login.user)?;
        }
    }
    Ok(())
}

/// The pushers that this installation has set, and that belong to none of its accounts any more (pure). `mark`: the
/// installation's; may be empty.
fn left_behind<'a>(listed: &'a [ListedPusher], accounts: &Accounts, mark: &str) -> Vec<&'a ListedPusher> {
    let is_ours = |pusher: &&ListedPusher| pusher.kind == "http" && pusher.data.installation == mark;
    let is_used = |pusher: &ListedPusher| {
        accounts.iter().any(|account| account.app_id == pusher.app_id && account.pushkey == pusher.pushkey)
    };
    listed.iter().filter(|_| !mark.is_empty()).filter(is_ours).filter(|pusher| !is_used(pusher)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{accounts::AccountsFile, app_info, homeserver::PusherData};

    #[test]
    fn only_what_this_installation_has_set_is_left_behind() {
        let pusher = |app_id: &str, pushkey: &str, installation: &str| ListedPusher {
            app_id: app_id.to_owned(),
            pushkey: pushkey.to_owned(),
            kind: "http".to_owned(),
            data: PusherData { installation: installation.to_owned(), ..PusherData::default() },
            ..ListedPusher::default()
        };
        let directory = tempfile::tempdir().unwrap();
        let file = AccountsFile::new(&directory.path().join("accounts.toml"));
        file.add(crate::accounts::tests::account("home", app_info::APP_ID, "mine")).unwrap();
        let accounts = file.read().unwrap();
        let listed = [
            pusher(app_info::APP_ID, "left", "mark"),
            pusher(app_info::APP_ID, "mine", "mark"),
            pusher(app_info::APP_ID, "another desk's", "another mark"),
            pusher(app_info::APP_ID, "before marks", ""),
            pusher("im.vector.app", "element", ""),
            ListedPusher { kind: "email".to_owned(), ..pusher(app_info::APP_ID, "mail", "mark") },
        ];
        let check = |mark: &str, expected: &[&str]| {
            let found = left_behind(&listed, &accounts, mark);
            let keys: Vec<_> = found.iter().map(|pusher| pusher.pushkey.as_str()).collect();
            assert_eq!(keys, expected, "{mark:?}");
        };
        check("mark", &["left"]);
        check("a third mark", &[]);
        check("", &[]);
    }
}
