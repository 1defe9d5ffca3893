//! Requests with a deadline and a bounded answer.

use std::{error::Error as _, io, time::Duration};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, StatusCode, Uri,
    body::Bytes,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT},
};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::time;
use tokio_rustls::rustls::{self, CertificateError};

use crate::identity;

/// How long a request may take, from the name's resolution to the answer's last byte.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// The greatest answer that is read.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// How many redirects of a GET are followed.
const MAX_REDIRECTS: usize = 5;

/// An `https:` or `http:` address that paths can be appended to: it has a host, and neither query nor trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Reads an address; one without a scheme is https.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.trim().split_once("://").unwrap_or(("https", text.trim()));
        let text = format!("{}://{}", scheme.to_ascii_lowercase(), rest.trim_end_matches('/'));
        let wrong = |what: &str| Err(format!("{text} {what}: an address looks like https://matrix.example.org"));
        let Ok(uri) = text.parse::<Uri>() else { return wrong("is no address") };
        if !matches!(uri.scheme_str(), Some("https" | "http")) {
            return wrong("is neither https nor http");
        }
        match uri.authority() {
            None => wrong("has no host"),
            Some(authority) if authority.host().is_empty() => wrong("has no host"),
            Some(authority) if authority.as_str().contains('@') => wrong("has a user name"),
            Some(_) if uri.query().is_some() => wrong("has a query"),
            // The parser drops it, with whatever is appended.
            Some(_) if text.contains('#') => wrong("has a fragment"),
            Some(_) => Ok(Self(text)),
        }
    }

    /// The address, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Host (an IPv6 address without brackets) and port.
    #[must_use]
    pub fn host_and_port(&self) -> (String, u16) {
        let uri: Uri = self.0.parse().unwrap_or_default();
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        (host, uri.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 }))
    }
}

/// What went wrong on the way to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportFault {
    /// The host's name has no address.
    Unresolved,
    /// Nobody listens there.
    Refused,
    /// The host's certificate is not one to trust; the reason says why.
    Certificate,
    /// It took longer than the deadline.
    TimedOut,
    /// The answer is larger than any of a homeserver.
    TooLarge,
    /// The connection broke, or the other side does not speak HTTP.
    Broken,
    /// This computer's certificate store cannot be read.
    NoCertificateStore,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host}: {reason}")]
pub struct TransportError {
    /// Host and port that were asked.
    pub host: String,
    /// What happened.
    pub fault: TransportFault,
    /// In words. Never holds a token.
    pub reason: String,
}

/// A body to send.
#[derive(Clone)]
pub enum Body {
    /// None.
    Empty,
    /// `application/json`
    Json(Value),
    /// `application/x-www-form-urlencoded`
    Form(Vec<(String, String)>),
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body, whole.
    pub body: Bytes,
    /// `Retry-After`, where it is a number of seconds.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// The body as JSON; `Null` where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// Sends requests. Each holds the system's certificates, so it is made when needed and dropped afterwards.
#[derive(Clone)]
pub struct HttpsClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    deadline: Duration,
}

impl HttpsClient {
    /// Reads the system's certificates (or those of `SSL_CERT_FILE`).
    ///
    /// # Errors
    /// When there are none.
    pub fn new() -> Result<Self, TransportError> {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(tokio_rustls::rustls::crypto::ring::default_provider())
            .map_err(|error| TransportError {
                host: "this computer".to_owned(),
                fault: TransportFault::NoCertificateStore,
                reason: format!("no certificate authorities to trust: {error}; install ca-certificates"),
            })?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector);
        Ok(Self { client, deadline: DEADLINE })
    }

    /// The same with another deadline for each request.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Sends a request, and returns the answer whatever its status. A GET without a token follows redirects.
    ///
    /// # Errors
    /// When there is no whole answer in time.
    pub async fn send(
        &self,
        method: &Method,
        url: &str,
        token: Option<&str>,
        body: &Body,
    ) -> Result<Answer, TransportError> {
        let mut target = url.to_owned();
        let exchange = async {
            let mut redirects = 0;
            loop {
                let (answer, location) = self.exchange(method, &target, token, body).await?;
                let follow = answer.status.is_redirection() && *method == Method::GET && token.is_none();
                match location.filter(|_| follow && redirects < MAX_REDIRECTS) {
                    Some(location) => target = absolute(&target, &location),
                    None => return Ok(answer),
                }
                redirects += 1;
            }
        };
        let ended = time::timeout(self.deadline, exchange).await;
        ended.unwrap_or_else(|_| {
            let reason = format!("no answer within {} s", self.deadline.as_secs());
            Err(TransportError { host: host_of(url), fault: TransportFault::TimedOut, reason })
        })
    }

    async fn exchange(
        &self,
        method: &Method,
        url: &str,
        token: Option<&str>,
        body: &Body,
    ) -> Result<(Answer, Option<String>), TransportError> {
        let broken = |reason: String| TransportError { host: host_of(url), fault: TransportFault::Broken, reason };
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(USER_AGENT, format!("Pushbell/{}", identity::VERSION))
            .header(ACCEPT, "application/json");
        if let Some(token) = token {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| broken("the access token has characters that no token has".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let (content_type, bytes) = encoded(body);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let request = request.body(Full::new(bytes)).map_err(|error| broken(error.to_string()))?;
        let answer = self.client.request(request).await.map_err(|error| told(&host_of(url), &error))?;
        let (head, body) = answer.into_parts();
        let location = head.headers.get(LOCATION).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        let retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let reason = "the answer is larger than any of a homeserver".to_owned();
                TransportError { host: host_of(url), fault: TransportFault::TooLarge, reason }
            } else {
                broken(error.to_string())
            }
        })?;
        Ok((
            Answer { status: head.status, body: body.to_bytes(), retry_after: retry_after.map(Duration::from_secs) },
            location,
        ))
    }
}

