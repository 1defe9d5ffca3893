//! Requests to one homeserver: paths below its base address, access token, size limits of answers, Matrix errors.

use std::{fmt, time::Duration};

use hyper::{Method, StatusCode, body::Bytes};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use url::Url;

use crate::{
    http_client::{Answer, HttpClient, MAX_ANSWER_BYTES, Request, TransportError},
    push::text,
};

/// Maximum length of a homeserver's error message, in characters.
const MAX_WORDS: usize = 300;
/// The error code of an error response without one.
const NO_CODE: &str = "M_UNKNOWN";

/// Kind of an answer, which decides its size limit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AnswerKind {
    /// Versions, sessions, tokens, names, errors.
    Small,
    /// All pushers of an account.
    Pushers,
    /// One event: at most 64 KiB, and the homeserver's additions.
    Event,
    /// A page of notifications or of a room's events.
    Page,
    /// Devices and keys of users, to-device messages, members of a room, push rules.
    #[cfg_attr(not(feature = "encryption"), expect(dead_code, reason = "encryption asks for them"))]
    Keys,
}

impl AnswerKind {
    const fn max_bytes(self) -> usize {
        match self {
            Self::Small => MAX_ANSWER_BYTES,
            Self::Pushers | Self::Event => 256 * 1024,
            // If a page does not fit, fewer entries are requested.
            Self::Page => 1024 * 1024,
            // A hundred to-device messages at once; a room's members with their names.
            Self::Keys => 8 * 1024 * 1024,
        }
    }
}

/// An `https:` or `http:` URL with a host, and without user name, query and fragment, to which paths can be appended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Parses a URL. The default scheme is https.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let wrong = |what: &str| format!("{text} {what}: an address looks like https://matrix.example.org");
        let mut url = Url::parse(&text).map_err(|error| wrong(&format!("is no address ({error})")))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(wrong("is neither https nor http"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("has a user name"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("has a query or a fragment"));
        }
        url.set_path(url.path().to_owned().trim_end_matches('/'));
        Ok(Self(url))
    }

    /// The URL, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Whether it is a host and port alone.
    pub(crate) fn has_no_path(&self) -> bool {
        self.0.path() == "/"
    }

    /// Whether it is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Host (an IPv6 address without brackets) and port.
    #[must_use]
    pub fn host_and_port(&self) -> (String, u16) {
        let host = self.0.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        (host, self.0.port_or_known_default().unwrap_or(443))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Client of one homeserver.
#[derive(Clone)]
pub struct HomeserverClient {
    http: HttpClient,
    base: BaseUrl,
    token: Option<String>,
}

/// Why a request to the homeserver failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HomeserverError {
    /// There is no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An error response.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// A successful response that does not have the specified form.
    #[error("{path}: the homeserver's answer has no {missing}")]
    Unexpected {
        /// The path of the request.
        path: String,
        /// What the answer lacks.
        missing: &'static str,
    },
}

/// An error response of a homeserver (specification, "Standard error response").
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the homeserver says {} to {path}: {errcode}{}", status.as_u16(), words(error))]
pub struct Refusal {
    /// The path of the request.
    pub path: String,
    /// The status.
    pub status: StatusCode,
    /// `M_FORBIDDEN` and so on; `M_UNKNOWN` if there is none.
    pub errcode: String,
    /// The homeserver's message, safe to print; may be empty.
    pub error: String,
    /// With `M_UNKNOWN_TOKEN`: the token has expired, but the session still exists (specification, "Soft logout").
    pub soft_logout: bool,
    /// The requested delay before a retry (`M_LIMIT_EXCEEDED`, `Retry-After`).
    pub retry_after: Option<Duration>,
}

fn words(error: &str) -> String {
    if error.is_empty() { String::new() } else { format!(" ({error})") }
}

