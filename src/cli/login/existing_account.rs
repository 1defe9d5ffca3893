//! The existing account that a login continues.

use super::{Context, arguments};
use crate::{
    accounts::{Account, Accounts, FIRST_ACCOUNT, Way},
    app_info,
    homeserver::{HomeserverClient, ListedPusher, UserId},
    inbox,
    notice::Notice,
    secrets::Secrets,
};

/// An account that a login continues.
pub(super) struct Existing<'a> {
    pub(super) account: &'a Account,
    /// The first start has created it and nobody has used it: it is renamed after the user, and logout removes it.
    pub(super) is_unused: bool,
}

/// The account that the user is signed in to, or has registered by hand at this homeserver, or else the unused one of the
/// first start. It keeps its pushkey, so that an existing pusher is not rejected. `client` is signed in.
pub(super) async fn find<'a>(
    context: &Context,
    accounts: &'a Accounts,
    user: &UserId,
    client: &HomeserverClient,
    secrets: &Secrets,
) -> Option<Existing<'a>> {
    if let Some(account) = accounts.of_user(user.as_str()) {
        return Some(Existing { account, is_unused: false });
    }
    if accounts.iter().all(|account| account.sign_in.is_some()) {
        return None;
    }
    // Without a list, the account is a new one.
    let pushers = client.pushers().await.unwrap_or_default();
    if let Some(account) = registered_by_hand(accounts, secrets, &pushers).await {
        return Some(Existing { account, is_unused: false });
    }
    let unused = first_account(accounts).filter(|account| is_unused(context, &account.name));
    unused.map(|account| Existing { account, is_unused: true })
}

/// Whether nothing but samples has arrived for the account.
fn is_unused(context: &Context, account: &str) -> bool {
    let is_own = |notice: &Notice| notice.account == account && !notice.sample;
    let own = inbox::history(&context.paths.database, 1, &inbox::Seals::default(), is_own);
    // A push with counts only leaves no notice.
    let has_numbers = || {
        let status = context.status();
        status.is_ok_and(|status| status.accounts.iter().any(|it| it.name == account && it.last_push.is_some()))
    };
    own.is_ok_and(|own| own.is_empty()) && !has_numbers()
}

/// A way, with the address of its relay.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeptWay {
    pub(super) way: Way,
    pub(super) relay: Option<String>,
}

/// The way of the user's account, which stays unless another is chosen. `auto` for a new account, for `--auto`, and if the
/// account's way does not go with the other options.
pub(super) fn kept_way(accounts: &Accounts, user: &UserId, asked: &arguments::Login) -> KeptWay {
    let account = accounts.of_user(user.as_str()).filter(|_| !asked.auto);
    let can_listen = cfg!(feature = "encryption") && asked.token_file.is_none() && !asked.event_id_only;
    let relay = account.and_then(Account::relay_address).map(str::to_owned);
    let way = match account.map_or(Way::Auto, |account| account.way) {
        Way::Push => Way::Push,
        Way::Listen if can_listen => Way::Listen,
        Way::Ntfy if relay.is_some() && !asked.event_id_only => return KeptWay { way: Way::Ntfy, relay },
        Way::Auto | Way::Listen | Way::Ntfy => Way::Auto,
    };
    KeptWay { way, relay: None }
}

/// The account registered by hand whose pusher the homeserver lists. With a second pusher everything would arrive twice.
async fn registered_by_hand<'a>(
    accounts: &'a Accounts,
    secrets: &Secrets,
    listed: &[ListedPusher],
) -> Option<&'a Account> {
    for account in accounts.iter().filter(|account| account.sign_in.is_none()) {
        // A relay's topic, and so the pushkey, may be lost.
        let Ok(pushkey) = secrets.pushkey(account).await else { continue };
        if listed.iter().any(|pusher| pusher.app_id == account.app_id && pusher.pushkey == pushkey) {
            return Some(account);
        }
    }
    None
}

/// The account of a first start that nobody is signed in to.
fn first_account(accounts: &Accounts) -> Option<&Account> {
    let account = accounts.find(FIRST_ACCOUNT)?;
    (account.sign_in.is_none() && account.app_id == app_info::APP_ID).then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        accounts::{AccountsFile, tests},
        paths::Paths,
    };

    #[tokio::test]
    async fn an_account_is_taken_over_only_by_its_own_user() {
        async fn check(account: &str, signed_in: bool, pushkey: &str, app_id: &str, expected: Option<&str>) {
            let sign_in = signed_in.then(|| tests::sign_in("@bob:b"));
            let directory = tempfile::tempdir().unwrap();
            let file = AccountsFile::new(&directory.path().join("accounts.toml"));
            for (name, sign_in) in [("other", None), (account, sign_in)] {
                let account = tests::account(name, "app", &format!("key of {name}"));
                file.add(Account { sign_in, ..account }).unwrap();
            }
            let known = file.read().unwrap();
            let (app_id, pushkey) = (app_id.to_owned(), pushkey.to_owned());
            let listed = ListedPusher { app_id, pushkey, kind: "http".to_owned(), ..ListedPusher::default() };
            let secrets = Secrets::new(&Paths::within(directory.path()));
            let found = registered_by_hand(&known, &secrets, &[listed]).await;
            assert_eq!(found.map(|account| &*account.name), expected, "{account}");
        }
        check("work", false, "key of work", "app", Some("work")).await;
        check("work", true, "key of work", "app", None).await;
        check("work", false, "key of work", "another", None).await;
        check("work", false, "another", "app", None).await;
    }

    #[test]
    fn who_signs_in_again_keeps_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let file = AccountsFile::new(&directory.path().join("accounts.toml"));
        for way in [Way::Auto, Way::Push, Way::Listen, Way::Ntfy] {
            let sign_in = Some(tests::sign_in(&format!("@{}:b", way.as_str())));
            let relay = (way == Way::Ntfy).then(|| "https://ntfy.example.org".to_owned());
            file.add(Account { way, relay, sign_in, ..tests::account(way.as_str(), "app", way.as_str()) }).unwrap();
        }
        let known = file.read().unwrap();
        let kept = |user: &str, more: &[&str]| {
            let mut asked = arguments::Login::of("@a:b");
            asked.event_id_only = more.contains(&"ids");
            asked.token_file = more.contains(&"token").then(|| "-".into());
            asked.auto = more.contains(&"auto");
            kept_way(&known, &UserId::parse(user).unwrap(), &asked)
        };
        let at = Some("https://ntfy.example.org".to_owned());
        let listen = if cfg!(feature = "encryption") { Way::Listen } else { Way::Auto };
        for (user, more, expected) in [
            ("@new:b", &[] as &[_], (Way::Auto, None)),
            ("@auto:b", &[], (Way::Auto, None)),
            ("@push:b", &["ids", "token"], (Way::Push, None)),
            ("@listen:b", &[], (listen, None)),
            ("@listen:b", &["auto"], (Way::Auto, None)),
            ("@listen:b", &["token"], (Way::Auto, None)),
            ("@listen:b", &["ids"], (Way::Auto, None)),
            ("@ntfy:b", &["token"], (Way::Ntfy, at)),
            ("@ntfy:b", &["ids"], (Way::Auto, None)),
        ] {
            let KeptWay { way, relay } = kept(user, more);
            assert_eq!((way, relay), expected, "{user} {more:?}");
        }
    }
}
