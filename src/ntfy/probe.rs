//! Checks whether an ntfy server can be used as a relay, by sending a push of our own through it.

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Duration, timeout};

use super::{Relay, RelayError, line::Line};
use crate::http_client::{Answer, HttpClient, Request};

/// The app id of the probe's push, which no account has.
const APP_ID: &str = "org.pushbell.probe";
/// Time limit of that push.
const ARRIVAL: Duration = Duration::from_secs(5);
/// ntfy's error code for a missing `base-url`.
const NO_BASE_URL: u32 = 50_003;

/// A problem with a relay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{says}")]
pub(crate) struct RelayProblem {
    /// A sentence without a full stop.
    pub(crate) says: String,
    /// What to do about it.
    pub(crate) advice: String,
    /// Lines to paste.
    pub(crate) paste: Option<String>,
    /// The relay works nevertheless, with a delay.
    pub(crate) is_slow_only: bool,
    /// Reading requires an access token.
    pub(crate) wants_token: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorAnswer {
    code: u32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PushAnswer {
    rejected: Vec<String>,
}

/// Checks whether pushes to the relay arrive here.
///
/// # Errors
/// When they do not.
pub(crate) async fn probe(relay: &Relay, http: &HttpClient) -> Result<(), RelayProblem> {
    let base = relay.base();
    let get =
        async |url: &str| http.send(&Request::new(Method::GET, url)).await.map_err(|error| away(relay, &error.into()));
    let gateway = get(&relay.gateway()).await?;
    if !is_gateway(&gateway) {
        return Err(if gateway.json::<ErrorAnswer>().code == NO_BASE_URL {
            no_base_url(relay)
        } else {
            problem(
                format!("{base} is no ntfy server that takes Matrix pushes: it answers {}", gateway.status),
                "Look at the address, and at the proxy before it: it has to pass on every path",
            )
        });
    }
    let url = format!("{}/auth", relay.url());
    let auth = http.send(&relay.reading(&url)).await.map_err(|error| away(relay, &error.into()))?;
    if auth.status != StatusCode::OK {
        return Err(away(relay, &super::refuse(auth.status, auth.retry_after).err().unwrap_or(RelayError::HeldBack)));
    }
    let (_, mut lines) = relay.open(http, None).await.map_err(|error| away(relay, &error))?;
    let device = json!({"app_id": APP_ID, "pushkey": relay.pushkey()});
    let push = json!({"notification": {"devices": [device]}}).to_string();
    let url = relay.gateway();
    let answer = http.send(&Request::new(Method::POST, &url).json(push)).await;
    let answer = answer.map_err(|error| away(relay, &error.into()))?;
    match answer.status {
        StatusCode::OK if answer.json::<PushAnswer>().rejected.is_empty() => {}
        StatusCode::OK => return Err(no_base_url(relay)),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(denied(relay, "it lets nobody write to the topic, homeservers neither"));
        }
        status => {
            let says = format!("{base} takes no push now: it answers {status}");
            return Err(problem(says, "Its log says why; 429 and 507 may be over in a while"));
        }
    }
    let arrival = async {
        while let Some(line) = lines.next().await? {
            let is_ours = |line: &Line| line.hint.as_ref().is_some_and(|hint| relay.is_meant(APP_ID, &hint.devices));
            if Line::parse(&line).is_some_and(|line| is_ours(&line)) {
                return Ok(());
            }
        }
        Err(RelayError::HeldBack)
    };
    timeout(ARRIVAL, arrival).await.unwrap_or(Err(RelayError::HeldBack)).map_err(|error| away(relay, &error))
}

fn is_gateway(answer: &Answer) -> bool {
    let answered: serde_json::Value = answer.json();
    answer.status == StatusCode::OK && answered["unifiedpush"]["gateway"] == "matrix"
}

fn problem(says: String, advice: &str) -> RelayProblem {
    RelayProblem { says, advice: advice.to_owned(), paste: None, is_slow_only: false, wants_token: false }
}

fn no_base_url(relay: &Relay) -> RelayProblem {
    let base = relay.base();
    let says = format!("{base} does not know that this is its address: it would reject every push");
    RelayProblem {
        paste: Some(format!("base-url: {base}")),
        ..problem(says, "Set this in the server's server.yml, and restart ntfy")
    }
}

fn denied(relay: &Relay, reason: &str) -> RelayProblem {
    let says = format!("{}: {reason}", relay.base());
    let (advice, rights) = if relay.has_token() {
        (
            "On the server, give the user whose access token Pushbell has the right to read topics that begin with up, and \
             everybody that to write them; a new token is given with --ntfy-token-file",
            "write-only",
        )
    } else {
        (
            "On the server, let topics that begin with up be read and written by whoever knows them; or let everybody write \
             them alone, and give Pushbell the access token of a user who may read them, with --ntfy-token-file",
            "read-write",
        )
    };
    RelayProblem { paste: Some(format!("ntfy access everyone 'up*' {rights}")), ..problem(says, advice) }
}

/// The problem of a relay that cannot be read.
pub(crate) fn away(relay: &Relay, error: &RelayError) -> RelayProblem {
    let base = relay.base();
    match error {
        RelayError::HeldBack => RelayProblem {
            paste: Some("proxy_http_version 1.1;\nproxy_buffering off;".to_owned()),
            is_slow_only: true,
            ..problem(
                format!("{base}: {error}, so it is asked once a minute only"),
                "If it is nginx, this belongs into its location for ntfy",
            )
        },
        RelayError::Denied(_) => RelayProblem { wants_token: !relay.has_token(), ..denied(relay, &error.to_string()) },
        RelayError::TooMany(_) => problem(
            format!("{base}: {error}"),
            "Wait for some minutes, or raise visitor-request-limit-burst in server.yml",
        ),
        RelayError::Transport(_) | RelayError::Unexpected(_) => {
            problem(format!("{base} cannot be used: {error}"), "Look at the address, and whether ntfy runs there")
        }
    }
}
