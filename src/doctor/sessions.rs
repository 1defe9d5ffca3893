//! Checks a signed-in account at its homeserver: whether the token is valid, and whether the pusher is ours.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::{
    DEADLINE, Finding, Remedy, Verdict,
    reach::{self, LocalEnd, Pushed},
    words,
};
use crate::{
    accounts::{Account, SignIn, Way},
    control::{EncryptionStatus, local_time},
    homeserver::{BaseUrl, HomeserverClient, HomeserverError, HomeserverKind, ListedPusher, Tokens, UserId},
    http_client::HttpClient,
    invocation,
    ntfy::{Relay, RelayError, probe},
    secrets::Secrets,
};

const PART: &str = "account";
const RELAY_PART: &str = "relay";
/// Timeouts of the keyring and the homeserver: together no longer than a check.
const KEYRING: Duration = Duration::from_secs(2);
const HOMESERVER: Duration = Duration::from_millis(2500);
/// Timeout for a message sent through the relay.
const RELAY: Duration = Duration::from_secs(4);

const COPIED: &str = "it was signed in on another computer, of whose files these are a copy: new messages go there";

/// Rooms with our push rules that are listed at most.
const MAX_ROOMS: usize = 8;

/// State of the account at the homeserver.
#[derive(Default)]
struct ServerState {
    /// The URL of our pusher, if there is one.
    url: Option<String>,
    /// The rooms with a push rule set by us.
    rooms_of_ours: Vec<String>,
}

/// An account with the state to check.
pub(super) struct AccountCheck {
    pub(super) account: Account,
    /// When its last push arrived; `None` also while the program is not running.
    pub(super) last_push: Option<Timestamp>,
    /// Our end of the path, with the default public address.
    pub(super) end: LocalEnd,
    /// Whether the public address is configured (`server.public_url`), so that the pusher must have it.
    pub(super) is_url_chosen: bool,
    pub(super) secrets: Secrets,
    /// Whether the held connection of an account that listens is open; `None`: the account does not listen.
    pub(super) listening: Option<bool>,
    /// Default while the program is not running.
    pub(super) encryption: EncryptionStatus,
}

/// Checks the account; for an account registered by hand, its relay alone.
pub(super) async fn check(check: &AccountCheck) -> Vec<Finding> {
    let name = words(&check.account.name);
    let relay = match relay_of(check).await {
        Ok(relay) => relay,
        Err(says) => {
            return vec![Finding::fault(RELAY_PART, format!("{name}: {says}")).advise(no_topic(&check.account))];
        }
    };
    let Some(sign_in) = &check.account.sign_in else {
        return match relay {
            Some(relay) => vec![relayed(&name, &relay).await],
            None => Vec::new(),
        };
    };
    let homeserver = match BaseUrl::parse(&sign_in.homeserver) {
        Ok(homeserver) => homeserver,
        Err(reason) => {
            return vec![advise_sign_in(Finding::fault(PART, format!("{name}: {}", words(reason))), sign_in)];
        }
    };
    let kind = HomeserverKind::named(&sign_in.server);
    let pushed = check.last_push.map_or(Pushed::Never, Pushed::At);
    let examine = async |end: &LocalEnd| {
        let examined = timeout(DEADLINE, reach::examine(end, Some(&homeserver), &kind, pushed)).await;
        examined.unwrap_or_else(|_| vec![Finding::fault("pusher URL", "cannot be looked at in time")])
    };
    let pushkey = relay.as_ref().map_or_else(|| check.account.pushkey.clone(), Relay::pushkey);
    let mut server = ServerState::default();
    let is_pushed_to = relay.is_none() && check.account.way_in_force() != Way::Listen;
    let path = async {
        match &relay {
            Some(relay) => vec![relayed(&name, relay).await],
            None if is_pushed_to => examine(&check.end).await,
            None => Vec::new(),
        }
    };
    let (session, mut path) = tokio::join!(session(check, sign_in, &homeserver, &pushkey, &mut server), path);
    // The URL that the homeserver has is the one to examine.
    if let Some(url) = server.url.filter(|url| is_pushed_to && *url != check.end.url) {
        path = examine(&LocalEnd { url, ..check.end.clone() }).await;
    }
    if check.listening == Some(true) {
        // The account listens, so nothing is lost when pushes do not arrive.
        for fault in path.iter_mut().filter(|found| found.verdict == Verdict::Fault) {
            fault.verdict = Verdict::Warning;
        }
    }
    let mut found = vec![session];
    found.extend(path);
    found.extend(listening(&name, check.listening));
    found.extend(encryption(check, sign_in));
    found.extend(rules_of_ours(&name, &server.rooms_of_ours));
    found
}

