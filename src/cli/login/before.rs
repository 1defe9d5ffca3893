//! The account that was there before a sign-in and that it goes on with.

use super::{Context, naming};
use crate::{
    accounts::{Account, Accounts},
    homeserver::{HomeserverClient, UserId},
    inbox, sample,
};

/// So many notices are looked at. Whoever has more has used Pushbell for a while.
const NOTICES: usize = 100;

/// The user's account: the one that is signed in already, the one that was registered by hand at this homeserver, or
/// that of a first start while no homeserver has pushed to it. Each keeps its pushkey, so that no pusher that somebody
/// has set meanwhile is rejected. `client` is signed in.
pub(super) async fn account<'a>(
    context: &Context,
    accounts: &'a Accounts,
    user: &UserId,
    client: &HomeserverClient,
) -> Option<&'a Account> {
    if let Some(account) = naming::account_of(accounts, user) {
        return Some(account);
    }
    if accounts.iter().all(|account| account.sign_in.is_some()) {
        return None;
    }
    // Where they are not told, the account is a new one.
    let pushers = client.pushers().await.unwrap_or_default();
    naming::registered_by_hand(accounts, &pushers)
        .or_else(|| naming::first_account(accounts).filter(|account| is_unused(context, &account.name)))
}

/// Whether nothing has come for the account but samples, as far as is known.
fn is_unused(context: &Context, account: &str) -> bool {
    let Ok(notices) = inbox::history(&context.paths.database, NOTICES) else { return false };
    let own: Vec<_> = notices.iter().filter(|notice| notice.account == account).collect();
    // A push with nothing but numbers leaves no notice.
    let has_numbers = || {
        let known = context.status().ok().and_then(|status| status.accounts.into_iter().find(|it| it.name == account));
        known.is_some_and(|known| known.last_push.is_some())
    };
    notices.len() < NOTICES && own.iter().all(|notice| sample::is_one(notice)) && !(own.is_empty() && has_numbers())
}
