//! Routing: which request gets which answer.
//!
//! `POST /_matrix/push/v1/notify` (Matrix specification, Push Gateway API), the paths of `server.extra_paths` for the
//! first protocol, and `GET /health`.

use std::io::{self, ErrorKind};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response,
    body::{Body as _, Bytes, Incoming},
};
use tokio::time::timeout;
use tracing::warn;

use super::{
    answer::{EndpointAnswer, RequestError},
    connection::Connection,
    connection_table::OutOfMemory,
};
use crate::push::notify;

/// Tells whether a push could be accepted now.
const HEALTH_PATH: &str = "/health";

/// The route of a request.
#[derive(Debug)]
enum Route {
    Push,
    Health,
}

fn route(method: &Method, path: &str, extra_paths: &[String]) -> Result<Route, RequestError> {
    let (route, allow, methods) = if path == notify::PATH || extra_paths.iter().any(|extra| extra == path) {
        (Route::Push, "POST", [Method::POST].as_slice())
    } else if path == HEALTH_PATH {
        (Route::Health, "GET, HEAD", [Method::GET, Method::HEAD].as_slice())
    } else {
        return Err(RequestError::WrongPath);
    };
    if methods.contains(method) { Ok(route) } else { Err(RequestError::WrongMethod { allow }) }
}

/// Answers one request; with `refuse_plain` by a refusal, since this is a TLS port.
///
/// # Errors
/// When the body does not arrive: the connection is closed without an answer.
pub(super) async fn respond(
    connection: &Connection,
    mut request: Request<Incoming>,
    refuse_plain: bool,
) -> io::Result<Response<Full<Bytes>>> {
    connection.note_request();
    let route = route(request.method(), request.uri().path(), &connection.server.extra_paths());
    let answer = match route {
        _ if refuse_plain => EndpointAnswer::Failed(RequestError::NotTls),
        Ok(Route::Push) => {
            let read = timeout(connection.limits().body_time, read(request.body_mut(), connection)).await;
            match read.map_err(|_| ErrorKind::TimedOut)? {
                Ok(body) => push(&body, connection).await,
                Err(failure) => EndpointAnswer::Failed(failure),
            }
        }
        Ok(Route::Health) => health(connection).await,
        Err(error) => EndpointAnswer::Failed(error),
    };
    connection.release_body();
    Ok(answer.into_response())
}

/// Reads the body, which counts towards the memory limit until it is released.
async fn read(body: &mut Incoming, connection: &Connection) -> Result<Vec<u8>, RequestError> {
    let limit = connection.limits().body_bytes;
    if body.size_hint().lower() > limit as u64 {
        return Err(RequestError::BodyTooLarge { limit });
    }
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| RequestError::BodyBroken)?.into_data() else { continue };
        if whole.len() + piece.len() > limit {
            return Err(RequestError::BodyTooLarge { limit });
        }
        connection.hold_body(piece.len()).map_err(|OutOfMemory| RequestError::OutOfMemory)?;
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

async fn push(body: &[u8], connection: &Connection) -> EndpointAnswer {
    let is_replayed = connection.server.resume_window.is_open();
    let accepting = connection.server.intake.accept(body, is_replayed, || connection.note_push());
    match timeout(connection.limits().record_time, accepting).await {
        Ok(Ok(rejected)) => EndpointAnswer::Pushed(rejected),
        Ok(Err(refusal)) => EndpointAnswer::Failed(RequestError::Refused(refusal)),
        Err(_) => {
            warn!("the disk takes too long to record a push; its homeserver will try again");
            EndpointAnswer::Failed(RequestError::InboxTooSlow)
        }
    }
}

async fn health(connection: &Connection) -> EndpointAnswer {
    match timeout(connection.limits().record_time, connection.server.intake.check()).await {
        Ok(Ok(())) => EndpointAnswer::Healthy,
        Ok(Err(refusal)) => EndpointAnswer::Unhealthy(RequestError::Refused(refusal)),
        Err(_) => EndpointAnswer::Unhealthy(RequestError::InboxTooSlow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_its_methods() {
        let extra = ["/push".to_owned(), "/a/b".to_owned()];
        let check = |method: &str, path: &str, expected: &str| {
            let found = route(&method.parse().unwrap(), path, &extra);
            assert_eq!(format!("{found:?}"), expected, "{method} {path}");
        };
        check("POST", notify::PATH, "Ok(Push)");
        check("POST", "/push", "Ok(Push)");
        check("POST", "/a/b", "Ok(Push)");
        check("GET", HEALTH_PATH, "Ok(Health)");
        check("HEAD", HEALTH_PATH, "Ok(Health)");
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW", "post"] {
            check(method, notify::PATH, r#"Err(WrongMethod { allow: "POST" })"#);
            check(method, "/push", r#"Err(WrongMethod { allow: "POST" })"#);
        }
        for method in ["POST", "PUT", "get"] {
            check(method, HEALTH_PATH, r#"Err(WrongMethod { allow: "GET, HEAD" })"#);
        }
        for path in
            ["/", "", "*", "//push", "/push/", "/Push", "/_matrix/push/v1/notify/", "/_matrix/push/v1", "/healthy"]
        {
            check("POST", path, "Err(WrongPath)");
        }
    }
}
