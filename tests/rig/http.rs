//! HTTP for tests: one request a connection, and a server that records what homeservers send.

use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::Duration,
};

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Bytes, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use super::{bus, wait_for};

/// A port of the loopback interface that nobody uses at the moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback interface has a free port");
    listener.local_addr().expect("it is bound").port()
}

/// An answer: status and body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON: {error}: {self:?}"))
    }
}

/// Sends a request to a port of the loopback interface. The error says why there is no whole answer within 30 s.
pub(crate) fn request(
    port: u16,
    method: &Method,
    path: &str,
    token: Option<&str>,
    body: impl Into<Bytes>,
) -> Result<Answer, String> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, format!("127.0.0.1:{port}"))
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Full::new(body.into())).expect("a well-formed request");
    let exchange = async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    };
    bus::block_on(async { tokio::time::timeout(Duration::from_secs(30), exchange).await })
        .unwrap_or_else(|_| Err("no answer within 30 s".to_owned()))
}

/// A push gateway that takes everything and records it.
pub(crate) struct RecordingServer {
    pub(crate) port: u16,
    pushes: Arc<Mutex<Vec<Value>>>,
    server: tokio::task::JoinHandle<()>,
}

impl RecordingServer {
    pub(crate) fn start() -> Self {
        let pushes = Arc::new(Mutex::new(Vec::new()));
        let listener = bus::block_on(tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))))
            .expect("the loopback interface has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let record = Arc::clone(&pushes);
        let server = bus::runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let record = Arc::clone(&record);
                let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                    let record = Arc::clone(&record);
                    async move {
                        let body = request
                            .into_body()
                            .collect()
                            .await
                            .map(http_body_util::Collected::to_bytes)
                            .unwrap_or_default();
                        if let Ok(push) = serde_json::from_slice(&body) {
                            record.lock().expect("no holder panics").push(push);
                        }
                        let answer = Response::builder().status(StatusCode::OK);
                        let answer = answer.header(header::CONTENT_TYPE, "application/json");
                        Ok::<_, Infallible>(
                            answer.body(Full::new(Bytes::from(r#"{"rejected":[]}"#))).expect("an answer"),
                        )
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { port, pushes, server }
    }

    /// The pusher URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/_matrix/push/v1/notify", self.port)
    }

    /// The bodies of all requests up to now.
    pub(crate) fn pushes(&self) -> Vec<Value> {
        self.pushes.lock().expect("no holder panics").clone()
    }

    /// Waits for a push whose `notification` fits.
    #[track_caller]
    pub(crate) fn wait_for_push(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, super::SOON, || {
            self.pushes().into_iter().map(|mut push| push["notification"].take()).find(&fits)
        })
    }
}

impl Drop for RecordingServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}