/// The account's relay, if it has one, or why its topic cannot be loaded.
async fn relay_of(check: &AccountCheck) -> Result<Option<Relay>, String> {
    let Ok(relay) = timeout(KEYRING, check.secrets.relay(&check.account)).await else {
        return Err("the keyring does not give the topic at the ntfy server in time".to_owned());
    };
    relay.map_err(words)
}

/// Advice for a topic that the keyring does not give.
fn no_topic(account: &Account) -> String {
    let address = account.relay_address().map(words).unwrap_or_default();
    let again = if let Some(sign_in) = &account.sign_in {
        format!("sign in again: `pushbell login {} --ntfy {address}`", words(&sign_in.user_id))
    } else {
        let name = words(&account.name);
        format!("`pushbell account remove {name}`, then `pushbell account add {name} --ntfy {address}`")
    };
    format!("Unlock the keyring, then look again. If it is not coming back, {again}")
}

/// Sends a message through the account's relay and waits for it to come back.
async fn relayed(name: &str, relay: &Relay) -> Finding {
    let probed = match HttpClient::new() {
        Ok(http) => timeout(RELAY, Box::pin(probe::probe(relay, &http.with_deadline(HOMESERVER)))).await,
        Err(error) => return Finding::fault(RELAY_PART, format!("{name}: {}", words(error))),
    };
    let probed = probed.unwrap_or_else(|_| Err(probe::away(relay, &RelayError::HeldBack)));
    let Err(trouble) = probed else {
        return Finding::good(RELAY_PART, format!("{name}: {} relays pushes", words(relay.base())));
    };
    let says = format!("{name}: {}", words(&trouble));
    let verdict = if trouble.is_slow_only { Verdict::Warning } else { Verdict::Fault };
    let (advice, paste) = (Some(trouble.advice), trouble.paste);
    Finding { verdict, advice, paste, ..Finding::good(RELAY_PART, says) }
}

/// Whether the account's encrypted messages can be decrypted, as reported by the running program (pure).
fn encryption(check: &AccountCheck, sign_in: &SignIn) -> Vec<Finding> {
    const PART: &str = "encryption";
    let name = words(&check.account.name);
    if cfg!(feature = "encryption") && !sign_in.reads_encrypted() {
        let says = format!(
            "{name}: encrypted messages are not read: its session is another client's, whose keys are left alone"
        );
        let advice = "To read them, sign in without an access token";
        let paste = format!("pushbell login {}", words(&sign_in.user_id));
        let (user, homeserver) = (sign_in.user_id.clone(), sign_in.homeserver.clone());
        let remedy = Remedy::SignIn { user, homeserver };
        return vec![Finding::warning(PART, says).advise(advice).paste(paste).remedy(remedy)];
    }
    let EncryptionStatus { encryption, verified, .. } = &check.encryption;
    let Some(says) = encryption else { return Vec::new() };
    let says = format!("{name}: {}", words(says));
    let mut found = vec![match verified {
        Some(true) => Finding::good(PART, says),
        Some(false) => Finding::warning(PART, says).remedy(Remedy::Verify(check.account.name.to_string())),
        None => Finding::fault(PART, says),
    }];
    let backup = check.encryption.backup_note(&check.account.name);
    let backup = backup.map(|says| Finding::warning(PART, format!("{name}: {}", words(says))));
    found.extend(backup.map(|found| found.remedy(Remedy::ReadBackup(check.account.name.to_string()))));
    found.extend(check.encryption.file_note().map(|says| Finding::good(PART, format!("{name}: {says}"))));
    found
}

/// Whether the held connection is open (pure).
fn listening(name: &str, is_connected: Option<bool>) -> Option<Finding> {
    const PART: &str = "listening";
    if is_connected? {
        let says = format!("{name}: the homeserver says what is new over a connection that is held");
        return Some(Finding::good(PART, says));
    }
    let says = format!("{name}: the homeserver does not hold the connection over which it is to say what is new");
    let advice = "Check the network, and whether the homeserver is up; `pushbell status` says more";
    Some(Finding::fault(PART, says).advise(advice).remedy(Remedy::Reconnect))
}

