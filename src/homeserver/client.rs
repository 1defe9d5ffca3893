//! One homeserver's client-server API: paths below its base address, the access token, Matrix errors.

use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::Value;

use super::https::{Answer, BaseUrl, Body, HttpsClient, TransportError};
use crate::push::text;

/// Longest piece of a homeserver's own words that an error repeats, in characters.
const MAX_WORDS: usize = 300;

/// Asks one homeserver.
#[derive(Clone)]
pub struct HomeserverClient {
    https: HttpsClient,
    base: BaseUrl,
    token: Option<String>,
}

/// Why the homeserver did not do it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HomeserverError {
    /// There is no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It said no.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// It said yes, but not in a form that the specification knows.
    #[error("{path}: the homeserver's answer has no {missing}")]
    Unexpected {
        /// The path that was asked.
        path: String,
        /// What the answer should have had.
        missing: &'static str,
    },
}

/// A homeserver's "no" (specification, "Standard error response").
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the homeserver says {} to {path}: {errcode}{}", status.as_u16(), words(error))]
pub struct Refusal {
    /// The path that was asked.
    pub path: String,
    /// The status.
    pub status: StatusCode,
    /// `M_FORBIDDEN` and so on; `M_UNKNOWN` where there is none.
    pub errcode: String,
    /// The homeserver's own words, harmless to print; may be empty.
    pub error: String,
    /// The session is logged out but kept: signing in again with its device id goes on with it.
    pub soft_logout: bool,
    /// How long to wait before asking again (`M_LIMIT_EXCEEDED`, `Retry-After`).
    pub retry_after: Option<Duration>,
    /// The answer's body: what user-interactive authentication asks for, for example.
    pub body: Value,
}

fn words(error: &str) -> String {
    if error.is_empty() { String::new() } else { format!(" ({error})") }
}

impl HomeserverError {
    /// Whether the access token is no good any more: expired, revoked, or of a session that was signed out.
    #[must_use]
    pub fn is_unknown_token(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.errcode == "M_UNKNOWN_TOKEN")
    }

    /// Whether the homeserver does not have what was asked for. Only for paths that name nothing that may be missing: of
    /// those, 404 says that there is no such path, whatever its code.
    #[must_use]
    pub fn is_unrecognized(&self) -> bool {
        let Self::Refused(refusal) = self else { return false };
        refusal.errcode == "M_UNRECOGNIZED"
            || refusal.status == StatusCode::METHOD_NOT_ALLOWED
            || refusal.status == StatusCode::NOT_FOUND
    }

    /// Whether asking again later may help: no answer, a fault of the server's, or too many requests.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            Self::Refused(refusal) => {
                refusal.status.is_server_error() || refusal.status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Unexpected { .. } => false,
        }
    }
}

impl HomeserverClient {
    /// Asks the homeserver at that address, without a token.
    #[must_use]
    pub fn new(https: HttpsClient, base: BaseUrl) -> Self {
        Self { https, base, token: None }
    }

    /// The same with an access token.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// The homeserver's base address.
    #[must_use]
    pub fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// What sends the requests, for addresses that are not below the base address.
    #[must_use]
    pub fn https(&self) -> &HttpsClient {
        &self.https
    }

    /// GETs a path such as `/_matrix/client/v3/pushers`, with its query if it has one.
    ///
    /// # Errors
    /// When there is no answer or it is a "no".
    pub async fn get(&self, path: &str) -> Result<Value, HomeserverError> {
        self.ask(&Method::GET, path, Body::Empty).await
    }

    /// POSTs JSON to a path.
    ///
    /// # Errors
    /// When there is no answer or it is a "no".
    pub async fn post(&self, path: &str, body: Value) -> Result<Value, HomeserverError> {
        self.ask(&Method::POST, path, Body::Json(body)).await
    }

    /// PUTs JSON to a path.
    ///
    /// # Errors
    /// When there is no answer or it is a "no".
    pub async fn put(&self, path: &str, body: Value) -> Result<Value, HomeserverError> {
        self.ask(&Method::PUT, path, Body::Json(body)).await
    }

