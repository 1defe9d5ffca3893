//! A mock homeserver: answers as the test configures and records the requests.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Bytes, header, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

use crate::rig::bus;

/// A received request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReceivedRequest {
    /// `GET /pushers`: method, and path below `/_matrix/client/v3`, without its query.
    pub(crate) what: String,
    pub(crate) query: String,
    pub(crate) token: Option<String>,
    pub(crate) body: Value,
}

/// Returns an answer that replaces the default one.
type Override = Box<dyn Fn(&ReceivedRequest) -> Option<(u16, Value)> + Send>;

/// The mock's answers, which the test can change.
pub(crate) struct Answers {
    /// Entries of `/notifications`, newest first.
    pub(crate) listed: Vec<Value>,
    /// Takes precedence over every other answer.
    pub(crate) instead: Override,
    /// Requests are not answered while this returns true.
    pub(crate) held: Box<dyn Fn(&ReceivedRequest) -> bool + Send>,
    /// The maximum page size, whatever is requested.
    pub(crate) page: usize,
}

/// A running mock homeserver.
pub(crate) struct MockHomeserver {
    pub(crate) port: u16,
    answers: Arc<Mutex<Answers>>,
    asked: Arc<Mutex<Vec<ReceivedRequest>>>,
    /// Notified when the answers change, so that held requests are checked again.
    changed: watch::Sender<()>,
    server: JoinHandle<()>,
}

impl MockHomeserver {
    pub(crate) fn start() -> Self {
        let answers =
            Answers { listed: Vec::new(), instead: Box::new(|_| None), held: Box::new(|_| false), page: usize::MAX };
        let (answers, asked) = (Arc::new(Mutex::new(answers)), Arc::new(Mutex::new(Vec::new())));
        let listener = bus::block_on(tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (changed, news) = watch::channel(());
        let shared = (Arc::clone(&answers), Arc::clone(&asked));
        let server = bus::runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, news) = (shared.clone(), news.clone());
                let service = service_fn(move |request| serve(request, shared.clone(), news.clone()));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { port, answers, asked, changed, server }
    }

    /// Changes the answers.
    pub(crate) fn answer(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.answers.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_replace(());
    }

    /// All requests except those for encryption keys, which have their own tests.
    pub(crate) fn asked(&self) -> Vec<ReceivedRequest> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        asked.retain(|asked| !asked.what.contains(" /keys/"));
        asked
    }

    /// The number of these requests.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.asked().iter().filter(|asked| asked.what == what).count()
    }
}

impl Drop for MockHomeserver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type State = (Arc<Mutex<Answers>>, Arc<Mutex<Vec<ReceivedRequest>>>);

async fn serve(
    request: Request<hyper::body::Incoming>,
    (answers, asked): State,
    mut changes: watch::Receiver<()>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().trim_start_matches("/_matrix/client/v3");
    let token = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let one = ReceivedRequest {
        what: format!("{} {path}", head.method),
        query: head.uri.query().unwrap_or_default().to_owned(),
        token: token.and_then(|token| token.strip_prefix("Bearer ")).map(ToOwned::to_owned),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(one.clone());
    loop {
        changes.mark_unchanged();
        if !(answers.lock().unwrap_or_else(PoisonError::into_inner).held)(&one) {
            break;
        }
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
    let (status, answer) = answer(&answers.lock().unwrap_or_else(PoisonError::into_inner), &one);
    // A string is sent verbatim, JSON or not.
    let answer = if let Value::String(text) = answer { text } else { answer.to_string() };
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    Ok(response.body(Full::new(Bytes::from(answer))).unwrap())
}

fn answer(answers: &Answers, asked: &ReceivedRequest) -> (u16, Value) {
    if let Some(answer) = (answers.instead)(asked) {
        return answer;
    }
    match asked.what.as_str() {
        "GET /pushers" => (200, json!({"pushers": []})),
        "POST /pushers/set" => (200, json!({})),
        "GET /notifications" => {
            let parameter = |key: &str| {
                let mut pairs = asked.query.split('&').filter_map(|pair| pair.split_once('='));
                pairs.find(|(name, _)| *name == key).and_then(|(_, value)| value.parse::<usize>().ok())
            };
            let (from, limit) = (parameter("from").unwrap_or(0), parameter("limit").unwrap_or(50).min(answers.page));
            let page: Vec<_> = answers.listed.iter().skip(from).take(limit).cloned().collect();
            let next = (!page.is_empty()).then(|| (from + page.len()).to_string());
            (200, json!({"notifications": page, "next_token": next}))
        }
        _ => (404, json!({"errcode": "M_NOT_FOUND", "error": "no such thing"})),
    }
}

/// An entry of `/notifications` with this timestamp in milliseconds since the epoch.
pub(crate) fn entry(event: &str, room: &str, ts: i64) -> Value {
    json!({
        "actions": ["notify"], "profile_tag": null, "read": false, "room_id": room, "ts": ts,
        "event": {"event_id": event, "type": "m.room.message", "sender": "@bob:hs.test", "origin_server_ts": ts,
                  "content": {"msgtype": "m.text", "body": format!("text of {event}")}},
    })
}