/// The rooms in which a push rule set by us pushes every encrypted message (pure).
fn rules_of_ours(name: &str, rooms: &[String]) -> Option<Finding> {
    let (listed, more) = rooms.split_at(rooms.len().min(MAX_ROOMS));
    let listed = listed.iter().map(words).collect::<Vec<_>>().join(", ");
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    let says = format!(
        "{name}: rules of Pushbell have every message of encrypted rooms be pushed, which wakes your other devices too: \
         {listed}{more}"
    );
    let advice = "To end it for a room: `pushbell room set ROOM --notify default`";
    (!rooms.is_empty()).then(|| Finding::good("push rules", says).advise(advice))
}

/// Asks the homeserver for token, pusher and push rules. `pushkey`: of the account's pusher.
async fn session(
    check: &AccountCheck,
    sign_in: &SignIn,
    homeserver: &BaseUrl,
    pushkey: &str,
    server: &mut ServerState,
) -> Finding {
    let name = words(&check.account.name);
    let fault = |says: String| Finding::fault(PART, format!("{name}: {says}"));
    if sign_in.is_anothers(&check.secrets.installation_mark()) {
        return advise_sign_in(fault(COPIED.to_owned()), sign_in);
    }
    let loaded = timeout(KEYRING, check.secrets.load(sign_in)).await;
    let loaded = loaded.map_or_else(
        |_| Err("the keyring does not give its access token in time".to_owned()),
        |loaded| loaded.map_err(words),
    );
    let tokens = match loaded {
        Ok(Some(tokens)) => tokens,
        Ok(None) => return advise_sign_in(fault("its access token is gone".to_owned()), sign_in),
        Err(reason) => return fault(reason).advise(out_of_reach(sign_in)).remedy(Remedy::Reconnect),
    };
    let http = match HttpClient::new() {
        Ok(http) => http.with_deadline(HOMESERVER),
        Err(error) => return fault(words(error)),
    };
    let client = HomeserverClient::new(http, homeserver.clone()).with_token(&tokens.access_token);
    let (who, pushers, rules) = tokio::join!(client.whoami(), client.pushers(), client.push_rules());
    let is_ours = |pusher: &ListedPusher| pusher.app_id == check.account.app_id && pusher.pushkey == pushkey;
    let pusher = pushers.map(|pushers| pushers.into_iter().find(is_ours));
    server.url = pusher.as_ref().ok().and_then(|pusher| Some(pusher.as_ref()?.data.url.clone()));
    server.rooms_of_ours = rules.map(|rules| rules.rooms_of_ours().map(str::to_owned).collect()).unwrap_or_default();
    judge(check, sign_in, &tokens, who.map(|(user, _)| user), pusher)
}

/// Advice for a token that is, or was, in a keyring.
fn out_of_reach(sign_in: &SignIn) -> String {
    format!(
        "Unlock the keyring, then look again. If it is not coming back, sign in again: `pushbell login {}`",
        words(&sign_in.user_id)
    )
}

