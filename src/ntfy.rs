//! ntfy as a relay of pushes.
//!
//! The homeserver pushes to the relay, which forwards over a connection that we hold. Anybody who knows the topic can write
//! to it, so a message is only a hint that something is new, and nothing of it is shown.
//!
//! | module | contents |
//! |---|---|
//! | `line` | a line of the relay's stream (pure) |
//! | `progress` | how far a relay was read (pure) |
//! | `probe` | checks whether a server can be used as a relay |

pub(crate) mod line;
pub(crate) mod probe;
pub(crate) mod progress;

use std::fmt;

use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use tokio::time::{Duration, timeout};

use crate::{
    homeserver::BaseUrl,
    http_client::{HttpClient, Lines, Request, TransportError},
    push::notify::{self, Device},
};

/// Prefix of topics, as for every `UnifiedPush` app: servers have rules of their own for it.
const PREFIX: &str = "up";
/// Number of letters and digits after it. Servers that bill subscribers do so for topics of exactly this length.
const TOPIC_CHARS: usize = 12;
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Query of a pushkey.
const QUERY: &str = "?up=1";
/// Time limit of the first line. A proxy that buffers answers sends nothing at all.
const OPENING: Duration = Duration::from_secs(10);
/// Connect timeout, by which an unreachable relay is told from a buffering proxy.
pub(crate) const CONNECTING: Duration = Duration::from_secs(5);
/// Maximum bytes of a line.
const MAX_LINE_BYTES: usize = 1024 * 1024;
/// Maximum bytes of the answer to a poll.
const MAX_POLL_BYTES: usize = 8 * 1024 * 1024;

/// A topic of an ntfy server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Relay {
    /// The server's URL, without a trailing slash.
    base: String,
    key: RelayKey,
}

/// The secret part of a relay.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RelayKey {
    topic: String,
    /// The access token for reading the topic, if the server requires one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("base", &self.base).finish_non_exhaustive()
    }
}

/// Why a relay cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// There was no beginning of an answer in time.
    #[error("a proxy before it holds its answers back")]
    HeldBack,
    /// Access to the topic is denied.
    #[error("it does not let Pushbell read the topic: {0}")]
    Denied(StatusCode),
    /// Too many requests; with the requested delay.
    #[error("it has had too many requests")]
    TooMany(Option<Duration>),
    /// Any other status.
    #[error("it answers {0}, which is not what ntfy answers")]
    Unexpected(StatusCode),
}

impl Relay {
    /// A new random topic at this server, to be read with this access token.
    ///
    /// # Errors
    /// Says what is wrong with the address.
    pub(crate) fn new(address: &str, token: Option<String>) -> Result<Self, String> {
        let base = base(address)?;
        let mut topic = PREFIX.to_owned();
        while topic.len() < PREFIX.len() + TOPIC_CHARS {
            let mut bytes = [0; TOPIC_CHARS];
            getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
            // Uniform: bytes beyond a multiple of the number of letters are dropped.
            let fair = bytes.into_iter().map(usize::from).filter(|byte| *byte < 4 * LETTERS.len());
            let room = PREFIX.len() + TOPIC_CHARS - topic.len();
            topic.extend(fair.take(room).map(|byte| char::from(LETTERS[byte % LETTERS.len()])));
        }
        Ok(Self { base, key: RelayKey { topic, token } })
    }

    /// The relay with this stored key.
    pub(crate) fn of(base: &str, key: RelayKey) -> Self {
        Self { base: base.to_owned(), key }
    }

    /// The same with another access token.
    pub(crate) fn with_token(mut self, token: String) -> Self {
        self.key.token = Some(token);
        self
    }

    /// Whether it has an access token.
    pub(crate) fn has_token(&self) -> bool {
        self.key.token.is_some()
    }

    /// The secret part.
    pub(crate) fn key(&self) -> &RelayKey {
        &self.key
    }

    /// Whether this is the server's address, in any form.
    pub(crate) fn is_at(&self, address: &str) -> bool {
        base(address).is_ok_and(|base| base == self.base)
    }

    /// Whether this is a server's address in canonical form.
    pub(crate) fn is_base(address: &str) -> bool {
        base(address).is_ok_and(|base| base == address)
    }

    /// The server's URL, without a trailing slash.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The pushkey of pushers of this topic.
    pub(crate) fn pushkey(&self) -> String {
        format!("{}/{}{QUERY}", self.base, self.key.topic)
    }

    /// The URL that homeservers push to.
    pub(crate) fn gateway(&self) -> String {
        format!("{}{}", self.base, notify::PATH)
    }

