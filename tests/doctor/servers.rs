//! Misconfigured servers in place of a correct reverse proxy.

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::LOCATION,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer},
};

use crate::rig::bus;

/// How the server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behavior {
    /// Forwards everything unchanged to Pushbell at this port.
    Forwards(u16),
    /// Forwards, but appends to the answer's body.
    AppendsToBody(u16),
    /// Forwards only `/health`; everything else is 404.
    ForwardsHealthOnly(u16),
    /// Always answers with this status.
    AnswersStatus(u16),
    /// Redirects to another scheme.
    Redirects,
    /// Answers with 200 and a page.
    AnswersPage,
    /// Accepts connections and never answers.
    Hangs,
}

/// A server on a free loopback port.
pub(crate) struct Server {
    pub(crate) port: u16,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A certificate and its issuer.
pub(crate) struct Certificate {
    certificate: rcgen::Certificate,
    key: rcgen::KeyPair,
}

impl Certificate {
    /// A certificate for these names, valid in these years, signed by this authority or self-signed.
    pub(crate) fn new(names: &[&str], years: (i32, i32), authority: Option<&Authority>) -> Self {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = rcgen::CertificateParams::new(names).unwrap();
        parameters.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = match authority {
            Some(authority) => parameters.signed_by(&key, &authority.0).unwrap(),
            None => parameters.self_signed(&key).unwrap(),
        };
        Self { certificate, key }
    }
}

impl Certificate {
    /// Writes its chain and key as files into this directory.
    pub(crate) fn write(&self, directory: &std::path::Path) {
        std::fs::write(directory.join("fullchain.pem"), self.certificate.pem()).unwrap();
        std::fs::write(directory.join("privkey.pem"), self.key.serialize_pem()).unwrap();
    }
}

/// A private certificate authority.
pub(crate) struct Authority(rcgen::CertifiedIssuer<'static, rcgen::KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        // Issuers are distinguished by name.
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(rcgen::CertifiedIssuer::self_signed(parameters, rcgen::KeyPair::generate().unwrap()).unwrap())
    }

    /// For `SSL_CERT_FILE`.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }
}

impl Server {
    pub(crate) fn start(behavior: Behavior) -> Self {
        Self::serve(move |stream| answer(stream, behavior))
    }

    /// The same over HTTPS.
    pub(crate) fn start_tls(behavior: Behavior, certificate: &Certificate) -> Self {
        let key = PrivatePkcs8KeyDer::from(certificate.key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.certificate.der().clone()], key.into())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::serve(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream, behavior).await;
                }
            }
        })
    }

    fn serve<F: Future<Output = ()> + Send + 'static>(
        converse: impl Fn(TcpStream) -> F + Send + Sync + 'static,
    ) -> Self {
        let listener = bus::block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = bus::runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream));
            }
        });
        Self { port, task }
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, behavior: Behavior) {
    let service = service_fn(move |request: Request<Incoming>| async move {
        Ok::<_, Infallible>(match behavior {
            Behavior::Forwards(port) => hand_on(request, port, "").await,
            Behavior::AppendsToBody(port) => hand_on(request, port, "\n<!-- checked by the proxy -->").await,
            Behavior::ForwardsHealthOnly(port) if request.uri().path() == "/health" => hand_on(request, port, "").await,
            Behavior::ForwardsHealthOnly(_) => response(404, "not here"),
            Behavior::AnswersStatus(status) => response(status, "sorry"),
            Behavior::AnswersPage => response(200, "<html>Welcome</html>"),
            Behavior::Redirects => {
                let to = format!("https://push.example.org{}", request.uri().path());
                Response::builder().status(308).header(LOCATION, to).body(Full::default()).unwrap()
            }
            Behavior::Hangs => std::future::pending().await,
        })
    });
    // A client may disconnect.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn response(status: u16, body: &str) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::from(body.to_owned())).unwrap()
}

async fn hand_on(request: Request<Incoming>, port: u16, addition: &str) -> Response<Full<Bytes>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await;
    let Ok(stream) = stream else { return response(502, "bad gateway") };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut request = Request::builder().method(&head.method).uri(head.uri.path()).header("host", "pushbell");
    if head.method == Method::POST {
        request = request.header("content-type", "application/json");
    }
    let answer = sender.send_request(request.body(Full::new(body)).unwrap()).await.unwrap();
    let status: StatusCode = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body = [&body[..], addition.as_bytes()].concat();
    Response::builder().status(status).body(Full::from(body)).unwrap()
}
