//! A mock authorization server according to the Matrix specification, and the parts of a homeserver that signing in
//! needs. It enforces the standards: an invalid request is rejected as they prescribe.

mod authorize;
mod cas;
mod clients;
mod matrix;
mod token;

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, StatusCode, body::Bytes, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::rig::{SOON, bus, wait_until};

/// The secret shared by Synapse and this server.
pub(crate) const SECRET: &str = "between-synapse-and-its-account-service";
/// The user who signs in.
pub(crate) const USER: &str = "alice";

pub(crate) struct AccountServer {
    pub(crate) port: u16,
    world: Arc<Mutex<World>>,
    task: tokio::task::JoinHandle<()>,
}

/// The server's features and the user's decisions.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Plan {
    /// Supports the OAuth 2.0 API.
    pub(crate) oauth: bool,
    /// Serves its metadata only at the path that was used before the specification.
    pub(crate) old_path: bool,
    /// Supports dynamic client registration.
    pub(crate) registers: bool,
    /// Also compares the redirect URI's port, in violation of RFC 8252.
    pub(crate) compares_ports: bool,
    pub(crate) consents: bool,
    /// Authorization codes expire immediately.
    pub(crate) codes_expire: bool,
    /// Each refresh returns a new refresh token.
    pub(crate) rotates: bool,
    /// Refresh requests get no answer while this is set.
    pub(crate) holds_refreshes: bool,
    /// Lifetime of access tokens, in seconds.
    pub(crate) access_life: u64,
    /// The token endpoint is unreachable behind a proxy.
    pub(crate) away: bool,
    /// The homeserver accepts no token.
    pub(crate) nobody: bool,
    /// The port of the Synapse that delegates authentication to this server.
    pub(crate) synapse: Option<u16>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            oauth: true,
            old_path: false,
            registers: true,
            compares_ports: false,
            consents: true,
            codes_expire: false,
            rotates: true,
            holds_refreshes: false,
            access_life: 300,
            away: false,
            nobody: false,
            synapse: None,
        }
    }
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    port: u16,
    serial: u64,
    /// The metadata of each registered client.
    pub(crate) clients: HashMap<String, Value>,
    codes: HashMap<String, authorize::Code>,
    pub(crate) sessions: Vec<Granted>,
    /// The number of refresh requests.
    pub(crate) refreshes: usize,
}

/// A session that the user approved.
#[derive(Debug, Clone, Default)]
pub(crate) struct Granted {
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    used: Vec<String>,
    pub(crate) over: bool,
    /// The device name that the client gave.
    pub(crate) name: Option<String>,
}

impl Granted {
    pub(crate) fn device_id(&self) -> &str {
        self.scope.split_once("urn:matrix:client:device:").map_or("", |(_, id)| id)
    }
}

/// A parsed request.
struct ParsedRequest {
    method: Method,
    path: String,
    query: HashMap<String, String>,
    bearer: Option<String>,
    form: HashMap<String, String>,
    json: Value,
}

/// An answer: status, `Location`, body.
struct Answer(StatusCode, Option<String>, String);

impl Answer {
    fn json(status: StatusCode, body: &Value) -> Self {
        Self(status, None, body.to_string())
    }

    fn ok(body: &Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// An error according to RFC 6749, section 5.2.
    fn error(code: &str) -> Self {
        Self::json(StatusCode::BAD_REQUEST, &json!({"error": code, "error_description": "the test's server says so"}))
    }

    fn redirect(to: String) -> Self {
        Self(StatusCode::FOUND, Some(to), String::new())
    }

    fn matrix_error(status: StatusCode, code: &str) -> Self {
        Self::json(status, &json!({"errcode": code, "error": "the test's server says so"}))
    }
}

impl AccountServer {
    pub(crate) fn start(plan: Plan) -> Self {
        let listener = bus::block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let world = Arc::new(Mutex::new(World { plan, port, ..World::default() }));
        let shared = Arc::clone(&world);
        let task = bus::runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let world = Arc::clone(&shared);
                let service = hyper::service::service_fn(move |request| answer(request, Arc::clone(&world)));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { port, world, task }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no holder panics")
    }
}

impl Drop for AccountServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    /// An unguessable string.
    fn word(&mut self, kind: &str) -> String {
        self.serial += 1;
        format!("{kind}-{}-{:016x}", self.serial, rand())
    }

    fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

fn rand() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}

/// The fields of a form or query.
fn fields(text: &str) -> HashMap<String, String> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8().expect("UTF-8").into_owned()
    };
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (decode(key), decode(value))).collect()
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    world: Arc<Mutex<World>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_form = header(header::CONTENT_TYPE) == "application/x-www-form-urlencoded";
    let asked = ParsedRequest {
        path: head.uri.path().to_owned(),
        query: fields(head.uri.query().unwrap_or_default()),
        bearer: header(header::AUTHORIZATION).strip_prefix("Bearer ").map(str::to_owned),
        form: if is_form { fields(&String::from_utf8_lossy(&body)) } else { HashMap::new() },
        json: serde_json::from_slice(&body).unwrap_or_default(),
        method: head.method,
    };
    // Notifying Synapse blocks.
    let answered = tokio::task::spawn_blocking(move || {
        if asked.form.get("grant_type").is_some_and(|grant| grant == "refresh_token") {
            world.lock().expect("no holder panics").refreshes += 1;
            wait_until("refreshes are answered", SOON, || {
                !world.lock().expect("no holder panics").plan.holds_refreshes
            });
        }
        route(&asked, &world)
    });
    let answered = answered.await;
    let Answer(status, location, body) = answered.expect("the server does not panic");
    let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    if let Some(location) = location {
        response = response.header(header::LOCATION, location);
    }
    Ok(response.body(Full::new(body.into())).expect("an answer"))
}

fn route(asked: &ParsedRequest, world: &Mutex<World>) -> Answer {
    let mut world = world.lock().expect("no holder panics");
    let world = &mut *world;
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/.well-known/openid-configuration") => Answer::ok(&matrix::metadata(world)),
        ("POST", "/register") => clients::register(asked, world),
        ("GET", "/authorize") => authorize::authorize(asked, world),
        ("POST", "/token") => token::token(asked, world),
        ("POST", "/revoke") => token::revoke(asked, world),
        ("POST", "/oauth2/introspect") => token::introspect(asked, world),
        ("GET", "/cas/login") => cas::login(asked, world),
        ("GET", "/cas/proxyValidate") => cas::validate(asked),
        _ => matrix::answer(asked, world),
    }
}