impl HomeserverError {
    /// Whether the access token is invalid: expired, revoked, or of a session that was signed out.
    #[must_use]
    pub fn is_unknown_token(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.errcode == "M_UNKNOWN_TOKEN")
    }

    /// Whether the session of an unknown token still exists.
    #[must_use]
    pub fn is_soft_logout(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.soft_logout)
    }

    /// Whether the homeserver does not support the request. Only for paths without ids: of those, any 404 means that the
    /// path is unknown.
    #[must_use]
    pub fn is_unrecognized(&self) -> bool {
        let Self::Refused(refusal) = self else { return false };
        refusal.errcode == "M_UNRECOGNIZED"
            || refusal.status == StatusCode::METHOD_NOT_ALLOWED
            || refusal.status == StatusCode::NOT_FOUND
    }

    /// Whether a retry may help: there was no answer, a server error, too many requests, or the answer of a captive portal
    /// or proxy, since homeservers neither redirect these requests nor refuse them without an error code.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            Self::Refused(refusal) => {
                let has_no_code = refusal.errcode == NO_CODE;
                match refusal.status {
                    StatusCode::TOO_MANY_REQUESTS => true,
                    StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => has_no_code,
                    status => status.is_server_error() || status.is_redirection(),
                }
            }
            Self::Unexpected { .. } => false,
        }
    }
}

impl HomeserverClient {
    /// A client for the homeserver at this address, without a token.
    #[must_use]
    pub fn new(http: HttpClient, base: BaseUrl) -> Self {
        Self { http, base, token: None }
    }

    /// The same with an access token.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// The same with this deadline for each request.
    pub(crate) fn with_deadline(self, deadline: Duration) -> Self {
        Self { http: self.http.with_deadline(deadline), ..self }
    }

    /// The homeserver's base address.
    #[must_use]
    pub fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// The underlying HTTP client, for addresses that are not below the base address.
    #[must_use]
    pub fn http(&self) -> &HttpClient {
        &self.http
    }

    /// GETs a path such as `/_matrix/client/v3/login`, with its query if it has one. A body of another form than `T` counts
    /// as the default.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn get<T: DeserializeOwned + Default>(&self, path: &str) -> Result<T, HomeserverError> {
        Ok(self.request(Method::GET, path, None, AnswerKind::Small).await?.json())
    }

    /// GETs a path, and parses the body with `parse`.
    pub(crate) async fn get_with<T: Send + 'static>(
        &self,
        path: &str,
        kind: AnswerKind,
        parse: impl FnOnce(&[u8]) -> Option<T> + Send + 'static,
    ) -> Result<Option<T>, HomeserverError> {
        Ok(self.request(Method::GET, path, None, kind).await?.parse(parse).await)
    }

    /// POSTs JSON to a path.
    pub(crate) async fn post<T>(&self, path: &str, body: &Value) -> Result<T, HomeserverError>
    where
        T: DeserializeOwned + Default,
    {
        Ok(self.request(Method::POST, path, Some(body.to_string().into()), AnswerKind::Small).await?.json())
    }

    /// PUTs JSON to a path.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<(), HomeserverError> {
        self.request(Method::PUT, path, Some(body.to_string().into()), AnswerKind::Small).await.map(drop)
    }

    /// Sends a request with an optional body of JSON, and returns the answer's body.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        kind: AnswerKind,
    ) -> Result<Bytes, HomeserverError> {
        Ok(self.request(method, path, body, kind).await?.body)
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        kind: AnswerKind,
    ) -> Result<Answer, HomeserverError> {
        let url = format!("{}{path}", self.base);
        let follows_redirects = method == Method::GET && self.token.is_none();
        let request = Request::new(method, &url);
        let (token, max_answer_bytes) = (self.token.as_deref(), kind.max_bytes());
        let mut request = Request { token, max_answer_bytes, follows_redirects, ..request };
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = self.http.send(&request).await?;
        let path = path.split('?').next().unwrap_or(path);
        if answer.status.is_success() { Ok(answer) } else { Err(refused(path, &answer)) }
    }
}

/// Parses JSON; `None` if it is not of that form.
pub(crate) fn from_json<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// A field that counts as absent if it is not of the expected type.
#[derive(Debug, Clone)]
pub(crate) struct Lenient<T>(pub(crate) Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(json.get()).ok()))
    }
}

