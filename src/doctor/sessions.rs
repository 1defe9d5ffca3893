//! What a homeserver says of a signed-in account: whether the token is good, and whether it still pushes to us.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    DEADLINE, Finding,
    reach::{self, Pushed, Way},
    words,
};
use crate::{
    accounts::{Account, SignIn},
    homeserver::{BaseUrl, HomeserverClient, HomeserverError, HttpsClient, ListedPusher, Tokens},
    secrets::Secrets,
};

const PART: &str = "account";
/// How long the keyring may take to give the token, and the homeserver to answer: together no longer than a check.
const KEYRING: Duration = Duration::from_secs(2);
const HOMESERVER: Duration = Duration::from_millis(3500);

/// An account and what belongs to it.
pub(super) struct Patient {
    pub(super) account: Account,
    /// When a push last came for it; `None` also while the program does not run.
    pub(super) last_push: Option<Timestamp>,
    pub(super) way: Way,
    pub(super) secrets: Secrets,
}

/// Nothing for an account that was registered by hand.
pub(super) async fn check(patient: &Patient) -> Vec<Finding> {
    let Some(sign_in) = &patient.account.sign_in else { return Vec::new() };
    let name = words(&patient.account.name);
    let homeserver = match BaseUrl::parse(&sign_in.homeserver) {
        Ok(homeserver) => homeserver,
        Err(reason) => return vec![again(Finding::fault(PART, format!("{name}: {}", words(reason))), sign_in)],
    };
    let pushed = patient.last_push.map_or(Pushed::Never, Pushed::At);
    let (session, way) = tokio::join!(
        session(patient, sign_in, &homeserver),
        timeout(DEADLINE, reach::examine(&patient.way, Some(&homeserver), &sign_in.server, pushed)),
    );
    let mut findings = vec![session];
    findings.extend(way.unwrap_or_else(|_| vec![Finding::fault("pusher URL", "cannot be looked at in time")]));
    findings
}

async fn session(patient: &Patient, sign_in: &SignIn, homeserver: &BaseUrl) -> Finding {
    let name = words(&patient.account.name);
    let fault = |says: String| Finding::fault(PART, format!("{name}: {says}"));
    let tokens = match timeout(KEYRING, patient.secrets.load(sign_in)).await {
        Ok(Ok(Some(tokens))) => tokens,
        Ok(Ok(None)) => return again(fault("its access token is gone".to_owned()), sign_in),
        Ok(Err(error)) => return fault(words(error)).advise("Unlock the keyring, then look again"),
        Err(_) => return fault("the keyring does not give its access token".to_owned()).advise("Unlock the keyring"),
    };
    let https = match HttpsClient::new() {
        Ok(https) => https.with_deadline(HOMESERVER),
        Err(error) => return fault(words(error)),
    };
    let client = HomeserverClient::new(https, homeserver.clone()).with_token(&tokens.access_token);
    let (who, pushers) = tokio::join!(client.get("/_matrix/client/v3/account/whoami"), client.pushers());
    judge(patient, sign_in, &tokens, who, pushers)
}

/// From what the homeserver says to a finding (pure).
fn judge(
    patient: &Patient,
    sign_in: &SignIn,
    tokens: &Tokens,
    who: Result<Value, HomeserverError>,
    pushers: Result<Vec<ListedPusher>, HomeserverError>,
) -> Finding {
    let Patient { account, way, last_push, .. } = patient;
    let name = words(&account.name);
    let user = words(&sign_in.user_id);
    let fault = |says: String| Finding::fault(PART, format!("{name}: {says}"));
    let who = match who {
        Ok(who) => who,
        Err(error) if error.is_unknown_token() && tokens.refresh_token.is_some() => {
            let says = format!("{name}: the access token of {user} has expired, and is renewed when it is next needed");
            return Finding::warning(PART, says);
        }
        Err(error) if error.is_unknown_token() => {
            let says = format!("{user} is signed out: the homeserver does not take its access token any more");
            return again(fault(says), sign_in);
        }
        Err(error) => {
            return fault(format!("the homeserver cannot be asked: {}", words(error)))
                .advise("Check the network, and whether the homeserver is up; then look again");
        }
    };
    if who["user_id"].as_str().is_some_and(|is| is != sign_in.user_id) {
        return again(fault(format!("its access token is not that of {user}")), sign_in);
    }
    let pushers = match pushers {
        Ok(pushers) => pushers,
        Err(error) => return fault(format!("the homeserver does not say whom it pushes to: {}", words(error))),
    };
    let is_ours = |pusher: &&ListedPusher| pusher.app_id == account.app_id && pusher.pushkey == account.pushkey;
    let Some(pusher) = pushers.iter().find(is_ours) else {
        return again(fault(format!("the homeserver of {user} has no pusher for this desktop any more")), sign_in);
    };
    if pusher.url != way.url {
        let says = format!("the homeserver pushes to {}, and that is not where Pushbell is now", words(&pusher.url));
        return again(fault(says), sign_in);
    }
    let last = match last_push {
        Some(time) => format!("the last push came {}", time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M")),
        None => "no push has come yet".to_owned(),
    };
    Finding::good(PART, format!("{name}: {user} is signed in and has its pusher; {last}"))
}

fn again(finding: Finding, sign_in: &SignIn) -> Finding {
    finding.advise("Sign in again").paste(format!("pushbell login {}", words(&sign_in.user_id)))
}