fn encoded(body: &Body) -> (Option<&'static str>, Bytes) {
    match body {
        Body::Empty => (None, Bytes::new()),
        Body::Json(value) => (Some("application/json"), value.to_string().into()),
        Body::Form(fields) => {
            let pairs: Vec<_> =
                fields.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
            (Some("application/x-www-form-urlencoded"), pairs.join("&").into())
        }
    }
}

/// Percent-encodes one segment of a path, one value of a query or one field of a form.
#[must_use]
pub fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn host_of(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    uri.and_then(|uri| uri.authority().map(ToString::to_string)).unwrap_or_else(|| url.to_owned())
}

/// Where a redirect leads.
fn absolute(from: &str, location: &str) -> String {
    if location.contains("://") {
        return location.to_owned();
    }
    let authority = from.find("://").map_or(0, |at| at + 3);
    let root = from.get(authority..).and_then(|rest| rest.find('/')).map_or(from.len(), |at| authority + at);
    let root = from.get(..root).unwrap_or(from);
    format!("{root}/{}", location.trim_start_matches('/'))
}

/// What of an error matters to a person: the innermost cause that we know.
fn told(host: &str, error: &hyper_util::client::legacy::Error) -> TransportError {
    let mut fault = TransportFault::Broken;
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        // hyper-util says so and has no type for it.
        if inner == "dns error" {
            fault = TransportFault::Unresolved;
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            if io.kind() == io::ErrorKind::ConnectionRefused {
                fault = TransportFault::Refused;
            }
            if let Some(refused) = refused_certificate(io) {
                let reason = in_words(refused);
                return TransportError { host: host.to_owned(), fault: TransportFault::Certificate, reason };
            }
        }
        reason = inner;
        cause = error.source();
    }
    TransportError { host: host.to_owned(), fault, reason }
}

/// What an error of a connection says of the other side's certificate. It hides what it carries from the chain of sources,
/// and may carry another of its kind.
fn refused_certificate(error: &io::Error) -> Option<&CertificateError> {
    let carried = error.get_ref()?;
    match (carried.downcast_ref::<rustls::Error>(), carried.downcast_ref::<io::Error>()) {
        (Some(rustls::Error::InvalidCertificate(refused)), _) => Some(refused),
        (None, Some(inner)) => refused_certificate(inner),
        (Some(_) | None, _) => None,
    }
}

fn in_words(refused: &CertificateError) -> String {
    use CertificateError::{Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer};
    if matches!(refused, UnknownIssuer) {
        "its certificate is of no authority that this computer trusts".to_owned()
    } else if matches!(refused, Expired | ExpiredContext { .. }) {
        "its certificate has expired".to_owned()
    } else if matches!(refused, NotValidForName | NotValidForNameContext { .. }) {
        "its certificate is for another name".to_owned()
    } else {
        format!("its certificate cannot be trusted: {refused}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_is_none() {
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

    #[test]
    fn redirects_lead_to_whole_addresses() {
        let check = |location: &str, expected: &str| {
            assert_eq!(absolute("https://a.org:1/.well-known/x", location), expected, "{location:?}");
        };
        check("https://b.org/y", "https://b.org/y");
        check("/y", "https://a.org:1/y");
        check("y", "https://a.org:1/y");
    }

    #[tokio::test]
    async fn what_went_wrong_is_told_apart() {
        async fn check(url: &str, expected: TransportFault) {
            let client = HttpsClient::new().unwrap().with_deadline(Duration::from_millis(500));
            let error = client.send(&Method::GET, url, None, &Body::Empty).await.unwrap_err();
            assert_eq!(error.fault, expected, "{error}");
        }
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        check(&format!("http://{}/", silent.local_addr().unwrap()), TransportFault::TimedOut).await;
        let address = silent.local_addr().unwrap();
        drop(silent);
        check(&format!("http://{address}/"), TransportFault::Refused).await;
        check("http://no-such-host.invalid/", TransportFault::Unresolved).await;
    }
}
