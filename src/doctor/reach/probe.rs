//! A push of our own to the pusher URL, the way a homeserver sends one: its pushkey is unknown, so that the answer
//! says in our own words that we have read it, and nothing is shown. Redirects are seen, never followed.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST, LOCATION, USER_AGENT},
};
use hyper_rustls::ConfigBuilderExt as _;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{self, CertificateError, ClientConfig, crypto::ring, pki_types::ServerName},
};

use super::url::{Host, PusherUrl};
use crate::{accounts, identity, push::notify};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_millis(1500);
/// How long the rest of a request may take.
const ANSWER: Duration = Duration::from_secs(2);
/// The greatest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Our own answer, unchanged.
    Ours,
    /// 200, and our answer is in it, but changed.
    Altered,
    /// 200, and somebody else's answer.
    Foreign,
    /// Another status.
    Status(u16),
    /// A redirect, and where to.
    Redirect(u16, String),
    /// Nobody listens there.
    Refused,
    /// There is no way there: why.
    Unreachable(String),
    /// No connection, or no answer, in time.
    TimedOut,
    /// A certificate that is not one to trust.
    Certificate(Distrust),
    /// This computer has no certificates to judge by: why.
    NoAuthorities(String),
    /// Whoever listens there does not speak TLS.
    NotTls,
    /// The connection broke, or it is not HTTP.
    Broken(String),
}

/// Why a certificate is not trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Distrust {
    Expired,
    NotYetValid,
    /// It is for these names.
    WrongName(Vec<String>),
    /// No authority that this computer trusts has issued it.
    UnknownIssuer,
    /// In the words of the library.
    Other(String),
}

/// Sends requests to one pusher URL.
pub(super) struct Prober<'a> {
    url: &'a PusherUrl,
    tls: Option<Result<TlsConnector, String>>,
}

impl<'a> Prober<'a> {
    /// Reads the system's certificates, if the URL is https.
    pub(super) fn new(url: &'a PusherUrl) -> Self {
        Self { url, tls: url.https.then(connector) }
    }

    /// The push that nobody is to get.
    pub(super) async fn push(&self, address: IpAddr) -> Outcome {
        let Ok(random) = accounts::new_pushkey() else {
            return Outcome::Broken("there are no random numbers".to_owned());
        };
        let pushkey = format!("{}{random}", identity::PROBE_PUSHKEY);
        let device = json!({"app_id": identity::APP_ID, "pushkey": pushkey});
        let body = json!({"notification": {"counts": {}, "devices": [device]}}).to_string();
        let path = self.url.path.as_str();
        match self.exchange(address, &Method::POST, path, body).await {
            Err(outcome) => outcome,
            Ok((StatusCode::OK, body)) => recognise(&pushkey, &body),
            Ok((status, _)) => Outcome::Status(status.as_u16()),
        }
    }

    /// `GET /health`: whether we are there at all, if the push was not answered by us.
    pub(super) async fn is_healthy(&self, address: IpAddr) -> bool {
        let path = self.url.path.strip_suffix(notify::PATH).unwrap_or_default();
        let answer = self.exchange(address, &Method::GET, &format!("{path}/health"), String::new()).await;
        let ours = |body: Bytes| serde_json::from_slice(&body).is_ok_and(|body: Value| body == json!({"status": "ok"}));
        answer.is_ok_and(|(status, body)| status == StatusCode::OK && ours(body))
    }

    async fn exchange(
        &self,
        address: IpAddr,
        method: &Method,
        path: &str,
        body: String,
    ) -> Result<(StatusCode, Bytes), Outcome> {
        let connected = timeout(CONNECT, TcpStream::connect(SocketAddr::new(address, self.url.port))).await;
        let stream = connected.map_err(|_| Outcome::TimedOut)?.map_err(|error| not_connected(&error))?;
        let exchange = async {
            match &self.tls {
                None => self.converse(stream, method, path, body).await,
                Some(Err(reason)) => Err(Outcome::NoAuthorities(reason.clone())),
                Some(Ok(tls)) => {
                    let stream = tls.connect(server_name(&self.url.host)?, stream).await.map_err(|e| no_tls(&e))?;
                    self.converse(stream, method, path, body).await
                }
            }
        };
        timeout(ANSWER, exchange).await.unwrap_or(Err(Outcome::TimedOut))
    }

