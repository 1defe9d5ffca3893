//! The HTTP client for all requests: to homeservers and their authorization servers, to a pusher URL that is
//! checked, and to our own endpoint. Each request has a deadline, and each answer a size limit.

mod error;
mod lines;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, StatusCode, Uri,
    body::{Bytes, Incoming},
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT},
};
use hyper_rustls::{ConfigBuilderExt as _, FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::de::DeserializeOwned;
use tokio::{task, time};
use tokio_rustls::rustls::{
    self, ClientConfig, ConfigBuilder, DigitallySignedStruct, SignatureScheme, WantsVerifier,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use url::{Url, form_urlencoded};

pub use self::error::{CertificateFault, TransportError, TransportFault};
pub(crate) use self::lines::Lines;
use crate::{app_info, platform::sockets};

/// Deadline of a request, from name resolution to the answer's last byte.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// Default size limit of an answer, in bytes.
pub(crate) const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Larger answers are parsed on another thread than the one that serves pushes.
const MAX_INLINE_BYTES: usize = 64 * 1024;
const MAX_REDIRECTS: usize = 5;

/// A request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a str,
    /// Content type and body.
    pub(crate) content: Option<(&'static str, Bytes)>,
    /// The value of `Host`, if it is not the URL's own.
    pub(crate) host: Option<&'a str>,
    /// The access token.
    pub(crate) token: Option<&'a str>,
    /// Size limit of the answer.
    pub(crate) max_answer_bytes: usize,
    /// Whether redirects are followed; if not, they are answers.
    pub(crate) follows_redirects: bool,
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: Method, url: &'a str) -> Self {
        Self { method, url, max_answer_bytes: MAX_ANSWER_BYTES, ..Self::default() }
    }

    /// With a body of JSON.
    pub(crate) fn json(self, body: impl Into<Bytes>) -> Self {
        Self { content: Some(("application/json", body.into())), ..self }
    }

    /// With a body of form fields.
    pub(crate) fn form<'f>(self, fields: impl IntoIterator<Item = (&'f str, &'f str)>) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Self { content: Some(("application/x-www-form-urlencoded", body.into())), ..self }
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The whole body.
    pub(crate) body: Bytes,
    /// `Retry-After`, if it is a number of seconds.
    pub(crate) retry_after: Option<Duration>,
    /// `Location`
    pub(crate) location: Option<String>,
}

impl Answer {
    /// The body, parsed as JSON; the default if it is not of this form.
    pub(crate) fn json<T: DeserializeOwned + Default>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Parses the body with `parse`; a large one not on the thread that serves pushes.
    pub(crate) async fn parse<T: Send + 'static>(
        self,
        parse: impl FnOnce(&[u8]) -> Option<T> + Send + 'static,
    ) -> Option<T> {
        if self.body.len() <= MAX_INLINE_BYTES {
            return parse(&self.body);
        }
        task::spawn_blocking(move || parse(&self.body)).await.ok().flatten()
    }
}

/// Sends requests. It holds the trusted certificates in memory, so it should be dropped after use.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    deadline: Duration,
    allows_downgrade: bool,
}

impl HttpClient {
    /// A client that trusts the system's certificate authorities, or those of `SSL_CERT_FILE`.
    ///
    /// # Errors
    /// When there are none.
    pub fn new() -> Result<Self, TransportError> {
        Ok(Self::with_config(system_roots()?, None, None))
    }

    /// The same with a connect timeout.
    pub(crate) fn connecting_within(connect: Duration) -> Result<Self, TransportError> {
        Ok(Self::with_config(system_roots()?, None, Some(connect)))
    }

    /// The same with a connect timeout, for hosts whose certificate has to be valid for this name.
    pub(crate) fn for_server_name(name: ServerName<'static>, connect: Duration) -> Result<Self, TransportError> {
        Ok(Self::with_config(system_roots()?, Some(name), Some(connect)))
    }