/// From the homeserver's answer to a finding (pure). `pusher`: ours, `None` if there is none.
fn judge(
    check: &AccountCheck,
    sign_in: &SignIn,
    tokens: &Tokens,
    who: Result<UserId, HomeserverError>,
    pusher: Result<Option<ListedPusher>, HomeserverError>,
) -> Finding {
    let AccountCheck { account, end, is_url_chosen, last_push, .. } = check;
    let name = words(&account.name);
    let user = words(&sign_in.user_id);
    let fault = |says: String| Finding::fault(PART, format!("{name}: {says}"));
    let who = match who {
        Ok(who) => who,
        // With OAuth, homeservers do not distinguish an expired token from one of an ended session.
        Err(error)
            if error.is_unknown_token()
                && tokens.refresh_token.is_some()
                && (error.is_soft_logout() || tokens.oauth.is_some()) =>
        {
            let says = format!("{name}: the access token of {user} has expired, and is renewed when it is next needed");
            return Finding::warning(PART, says);
        }
        Err(error) if error.is_soft_logout() => {
            let says = format!(
                "{user} is signed out: its access token has expired; pushes still come, but what is missed is not fetched"
            );
            return advise_sign_in(fault(says), sign_in);
        }
        Err(error) if error.is_unknown_token() => {
            let says =
                format!("{user} is signed out: the homeserver has ended the session, and new messages no longer come");
            return advise_sign_in(fault(says), sign_in);
        }
        Err(error) => {
            return fault(format!("the homeserver cannot be asked: {}", words(error)))
                .advise("Check the network, and whether the homeserver is up; then look again")
                .remedy(Remedy::Reconnect);
        }
    };
    if who.as_str() != sign_in.user_id {
        return advise_sign_in(fault(format!("its access token is not that of {user}")), sign_in);
    }
    if account.way_in_force() == Way::Listen {
        return Finding::good(PART, format!("{name}: {user} is signed in; the homeserver is not to push"));
    }
    let restart = "Restart Pushbell, which sets its pusher again; if that does not help, sign in again";
    let pusher = match pusher {
        Ok(Some(pusher)) => pusher,
        Ok(None) if check.listening.is_some() => {
            let says = format!("{name}: {user} is signed in; the homeserver has no pusher for this desktop");
            return Finding::good(PART, says);
        }
        Ok(None) => {
            let says = format!("the homeserver of {user} has no pusher for this desktop any more");
            return advise_sign_in(fault(says).remedy(Remedy::Reconnect), sign_in).advise(restart);
        }
        Err(error) => return fault(format!("the homeserver does not say whom it pushes to: {}", words(error))),
    };
    if !pusher.is_enabled() {
        let says = format!("{name}: the pusher of {user} was switched off in another client: nothing comes here");
        let advice = "Switch notifications for this session on again in that client's settings, or sign in again";
        return advise_sign_in(Finding::warning(PART, says), sign_in).advise(advice);
    }
    if *is_url_chosen && pusher.data.url != end.url {
        let says = format!("the homeserver pushes to {}, not to server.public_url", words(&pusher.data.url));
        return advise_sign_in(fault(says).remedy(Remedy::Reconnect), sign_in).advise(restart);
    }
    let last = match last_push {
        Some(time) => format!("the last push came {}", local_time(*time)),
        None => "no push has come yet".to_owned(),
    };
    Finding::good(PART, format!("{name}: {user} is signed in and has its pusher; {last}"))
}

