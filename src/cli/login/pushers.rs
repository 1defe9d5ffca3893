//! The pusher of the account, and those that earlier logins have left.

use std::io::Write;

use super::{Failure, Terminal, output};
use crate::{
    accounts::{Account, Accounts},
    app_info,
    homeserver::{HomeserverClient, ListedPusher},
    platform, session,
};

/// Sets the account's pusher.
pub(super) async fn set(client: &HomeserverClient, account: &Account, reached_at: &str) -> Result<(), Failure> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].map(variable);
    let lang = session::language(locale.iter().map(String::as_str));
    let set = client.set_pusher(&session::pusher(account, reached_at, &lang)).await;
    set.map_err(|error| Failure::Failed(format!("the pusher could not be set: {error}")))
}

/// Offers to remove pushers that this desktop has left behind. Only ours: no other app's, no other computer's.
pub(super) async fn offer_to_remove_dead(
    terminal: Option<Terminal>,
    client: &HomeserverClient,
    accounts: &Accounts,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Ok(listed) = client.pushers().await else {
        // It does no harm that they stay.
        return Ok(());
    };
    let others = listed.iter().filter(|pusher| pusher.app_id != app_info::APP_ID).count();
    if others > 0 {
        let apps = output::counted(others as u64, "pusher of another app", "pushers of other apps");
        writeln!(out, "The {apps} on this account {} as before.", if others == 1 { "stays" } else { "stay" })?;
    }
    let dead = dead(&listed, accounts, &platform::host::name());
    let Some(terminal) = terminal.filter(|_| !dead.is_empty()) else { return Ok(()) };
    for pusher in &dead {
        let url = output::harmless(&pusher.url);
        writeln!(out, "This desktop has left a pusher behind: to {url}, with a pushkey that it no longer has.")?;
    }
    let them = if dead.len() == 1 { "it" } else { "them" };
    if terminal.confirm(out, &format!("Remove {them}?"), true).await? {
        for pusher in dead {
            if let Err(error) = client.remove_pusher(&pusher.app_id, &pusher.pushkey).await {
                writeln!(out, "Not removed: {}", output::harmless(&error.to_string()))?;
            }
        }
    }
    Ok(())
}

/// Pushers of ours from this desktop whose pushkey no account here has.
fn dead<'a>(listed: &'a [ListedPusher], accounts: &Accounts, desktop: &str) -> Vec<&'a ListedPusher> {
    let is_dead = |pusher: &&ListedPusher| {
        pusher.kind == "http"
            && pusher.app_id == app_info::APP_ID
            && pusher.device_display_name == desktop
            && !accounts.iter().any(|account| account.pushkey == pusher.pushkey)
    };
    listed.iter().filter(is_dead).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::AccountsFile;

    #[test]
    fn only_what_this_desktop_has_left_behind_is_dead() {
        let pusher = |app_id: &str, pushkey: &str, device: &str, kind: &str| ListedPusher {
            app_id: app_id.to_owned(),
            pushkey: pushkey.to_owned(),
            kind: kind.to_owned(),
            device_display_name: device.to_owned(),
            ..ListedPusher::default()
        };
        let directory = tempfile::tempdir().unwrap();
        let file = AccountsFile::new(&directory.path().join("accounts.toml"));
        let account = Account {
            name: "home".into(),
            app_id: app_info::APP_ID.to_owned(),
            pushkey: "mine".to_owned(),
            counts: crate::accounts::CountsScope::Account,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            sign_in: None,
        };
        file.add(account).unwrap();
        let listed = [
            pusher(app_info::APP_ID, "left", "desk", "http"),
            pusher(app_info::APP_ID, "mine", "desk", "http"),
            pusher(app_info::APP_ID, "laptop's", "laptop", "http"),
            pusher(app_info::APP_ID, "mail", "desk", "email"),
            pusher("im.vector.app", "phone", "desk", "http"),
        ];
        let keys: Vec<_> =
            dead(&listed, &file.read().unwrap(), "desk").into_iter().map(|pusher| pusher.pushkey.as_str()).collect();
        assert_eq!(keys, ["left"]);
    }
}
