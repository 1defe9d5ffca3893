//! Requests of our own commands to our own endpoint.

mod own;

use std::{
    fmt,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time,
};

/// The greatest answer that is read.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// How the endpoint is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// TLS (`server.tls`). Whom the certificate is for, who made it and whether it has expired is not looked at: this
    /// computer talks to an address that the running program has said, over its private socket, to hold.
    Https,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("connection refused at {0}: is Pushbell running?")]
    Refused(SocketAddr),
    /// There is no way there, or it was cut.
    #[error("no answer from {address}: {reason}")]
    Broken {
        /// Where to.
        address: SocketAddr,
        /// What happened.
        reason: String,
    },
    /// It took too long.
    #[error("no answer from {address} within {seconds} s", seconds = .timeout.as_secs_f32())]
    TimedOut {
        /// Where to.
        address: SocketAddr,
        /// How long was waited.
        timeout: Duration,
    },
    /// The answer is no answer of Pushbell's.
    #[error("the answer from {0} is larger than any of Pushbell's: does another program listen there?")]
    TooLarge(SocketAddr),
}

/// Posts JSON to our own endpoint, and returns the answer's status and body. An address that listens on every interface (`0.0.0.0`) is
/// reached over loopback.
///
/// # Errors
/// When there is no whole answer in time.
pub async fn post_json(
    scheme: Scheme,
    address: SocketAddr,
    path: &str,
    body: Vec<u8>,
    timeout: Duration,
) -> Result<(u16, Vec<u8>), ClientError> {
    let address = reachable(address);
    time::timeout(timeout, exchange(scheme, address, path, body))
        .await
        .map_err(|_| ClientError::TimedOut { address, timeout })?
}

fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn exchange(
    scheme: Scheme,
    address: SocketAddr,
    path: &str,
    body: Vec<u8>,
) -> Result<(u16, Vec<u8>), ClientError> {
    let broken = |error: &dyn std::error::Error| ClientError::Broken { address, reason: error.to_string() };
    let stream = TcpStream::connect(address).await.map_err(|error| {
        if error.kind() == ErrorKind::ConnectionRefused { ClientError::Refused(address) } else { broken(&error) }
    })?;
    let request = Request::post(path)
        .header(HOST, address.to_string())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| broken(&error))?;
    match scheme {
        Scheme::Http => send(stream, request, address).await,
        Scheme::Https => {
            let stream = own::connect(stream, address.ip()).await.map_err(|error| broken(&error))?;
            send(stream, request, address).await
        }
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
    address: SocketAddr,
) -> Result<(u16, Vec<u8>), ClientError> {
    let broken = |error: &dyn std::error::Error| ClientError::Broken { address, reason: error.to_string() };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let answer = async {
        let (head, body) = sender.send_request(request).await.map_err(|error| broken(&error))?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { ClientError::TooLarge(address) } else { broken(&*error) }
        })?;
        Ok((head.status.as_u16(), body.to_bytes().to_vec()))
    };
    // The connection may end before the answer that came over it is read.
    let connection = async {
        drop(connection.await);
        std::future::pending().await
    };
    tokio::select! {
        answer = answer => answer,
        never = connection => never,
    }
}