fn advise_sign_in(finding: Finding, sign_in: &SignIn) -> Finding {
    let (user, homeserver) = (sign_in.user_id.clone(), sign_in.homeserver.clone());
    let paste = format!("{} login {}", invocation::command(), words(&user));
    finding.advise("Sign in again").paste(paste).remedy(Remedy::SignIn { user, homeserver })
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;
    use crate::{accounts::SignInMethod, homeserver::Refusal, paths::Paths};

    const OURS: &str = "https://push.example.org/_matrix/push/v1/notify";

    fn unknown_token(soft_logout: bool) -> HomeserverError {
        HomeserverError::Refused(Box::new(Refusal {
            path: "/whoami".to_owned(),
            status: StatusCode::UNAUTHORIZED,
            errcode: "M_UNKNOWN_TOKEN".to_owned(),
            error: String::new(),
            soft_logout,
            retry_after: None,
        }))
    }

    fn alice() -> SignIn {
        crate::accounts::tests::sign_in("@alice:hs")
    }

    fn check_of(is_url_chosen: bool) -> AccountCheck {
        let account = Account { sign_in: Some(alice()), ..crate::accounts::tests::account("home", "app", "secret") };
        let end = LocalEnd { url: OURS.to_owned(), listen: Vec::new(), tls: false, runs: true };
        let secrets = Secrets::new(&Paths::within(std::path::Path::new("/nowhere")));
        AccountCheck {
            account,
            last_push: None,
            end,
            is_url_chosen,
            secrets,
            listening: None,
            encryption: EncryptionStatus::default(),
        }
    }

    #[test]
    fn whether_encrypted_messages_are_read_is_judged() {
        fn check(says: Option<&str>, verified: Option<bool>, expected: &[Verdict]) {
            let status = EncryptionStatus {
                encryption: says.map(str::to_owned),
                verified,
                key_backup: says.map(|_| false),
                key_in_file: true,
            };
            let found = encryption(&AccountCheck { encryption: status, ..check_of(false) }, &alice());
            assert_eq!(found.iter().map(|found| found.verdict).collect::<Vec<_>>(), expected);
        }
        use Verdict::{Fault, Good, Warning};
        check(None, None, &[]);
        check(Some("they are not read"), None, &[Fault, Warning, Good]);
        #[cfg(feature = "encryption")]
        {
            check(Some("run `pushbell verify`"), Some(false), &[Warning, Warning, Good]);
            check(Some("they are read"), Some(true), &[Good, Warning, Good]);
            let of_token = SignIn { method: SignInMethod::Token, ..alice() };
            let found = encryption(&check_of(false), &of_token);
            assert_eq!(found[0].paste.as_deref(), Some("pushbell login @alice:hs"));
        }
    }

    #[test]
    fn what_the_homeserver_says_of_token_and_pusher_is_judged() {
        use Verdict::{Fault, Good, Warning};
        #[track_caller]
        fn check(
            check: &AccountCheck,
            refresh_token: Option<&str>,
            who: Result<UserId, HomeserverError>,
            pusher: Result<Option<ListedPusher>, HomeserverError>,
            (verdict, words, signs_in_again): (Verdict, &str, bool),
        ) {
            let refresh_token = refresh_token.map(str::to_owned);
            let tokens = Tokens { access_token: "token".to_owned(), refresh_token, expires_at: None, oauth: None };
            let found = judge(check, &alice(), &tokens, who, pusher);
            assert!(found.verdict == verdict && found.says.contains(words), "{found:#?}");
            assert_eq!(found.paste.is_some_and(|paste| paste.ends_with(" login @alice:hs")), signs_in_again);
        }
        let who = || Ok(UserId::parse("@alice:hs").unwrap());
        let (any, chosen) = (check_of(false), check_of(true));
        let pusher = |url: &str| ListedPusher {
            data: crate::homeserver::PusherData { url: url.to_owned(), ..crate::homeserver::PusherData::default() },
            ..ListedPusher::default()
        };
        let (ours, elsewhere) =
            (Ok(Some(pusher(OURS))), Ok(Some(pusher("https://elsewhere.example/_matrix/push/v1/notify"))));
        let off = Ok(Some(ListedPusher { enabled: Some(false), ..pusher(OURS) }));
        check(&any, None, who(), ours.clone(), (Good, "home: @alice:hs is signed in and has its pusher", false));
        check(&any, None, who(), elsewhere.clone(), (Good, "no push has come yet", false));
        check(&chosen, None, who(), elsewhere, (Fault, "not to server.public_url", true));
        let held = AccountCheck { listening: Some(true), ..check_of(false) };
        check(&held, None, who(), Ok(None), (Good, "is signed in; the homeserver has no pusher", false));
        let listen = Account { way: Way::Listen, ..check_of(false).account };
        if cfg!(feature = "encryption") {
            let listens = AccountCheck { account: listen, ..check_of(false) };
            check(&listens, None, who(), Ok(None), (Good, "the homeserver is not to push", false));
        }
        check(&any, None, who(), Ok(None), (Fault, "has no pusher for this desktop", true));
        check(&any, None, who(), Err(unknown_token(false)), (Fault, "does not say whom it pushes to", false));
        check(&any, None, Ok(UserId::parse("@bob:hs").unwrap()), ours, (Fault, "not that of @alice:hs", true));
        check(&any, None, who(), off, (Warning, "was switched off in another client", true));
        let over = (Fault, "has ended the session, and new messages no longer come", true);
        check(&any, None, Err(unknown_token(false)), Err(unknown_token(false)), over);
        check(&any, Some("refresh"), Err(unknown_token(false)), Ok(None), over);
        let expired = (Fault, "has expired; pushes still come", true);
        check(&any, None, Err(unknown_token(true)), Err(unknown_token(true)), expired);
        check(
            &any,
            Some("refresh"),
            Err(unknown_token(true)),
            Ok(None),
            (Warning, "has expired, and is renewed", false),
        );
        let odd = HomeserverError::Unexpected { path: "/whoami".to_owned(), missing: "user_id" };
        check(&any, Some("refresh"), Err(odd), Ok(None), (Fault, "cannot be asked", false));
    }
}