impl Lenient<String> {
    /// The text, unless it is empty.
    pub(crate) fn text(self) -> Option<String> {
        self.0.filter(|text| !text.is_empty())
    }
}

/// A server's message, safe to print.
pub(super) fn printable(text: &str) -> String {
    text::spelled_out(&text.chars().take(MAX_WORDS).collect::<String>()).replace('\n', " ")
}

/// The specification's "standard error response".
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorAnswer {
    errcode: Lenient<String>,
    error: Lenient<String>,
    soft_logout: Lenient<bool>,
    retry_after_ms: Lenient<u64>,
}

fn refused(path: &str, answer: &Answer) -> HomeserverError {
    let ErrorAnswer { errcode, error, soft_logout, retry_after_ms } = answer.json();
    HomeserverError::Refused(Box::new(Refusal {
        path: path.to_owned(),
        status: answer.status,
        errcode: printable(errcode.text().as_deref().unwrap_or(NO_CODE)),
        error: printable(&error.0.unwrap_or_default()),
        soft_logout: soft_logout.0.unwrap_or(false),
        // In the header since version 1.10 of the specification, in the body before.
        retry_after: retry_after_ms.0.map(Duration::from_millis).or(answer.retry_after),
    }))
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn retry_after_is_read_from_the_header_or_the_body() {
        async fn check(header: &str, body: &str, expected: Option<Duration>) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let base = BaseUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
            let client = HomeserverClient::new(HttpClient::new().unwrap(), base);
            let answer = format!("HTTP/1.1 429 Slow Down\r\n{header}content-length: {}\r\n\r\n{body}", body.len());
            let serve = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            };
            let (asked, ()) = tokio::join!(client.get::<IgnoredAny>("/x"), serve);
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
    fn a_refusal_has_the_homeservers_words_made_printable() {
        fn check(status: u16, body: &str, expected: &str) {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                body: body.to_owned().into(),
                retry_after: None,
                location: None,
            };
            assert_eq!(refused("/x", &answer).to_string(), expected);
        }
        check(403, r#"{"errcode":"M_FORBIDDEN","error":"No"}"#, "the homeserver says 403 to /x: M_FORBIDDEN (No)");
        check(502, "<html>", "the homeserver says 502 to /x: M_UNKNOWN");
        check(400, r#"{"errcode":"M_\u001b[31m","error":7}"#, "the homeserver says 400 to /x: M_\\u{1b}[31m");
    }

    #[test]
    fn refusals_of_captive_portals_are_temporary() {
        let check = |status: u16, body: &str, expected: bool| {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, body: body.to_owned().into(), retry_after: None, location: None };
            assert_eq!(refused("/x", &answer).is_temporary(), expected, "{status} {body}");
        };
        let page = "<html>Sign in to use this network.</html>";
        for status in [302, 401, 403, 429, 502, 511] {
            check(status, page, true);
        }
        check(404, page, false);
        check(401, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#, false);
        check(403, r#"{"errcode":"M_FORBIDDEN"}"#, false);
    }

    #[test]
    fn base_urls_are_parsed_and_checked() {
        fn check(text: &str, expected: Option<&str>) {
            let parsed = BaseUrl::parse(text).ok();
            assert_eq!(parsed.as_ref().map(BaseUrl::as_str), expected, "{text:?}");
        }
        check("https://matrix.example.org", Some("https://matrix.example.org"));
        check(" https://example.org/matrix/ ", Some("https://example.org/matrix"));
        check("matrix.example.org:8448", Some("https://matrix.example.org:8448"));
        check("http://[::1]:8008", Some("http://[::1]:8008"));
        check("ftp://example.org", None);
        check("https://", None);
        check("https://me:secret@example.org", None);
        check("https://example.org?query", None);
        check("https://app.example.org/#/home", None);
        check("HTTPS://example.org", Some("https://example.org"));
        check("https://exa mple.org", None);
    }
}