    async fn converse(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        method: &Method,
        path: &str,
        body: String,
    ) -> Result<(StatusCode, Bytes), Outcome> {
        let broken = |error: &dyn std::error::Error| Outcome::Broken(innermost(error));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.url.base().split("://").nth(1).unwrap_or_default())
            .header(USER_AGENT, format!("Pushbell/{}", identity::VERSION))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| broken(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
            let (head, body) = answer.into_parts();
            if head.status.is_redirection() {
                let to = head.headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
                return Err(Outcome::Redirect(head.status.as_u16(), to.to_owned()));
            }
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            Ok((head.status, body.map_err(|error| Outcome::Broken(error.to_string()))?.to_bytes()))
        };
        tokio::pin!(exchange);
        tokio::select! {
            biased;
            ended = &mut exchange => ended,
            // What has arrived by then can be read to its end.
            _ = connection => exchange.await,
        }
    }
}

/// Whose answer it is.
fn recognise(pushkey: &str, body: &[u8]) -> Outcome {
    let told: Option<Value> = serde_json::from_slice(body).ok();
    if told == Some(json!({"rejected": [pushkey]})) {
        Outcome::Ours
    } else if String::from_utf8_lossy(body).contains(pushkey) {
        Outcome::Altered
    } else {
        Outcome::Foreign
    }
}

fn connector() -> Result<TlsConnector, String> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_native_roots()
        .map_err(|error| error.to_string())?
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn server_name(host: &Host) -> Result<ServerName<'static>, Outcome> {
    match host {
        Host::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|error| Outcome::Broken(error.to_string())),
    }
}

fn not_connected(error: &io::Error) -> Outcome {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        Outcome::Refused
    } else if error.kind() == io::ErrorKind::TimedOut {
        Outcome::TimedOut
    } else {
        Outcome::Unreachable(error.to_string())
    }
}

fn no_tls(error: &io::Error) -> Outcome {
    let told = error.get_ref().and_then(|carried| carried.downcast_ref::<rustls::Error>());
    match told {
        Some(rustls::Error::InvalidCertificate(certificate)) => Outcome::Certificate(distrust(certificate)),
        Some(rustls::Error::InvalidMessage(_)) => Outcome::NotTls,
        Some(error) => Outcome::Broken(error.to_string()),
        None => Outcome::Broken(error.to_string()),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library may come to know of more")]
fn distrust(error: &CertificateError) -> Distrust {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Distrust::NotYetValid,
        CertificateError::NotValidForName => Distrust::WrongName(Vec::new()),
        CertificateError::NotValidForNameContext { presented, .. } => {
            Distrust::WrongName(presented.iter().map(|name| plain(name)).collect())
        }
        CertificateError::UnknownIssuer => Distrust::UnknownIssuer,
        other => Distrust::Other(other.to_string()),
    }
}

/// A name as people write it: the library says `DnsName("a.example")`.
fn plain(presented: &str) -> String {
    presented.split('"').nth(1).unwrap_or(presented).to_owned()
}

/// The cause that matters to a person.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_answer_is_told_from_others() {
        let check = |body: &str, expected| assert_eq!(recognise("key", body.as_bytes()), expected, "{body}");
        check(r#"{"rejected":["key"]}"#, Outcome::Ours);
        check(r#"{ "rejected" : [ "key" ] }"#, Outcome::Ours);
        check(r#"{"rejected":["key"]}<!-- served by proxy -->"#, Outcome::Altered);
        check(r#"{"data":{"rejected":["key"]}}"#, Outcome::Altered);
        check(r#"{"rejected":[]}"#, Outcome::Foreign);
        check("<html>Welcome</html>", Outcome::Foreign);
        check("", Outcome::Foreign);
    }

    #[test]
    fn names_of_certificates_are_plain() {
        let check = |presented, expected| assert_eq!(plain(presented), expected);
        check("DnsName(\"a.example\")", "a.example");
        check("a.example", "a.example");
    }
}
