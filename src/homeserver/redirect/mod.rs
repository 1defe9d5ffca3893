//! The redirect target of a browser sign-in: a server on the loopback interface that takes one redirect and ends (RFC
//! 8252, section 7.3).
//!
//! Any program on this computer and any web page in the browser can send requests to it. The right one is recognised by
//! `state`, which only the URL in the browser has.

mod page;

use std::{
    convert::Infallible,
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http_body_util::Full;
use hyper::{Method, Request, Response, body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use subtle::ConstantTimeEq as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time,
};
use tracing::debug;
use url::form_urlencoded;

pub use self::page::Page;

/// How long a person may take to sign in.
pub const PATIENCE: Duration = Duration::from_secs(10 * 60);

const PATH: &str = "/callback";
/// Maximum number of connections. Browsers open a few that they may never use.
const MAX_CONNECTIONS: usize = 16;
/// Maximum bytes of a request's head, which contains the whole URL.
const MAX_HEAD: usize = 16 * 1024;
/// Time limit of a request's head.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Time limit of a connection. The answer to the redirect waits until signing in has ended.
const CONNECTION_TIME: Duration = Duration::from_secs(3 * 60);
/// Time limit for sending the last answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Delay after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why there was no redirect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// No port could be opened.
    #[error("no port of this computer's loopback interface can be opened for the browser to come back to: {0}")]
    NoPort(String),
    /// The operating system has no random numbers.
    #[error("the operating system gives no random bits: {0}")]
    NoRandomness(String),
    /// There was none in time.
    #[error("nobody signed in within {} minutes: try again", .0.as_secs() / 60)]
    TimedOut(Duration),
}

/// Listens for the redirect.
#[derive(Debug)]
pub struct RedirectListener {
    tcp: TcpListener,
    address: SocketAddr,
    state: RandomToken,
}

/// The redirect, which waits for its answer.
#[derive(Debug)]
pub struct Callback {
    arrived: Arrived,
    /// Other connections of the browser, closed with this.
    _connections: JoinSet<()>,
}

/// 256 random bits, as 43 characters that need no encoding in a URL.
pub(super) struct RandomToken(String);

impl RandomToken {
    pub(super) fn new() -> Result<Self, RedirectError> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(|error| RedirectError::NoRandomness(error.to_string()))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bits)))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RandomToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RandomToken(hidden)")
    }
}

impl RedirectListener {
    /// Listens on a free port of the loopback interface.
    ///
    /// # Errors
    /// When there is none, or no random numbers.
    pub async fn bind() -> Result<Self, RedirectError> {
        let state = RandomToken::new()?;
        let tcp = match TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await {
            Ok(tcp) => Ok(tcp),
            Err(_) => TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await,
        };
        let bound = tcp.and_then(|tcp| Ok((tcp.local_addr()?, tcp)));
        let (address, tcp) = bound.map_err(|error| RedirectError::NoPort(error.to_string()))?;
        Ok(Self { tcp, address, state })
    }

    /// The redirect URI: `http://127.0.0.1:41234/callback`.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// The redirect URI without the port, for registering a client: `http://127.0.0.1/callback`.
    #[must_use]
    pub fn uri_without_port(&self) -> String {
        match self.address {
            SocketAddr::V4(address) => format!("http://{}{PATH}", address.ip()),
            SocketAddr::V6(address) => format!("http://[{}]{PATH}", address.ip()),
        }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The required value of the parameter `state`.
    #[must_use]
    pub fn state(&self) -> &str {
        self.state.as_str()
    }

    /// Waits for the redirect with the right path and state.
    ///
    /// # Errors
    /// When there is none within `patience`.
    pub async fn callback(self, patience: Duration) -> Result<Callback, RedirectError> {
        let (sender, mut receiver) = mpsc::channel(1);
        let expected = Arc::new(self.state);
        let mut connections = JoinSet::new();
        let mut too_late = std::pin::pin!(time::sleep(patience));
        loop {
            tokio::select! {
                Some(arrived) = receiver.recv() => return Ok(Callback { arrived, _connections: connections }),
                accepted = self.tcp.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                    Ok((stream, _)) => drop(connections.spawn(serve(stream, Arc::clone(&expected), sender.clone()))),
                    Err(error) => {
                        debug!(%error, "a connection from the browser could not be taken");
                        time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                () = &mut too_late => return Err(RedirectError::TimedOut(patience)),
            }
        }
    }
}

impl Callback {
    /// A parameter of the redirect, decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        value(&self.arrived.parameters, name)
    }

    /// Answers with the result, and closes the server.
    pub async fn answer(self, page: Page) {
        // The browser may have disconnected.
        let _ = self.arrived.reply.send(page);
        let _ = time::timeout(ANSWER_TIME, self.arrived.connection).await;
    }
}

/// The redirect, with the channel for its answer.
struct Arrived {
    parameters: Vec<(String, String)>,
    reply: oneshot::Sender<Page>,
    /// Closes with the connection that it came on.
    connection: oneshot::Receiver<Infallible>,
}

impl fmt::Debug for Arrived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Arrived(hidden)")
    }
}

async fn serve(stream: TcpStream, state: Arc<RandomToken>, arrivals: mpsc::Sender<Arrived>) {
    let (_open, closed) = oneshot::channel();
    let closed = Mutex::new(Some(closed));
    let service = service_fn(async |request: Request<_>| {
        let closed = closed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let page = answer_to(&request, &state, &arrivals, closed).await;
        Ok::<Response<Full<Bytes>>, Infallible>(page.response())
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match time::timeout(CONNECTION_TIME, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection from the browser ended"),
        Err(_) => debug!("a connection from the browser took too long"),
    }
}

/// The page for a request. For the redirect it is known when signing in has ended.
async fn answer_to<B>(
    request: &Request<B>,
    state: &RandomToken,
    arrivals: &mpsc::Sender<Arrived>,
    connection: Option<oneshot::Receiver<Infallible>>,
) -> Page {
    if request.uri().path() != PATH {
        return Page::Nothing;
    }
    if request.method() != Method::GET {
        return Page::WrongMethod;
    }
    let query = request.uri().query().unwrap_or_default();
    let parameters: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let given = value(&parameters, "state").unwrap_or_default();
    if !bool::from(given.as_bytes().ct_eq(state.as_str().as_bytes())) {
        return Page::Stranger;
    }
    // A connection has one request only.
    let Some(connection) = connection else { return Page::Used };
    let (reply, page) = oneshot::channel();
    match arrivals.try_send(Arrived { parameters, reply, connection }) {
        Ok(()) => page.await.unwrap_or(Page::Used),
        Err(_) => Page::Used,
    }
}

fn value<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_what_is_secret() {
        let state = RandomToken::new().unwrap();
        assert_eq!(state.as_str().len(), 43);
        assert!(!format!("{state:?}").contains(state.as_str()));
        let ((reply, _page), (_open, connection)) = (oneshot::channel(), oneshot::channel());
        let arrived = Arrived { parameters: vec![("code".to_owned(), "secret".to_owned())], reply, connection };
        assert!(!format!("{arrived:?}").contains("secret"));
    }

    #[tokio::test]
    async fn clients_are_registered_for_any_port() {
        let listener = RedirectListener::bind().await.unwrap();
        assert_eq!(listener.uri(), format!("http://127.0.0.1:{}/callback", listener.port()));
        assert_eq!(listener.uri_without_port(), "http://127.0.0.1/callback");
    }
}