    /// A client without any certificate authority, for plain HTTP.
    pub(crate) fn plain(connect: Duration) -> Result<Self, TransportError> {
        let config = tls_config()?.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        Ok(Self::with_config(config, None, Some(connect)))
    }

    fn with_config(config: ClientConfig, name: Option<ServerName<'static>>, connect: Option<Duration>) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(connect);
        sockets::notice_loss(&mut http);
        let https = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        let https = match name {
            Some(name) => https.with_server_name_resolver(FixedServerNameResolver::new(name)),
            None => https,
        };
        let connector = https.enable_http1().wrap_connector(http);
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector);
        Self { client, deadline: DEADLINE, allows_downgrade: false }
    }

    /// The same with this deadline for each request.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Whether redirects from https to http are followed.
    pub(crate) fn allow_downgrade(self, allows_downgrade: bool) -> Self {
        Self { allows_downgrade, ..self }
    }

    pub(crate) fn allows_downgrade(&self) -> bool {
        self.allows_downgrade
    }

    /// Sends a request, and returns the answer whatever its status.
    ///
    /// # Errors
    /// When there is no whole answer in time.
    pub(crate) async fn send(&self, request: &Request<'_>) -> Result<Answer, TransportError> {
        let ended = time::timeout(self.deadline, self.send_and_follow(request)).await;
        ended.unwrap_or_else(|_| {
            let reason = format!("no answer within {} s", self.deadline.as_secs_f32());
            Err(TransportError { host: host_of(request.url), fault: TransportFault::TimedOut, reason })
        })
    }

    async fn send_and_follow(&self, request: &Request<'_>) -> Result<Answer, TransportError> {
        let mut url = request.url.to_owned();
        let mut redirects = 0;
        loop {
            let answer = self.exchange(request, &url).await?;
            let follows = request.follows_redirects && answer.status.is_redirection() && redirects < MAX_REDIRECTS;
            let Some(location) = answer.location.as_ref().filter(|_| follows) else { return Ok(answer) };
            // An invalid address fails in the request itself, with its error.
            let next = Url::parse(&url).and_then(|url| url.join(location));
            let next = next.map_or_else(|_| location.clone(), String::from);
            if url.starts_with("https:") && !next.starts_with("https:") && !self.allows_downgrade {
                let reason = format!("it leads to {next}, which is not encrypted");
                return Err(TransportError { host: host_of(&url), fault: TransportFault::Downgrade, reason });
            }
            url = next;
            redirects += 1;
        }
    }

    /// Sends a request, and returns when the answer's head has arrived.
    async fn begin(&self, request: &Request<'_>, url: &str) -> Result<hyper::Response<Incoming>, TransportError> {
        let broken = |reason: String| TransportError { host: host_of(url), fault: TransportFault::Broken, reason };
        let mut sent = hyper::Request::builder()
            .method(&request.method)
            .uri(url)
            .header(USER_AGENT, format!("Pushbell/{}", app_info::VERSION))
            .header(ACCEPT, "application/json");
        if let Some(host) = request.host {
            sent = sent.header(HOST, host);
        }
        if let Some(token) = request.token {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| broken("the access token has characters that no token has".to_owned()))?;
            value.set_sensitive(true);
            sent = sent.header(AUTHORIZATION, value);
        }
        let (content_type, body) = request.content.clone().unzip();
        if let Some(content_type) = content_type {
            sent = sent.header(CONTENT_TYPE, content_type);
        }
        let sent = sent.body(Full::new(body.unwrap_or_default())).map_err(|error| broken(error.to_string()))?;
        self.client.request(sent).await.map_err(|error| TransportError::new(host_of(url), &error))
    }

    async fn exchange(&self, request: &Request<'_>, url: &str) -> Result<Answer, TransportError> {
        let broken = |reason: String| TransportError { host: host_of(url), fault: TransportFault::Broken, reason };
        let answer = self.begin(request, url).await?;
        let (head, body) = answer.into_parts();
        let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let location = text(LOCATION).map(ToOwned::to_owned);
        let retry_after = text(RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
        let body = Limited::new(body, request.max_answer_bytes).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let reason = format!("the answer is larger than {} bytes", request.max_answer_bytes);
                TransportError { host: host_of(url), fault: TransportFault::TooLarge, reason }
            } else {
                broken(error.to_string())
            }
        })?;
        Ok(Answer { status: head.status, body: body.to_bytes(), retry_after, location })
    }
}

