//! The pusher of the account, and the others that the homeserver has for this user.

use std::io::Write;

use super::{Failure, Login, output};
use crate::{
    accounts::{Account, Accounts},
    app_info,
    homeserver::{HomeserverClient, ListedPusher},
    invocation,
    ntfy::Relay,
    platform,
    push::text,
    session,
};

/// Other pushers listed one by one at most.
const MAX_LISTED: usize = 5;

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

/// Lists other pushers, and offers to remove only those that this installation has left behind.
pub(super) async fn review(
    login: &Login<'_>,
    client: &HomeserverClient,
    accounts: &Accounts,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Ok(listed) = client.pushers().await else {
        // Optional: leaving them does no harm.
        return Ok(());
    };
    let mark = login.secrets.installation_mark();
    let Others { left_behind, like_ours, foreign } = sort(&listed, accounts, &mark, &platform::host::name());
    if foreign > 0 {
        writeln!(out, "The account also has {} of other apps, which stay.", text::counted(foreign, "pusher"))?;
    }
    if !like_ours.is_empty() {
        writeln!(out, "Not set by this installation, and left alone:")?;
        for ListedPusher { app_display_name, device_display_name, data, .. } in like_ours.iter().take(MAX_LISTED) {
            let line = format!("{app_display_name} on \"{device_display_name}\", pushed to at {}", data.url);
            writeln!(out, "  {}", output::harmless(&line))?;
        }
        if let Some(more @ 1..) = like_ours.len().checked_sub(MAX_LISTED) {
            writeln!(out, "  and {more} more")?;
        }
    }
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

/// The user's pushers that belong to no account here.
struct Others<'a> {
    /// Set by this installation, on this computer.
    left_behind: Vec<&'a ListedPusher>,
    /// Of Pushbell, or of a computer of this name; nothing shows that this installation has set them.
    like_ours: Vec<&'a ListedPusher>,
    /// How many there are of other apps on other computers.
    foreign: u64,
}

/// Tells them apart (pure). `mark`: that of this installation, or empty; `computer`: the name of this computer.
fn sort<'a>(listed: &'a [ListedPusher], accounts: &Accounts, mark: &str, computer: &str) -> Others<'a> {
    let mut others = Others { left_behind: Vec::new(), like_ours: Vec::new(), foreign: 0 };
    for pusher in listed {
        let is_accounts = |account: &Account| account.app_id == pusher.app_id && account.pushkey == pusher.pushkey;
        if accounts.iter().any(is_accounts) {
            continue;
        }
        if pusher.kind == "http" && !mark.is_empty() && pusher.data.installation == mark {
            others.left_behind.push(pusher);
        } else if pusher.app_id == app_info::APP_ID || pusher.device_display_name == computer {
            others.like_ours.push(pusher);
        } else {
            others.foreign += 1;
        }
    }
    others
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{accounts::AccountsFile, homeserver::PusherData};

    #[test]
    fn only_what_this_installation_has_set_is_left_behind() {
        let pusher = |app_id: &str, pushkey: &str, device: &str, installation: &str| ListedPusher {
            app_id: app_id.to_owned(),
            pushkey: pushkey.to_owned(),
            kind: "http".to_owned(),
            device_display_name: device.to_owned(),
            data: PusherData { installation: installation.to_owned(), ..PusherData::default() },
            ..ListedPusher::default()
        };
        let directory = tempfile::tempdir().unwrap();
        let file = AccountsFile::new(&directory.path().join("accounts.toml"));
        file.add(crate::accounts::tests::account("home", app_info::APP_ID, "mine")).unwrap();
        let accounts = file.read().unwrap();
        let mail = ListedPusher { kind: "email".to_owned(), ..pusher(app_info::APP_ID, "mail", "desk", "mark") };
        let listed = [
            pusher(app_info::APP_ID, "left", "desk", "mark"),
            pusher(app_info::APP_ID, "renamed", "old name", "mark"),
            pusher(app_info::APP_ID, "mine", "desk", "mark"),
            pusher(app_info::APP_ID, "another desk's", "desk", "another mark"),
            pusher(app_info::APP_ID, "before marks", "desk", ""),
            pusher(app_info::APP_ID, "laptop's", "laptop", "another mark"),
            pusher("im.vector.app", "element", "desk", ""),
            pusher("im.vector.app", "phone", "phone", ""),
            mail,
        ];
        let check = |mark: &str, left_behind: &[&str], like_ours: &[&str]| {
            let others = sort(&listed, &accounts, mark, "desk");
            let keys = |list: &[&ListedPusher]| list.iter().map(|pusher| pusher.pushkey.clone()).collect::<Vec<_>>();
            assert_eq!(keys(&others.left_behind), left_behind, "{mark:?}");
            assert_eq!(keys(&others.like_ours), like_ours, "{mark:?}");
            assert_eq!(others.foreign, 1);
        };
        let rest = ["another desk's", "before marks", "laptop's", "element", "mail"];
        check("mark", &["left", "renamed"], &rest);
        let all = [&["left", "renamed"], &rest[..]].concat();
        check("a third mark", &[], &all);
        check("", &[], &all);
    }
}
