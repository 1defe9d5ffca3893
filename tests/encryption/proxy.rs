//! A proxy before a homeserver that can fail in several ways.

use std::{io, net::Ipv4Addr};

use http_body_util::{Either, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::rig::bus;

/// What happens to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Open,
    /// Requests with this in their path are answered with an error.
    Fails(&'static str),
    /// The same, but the homeserver receives them: only its answers are lost.
    Loses(&'static str),
    /// No request is answered until the mode changes.
    Hangs,
    /// Connections are closed at once.
    Cut,
}

/// The proxy before a homeserver, on a port of its own.
pub(crate) struct FaultyProxy {
    pub(crate) port: u16,
    mode: watch::Sender<Mode>,
}

impl FaultyProxy {
    pub(crate) fn before(homeserver: u16) -> Self {
        let (mode, modes) = watch::channel(Mode::Open);
        let listener = bus::block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        bus::runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let modes = modes.clone();
                let service = service_fn(move |request| pass(request, homeserver, modes.clone()));
                // A connection that is cut ends with an error.
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { port, mode }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

/// Forwards the request and returns the homeserver's answer.
async fn pass(
    request: Request<Incoming>,
    homeserver: u16,
    mut modes: watch::Receiver<Mode>,
) -> io::Result<Response<Either<Incoming, Full<Bytes>>>> {
    let mode = *modes.borrow_and_update();
    let is_lost = matches!(mode, Mode::Loses(part) if request.uri().path().contains(part));
    match mode {
        Mode::Fails(part) if request.uri().path().contains(part) => {
            let body = Full::new(r#"{"errcode":"M_UNKNOWN","error":"broken"}"#.into());
            let mut answer = Response::new(Either::Right(body));
            *answer.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
            return Ok(answer);
        }
        Mode::Hangs => {
            // The proxy is dropped when the test ends.
            let _ = modes.changed().await;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Mode::Cut => return Err(io::ErrorKind::ConnectionReset.into()),
        Mode::Open | Mode::Fails(_) | Mode::Loses(_) => {}
    }
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, homeserver)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    // Requests in flight fail too when connections are cut.
    let cut = modes.wait_for(|mode| matches!(mode, Mode::Cut | Mode::Hangs));
    tokio::select! {
        answer = sender.send_request(request) => match answer {
            Ok(_) if is_lost => Err(io::ErrorKind::ConnectionReset.into()),
            answer => Ok(answer.map_err(io::Error::other)?.map(Either::Left)),
        },
        _ = cut => Err(io::ErrorKind::ConnectionReset.into()),
    }
}