/// Posts JSON to our own endpoint at an address that it listens on, and returns the answer's status and body. `scheme`
/// is `http` or `https`; an address that stands for all (`0.0.0.0`) is reached over loopback.
///
/// # Errors
/// When there is no whole answer in time.
pub async fn post_to_own_endpoint(
    scheme: &str,
    address: SocketAddr,
    path: &str,
    body: Vec<u8>,
    deadline: Duration,
) -> Result<(u16, Vec<u8>), TransportError> {
    let verifier = Arc::new(AnyCertificate(Arc::new(ring::default_provider())));
    let config = tls_config()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    let client = HttpClient::with_config(config, None, None).with_deadline(deadline);
    let url = format!("{scheme}://{}{path}", reachable(address));
    let answer = client.send(&Request::new(Method::POST, &url).json(body)).await?;
    Ok((answer.status.as_u16(), answer.body.to_vec()))
}

/// The address itself; for one that stands for all addresses, loopback.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let v4 = address.is_ipv4();
        address.set_ip(if v4 { IpAddr::from(Ipv4Addr::LOCALHOST) } else { Ipv6Addr::LOCALHOST.into() });
    }
    address
}

/// Percent-encodes one segment of a path or one value of a query.
#[must_use]
pub(crate) fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn host_of(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    uri.and_then(|uri| uri.authority().map(ToString::to_string)).unwrap_or_else(|| url.to_owned())
}

fn system_roots() -> Result<ClientConfig, TransportError> {
    let with_roots = tls_config()?.with_native_roots();
    let with_roots = with_roots.map_err(|error| no_store(&format!("{error}; install ca-certificates")))?;
    Ok(with_roots.with_no_client_auth())
}

fn tls_config() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TransportError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    builder.with_safe_default_protocol_versions().map_err(|error| no_store(&error))
}

fn no_store(reason: &dyn fmt::Display) -> TransportError {
    TransportError {
        host: "this computer".to_owned(),
        fault: TransportFault::NoCertificateStore,
        reason: format!("no certificate authorities to trust: {reason}"),
    }
}

/// Accepts any certificate whose key the server has. Only for our own endpoint: a test push has to arrive even if the
/// certificate is for another name, or has expired.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn faults_are_told_apart() {
        async fn check(url: &str, expected: TransportFault) {
            let client = HttpClient::new().unwrap().with_deadline(Duration::from_millis(500));
            let error = client.send(&Request::new(Method::GET, url)).await.unwrap_err();
            assert_eq!(error.fault, expected, "{error}");
        }
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        check(&format!("http://{}/", silent.local_addr().unwrap()), TransportFault::TimedOut).await;
        let address = silent.local_addr().unwrap();
        drop(silent);
        check(&format!("http://{address}/"), TransportFault::Refused).await;
        check("http://no-such-host.invalid/", TransportFault::Unresolved).await;
    }

    #[tokio::test]
    async fn an_answer_is_no_larger_than_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serve = async {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await.unwrap();
                let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "[".repeat(100));
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let client = HttpClient::new().unwrap();
        let ask = async {
            let request = Request::new(Method::GET, &url);
            assert_eq!(
                client.send(&Request { max_answer_bytes: 100, ..request.clone() }).await.unwrap().body.len(),
                100
            );
            let error = client.send(&Request { max_answer_bytes: 99, ..request }).await.unwrap_err();
            assert_eq!(error.fault, TransportFault::TooLarge, "{error}");
        };
        tokio::join!(ask, serve);
    }
}