    /// Whether one of the devices has this app id and the pushkey of this topic.
    pub(crate) fn is_meant(&self, app_id: &str, devices: &[Device]) -> bool {
        let pushkey = self.pushkey();
        devices
            .iter()
            .any(|device| device.app_id == app_id && bool::from(device.pushkey.as_bytes().ct_eq(pushkey.as_bytes())))
    }

    /// The topic's URL.
    fn url(&self) -> String {
        format!("{}/{}", self.base, self.key.topic)
    }

    /// A request for reading the topic.
    fn reading<'a>(&'a self, url: &'a str) -> Request<'a> {
        Request { token: self.key.token.as_deref(), ..Request::new(Method::GET, url) }
    }

    /// Opens the stream of lines since this time, followed by new lines as they arrive. Also returns the first line.
    pub(crate) async fn open(&self, http: &HttpClient, since: Option<&str>) -> Result<(Vec<u8>, Lines), RelayError> {
        let query = since.map_or_else(String::new, |since| format!("?since={since}"));
        let url = format!("{}/json{query}", self.url());
        let opening = async {
            let opened = http.lines(&self.reading(&url), MAX_LINE_BYTES).await?;
            let mut lines = opened.body;
            refuse(opened.status, opened.retry_after)?;
            match lines.next().await? {
                Some(first) => Ok((first, lines)),
                None => Err(RelayError::Unexpected(opened.status)),
            }
        };
        timeout(OPENING, opening).await.unwrap_or(Err(RelayError::HeldBack))
    }

    /// Polls the lines since this time: for use behind proxies that buffer streams.
    pub(crate) async fn poll(&self, http: &HttpClient, since: &str) -> Result<Vec<Vec<u8>>, RelayError> {
        let url = format!("{}/json?poll=1&since={since}", self.url());
        let request = Request { max_answer_bytes: MAX_POLL_BYTES, ..self.reading(&url) };
        let answer = http.send(&request).await?;
        refuse(answer.status, answer.retry_after)?;
        Ok(answer.body.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect())
    }
}

fn refuse(status: StatusCode, retry_after: Option<Duration>) -> Result<(), RelayError> {
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(RelayError::Denied(status)),
        StatusCode::TOO_MANY_REQUESTS => Err(RelayError::TooMany(retry_after)),
        other => Err(RelayError::Unexpected(other)),
    }
}

/// The canonical form of a server's address, with which pushkeys begin.
fn base(address: &str) -> Result<String, String> {
    let wrong = || "the address of an ntfy server is a name alone, as in https://ntfy.example.org".to_owned();
    let base = BaseUrl::parse(address).ok().filter(BaseUrl::has_no_path).ok_or_else(wrong)?;
    Ok(base.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_as_servers_want_it() {
        let relay = Relay::new("ntfy.example.org/", None).unwrap();
        let pushkey = relay.pushkey();
        let topic = pushkey.strip_prefix("https://ntfy.example.org/up").unwrap().strip_suffix("?up=1").unwrap();
        assert!(topic.len() == 12 && topic.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{topic}");
        assert_eq!(Relay::of(relay.base(), relay.key().clone()), relay);
        assert!(relay.is_at("https://ntfy.example.org") && !relay.is_at("https://example.org"));
        assert_eq!(relay.gateway(), "https://ntfy.example.org/_matrix/push/v1/notify");
        assert_ne!(Relay::new("ntfy.example.org", None).unwrap(), relay);
        assert!(!format!("{relay:?}").contains(topic), "it is a secret");
    }

    #[test]
    fn an_address_has_no_path_or_query() {
        for address in ["", "ftp://a", "https://a/b", "https://a?b", "https://u:p@a", "http://"] {
            Relay::new(address, None).unwrap_err();
        }
    }

    #[test]
    fn a_push_is_meant_for_its_app_and_topic_only() {
        let relay = Relay::new("http://127.0.0.1:2586", None).unwrap();
        let device = |app_id: &str, pushkey: String| {
            let body = serde_json::json!({"notification": {"devices": [{"app_id": app_id, "pushkey": pushkey}]}});
            notify::Notification::parse(body.to_string().as_bytes()).unwrap().devices
        };
        assert!(relay.is_meant("app", &device("app", relay.pushkey())));
        assert!(!relay.is_meant("app", &device("another", relay.pushkey())));
        assert!(!relay.is_meant("app", &device("app", format!("{}x", relay.pushkey()))));
    }
}
