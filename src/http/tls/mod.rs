//! TLS at the endpoint (`server.tls`): rustls with one certificate, which can be replaced while connections go on.
//!
//! A connection has its place in the connection table before its handshake, so the bounds of the endpoint hold for
//! those that never finish theirs.

mod pair;

use std::{
    io,
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::ring,
        server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
        sign::CertifiedKey,
    },
    server::TlsStream,
};
use tracing::{debug, warn};

pub use pair::{TlsError, TlsPair, inspect};

use crate::logging::LogLimiter;

/// First byte of a TLS handshake record; no plain HTTP request begins with it.
const HANDSHAKE: u8 = 0x16;

/// How the endpoint speaks TLS. A handle: clones are the same, and a new certificate counts from the next handshake on.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    certificate: Arc<Certificate>,
}

/// The certificate in force. There may be none yet: then no handshake succeeds.
#[derive(Debug, Default)]
struct Certificate {
    key: RwLock<Option<Arc<CertifiedKey>>>,
    /// Rate limit of the log line about clients that reject the certificate.
    refusals: LogLimiter,
}

/// Outcome of a TLS handshake.
pub(super) enum Handshake {
    /// TLS is established.
    Done(Box<TlsStream<TcpStream>>),
    /// The client speaks something else, most likely plain HTTP.
    NotTls(TcpStream),
}

impl Tls {
    /// TLS 1.2 and 1.3 for HTTP/1.1, without a certificate yet.
    ///
    /// # Errors
    /// When the library cannot be set up.
    pub fn new() -> Result<Self, TlsError> {
        let certificate = Arc::new(Certificate::default());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // No session resumption: homeservers keep their connections open.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), certificate })
    }

    /// Replaces the certificate for new handshakes. Open connections continue.
    pub fn set(&self, pair: &TlsPair) {
        *self.certificate.key.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&pair.certified));
    }

    pub(super) async fn handshake(&self, stream: TcpStream) -> io::Result<Handshake> {
        let mut first = [0];
        if stream.peek(&mut first).await? > 0 && first[0] != HANDSHAKE {
            return Ok(Handshake::NotTls(stream));
        }
        match TlsAcceptor::from(Arc::clone(&self.config)).accept(stream).await {
            Ok(stream) => Ok(Handshake::Done(Box::new(stream))),
            Err(error) => {
                self.certificate.note_failure(&error);
                Err(error)
            }
        }
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }
}

impl Certificate {
    /// A homeserver that does not trust the certificate sends an alert, which is the only sign of it. Strangers
    /// can send it, too, so the log line is rate limited.
    fn note_failure(&self, error: &io::Error) {
        let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        let Some(rustls::Error::AlertReceived(alert)) = tls else {
            debug!(%error, "a handshake failed");
            return;
        };
        if let Some(unlogged_before) = self.refusals.note(1, Instant::now()) {
            warn!(
                ?alert,
                unlogged_before,
                "a client ended its handshake; a homeserver does so when it does not trust the certificate"
            );
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.key.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