    /// GETs a path whose answer holds what strangers wrote, and returns its text: [`Value`] refuses an answer whole for
    /// one deep or odd event in it. Bytes that are not UTF-8 are read as U+FFFD.
    ///
    /// # Errors
    /// When there is no answer or it is a "no".
    pub async fn get_text(&self, path: &str) -> Result<String, HomeserverError> {
        let answer = self.exchange(&Method::GET, path, Body::Empty).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    async fn ask(&self, method: &Method, path: &str, body: Body) -> Result<Value, HomeserverError> {
        self.exchange(method, path, body).await.map(|answer| answer.json())
    }

    async fn exchange(&self, method: &Method, path: &str, body: Body) -> Result<Answer, HomeserverError> {
        let url = format!("{}{path}", self.base.as_str());
        let answer = self.https.send(method, &url, self.token.as_deref(), &body).await?;
        let path = path.split('?').next().unwrap_or(path);
        if answer.status.is_success() { Ok(answer) } else { Err(refused(path, &answer)) }
    }
}

/// A server's own words, harmless to print.
pub(super) fn printable(text: &str) -> String {
    text::spelled_out(&text.chars().take(MAX_WORDS).collect::<String>()).replace('\n', " ")
}

fn refused(path: &str, answer: &Answer) -> HomeserverError {
    let body = answer.json();
    let word = |key: &str| body[key].as_str().unwrap_or_default();
    let errcode = if word("errcode").is_empty() { "M_UNKNOWN" } else { word("errcode") };
    HomeserverError::Refused(Box::new(Refusal {
        path: path.to_owned(),
        status: answer.status,
        errcode: printable(errcode),
        error: printable(word("error")),
        soft_logout: body["soft_logout"].as_bool().unwrap_or(false),
        // The specification has it in the header since 1.10, and in the answer before.
        retry_after: body["retry_after_ms"].as_u64().map(Duration::from_millis).or(answer.retry_after),
        body,
    }))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn a_homeserver_asks_for_patience_with_a_header_or_in_its_answer() {
        async fn check(header: &str, body: &str, expected: Option<Duration>) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let base = BaseUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
            let client = HomeserverClient::new(HttpsClient::new().unwrap(), base);
            let answer = format!("HTTP/1.1 429 Slow Down\r\n{header}content-length: {}\r\n\r\n{body}", body.len());
            let serve = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            };
            let (asked, ()) = tokio::join!(client.get("/x"), serve);
            let Err(HomeserverError::Refused(refusal)) = asked else { panic!("{asked:?}") };
            assert_eq!(refusal.retry_after, expected, "{header:?} {body}");
        }
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let (plain, waits) = (r#"{"errcode":"M_LIMIT_EXCEEDED"}"#, r#"{"retry_after_ms":90000}"#);
        check("", plain, None).await;
        check("", waits, seconds(90)).await;
        check("Retry-After: 30\r\n", plain, seconds(30)).await;
        check("Retry-After: 30\r\n", "<html>", seconds(30)).await;
        check("Retry-After: 30\r\n", waits, seconds(90)).await;
        check("Retry-After: soon\r\n", plain, None).await;
    }

    #[test]
    fn a_refusal_says_what_the_homeserver_said_and_prints_harmlessly() {
        fn check(status: u16, body: &str, expected: &str) {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                body: body.to_owned().into(),
                retry_after: None,
            };
            assert_eq!(refused("/x", &answer).to_string(), expected);
        }
        check(403, r#"{"errcode":"M_FORBIDDEN","error":"No"}"#, "the homeserver says 403 to /x: M_FORBIDDEN (No)");
        check(502, "<html>", "the homeserver says 502 to /x: M_UNKNOWN");
        check(400, r#"{"errcode":"M_\u001b[31m","error":7}"#, "the homeserver says 400 to /x: M_\\u{1b}[31m");
    }
}
