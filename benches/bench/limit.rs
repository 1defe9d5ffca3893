//! The limit: hyper, `serde_json` and SQLite, doing what a push needs done and nothing else.
//!
//! One thread for hyper, one for SQLite (WAL, `synchronous=FULL`). A push is parsed, its account recognised, and a row
//! inserted into one table with a unique index; all pushes that wait share a commit, and each is answered after it.

use std::{convert::Infallible, net::SocketAddr};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    net::TcpSocket,
    sync::{mpsc, oneshot},
};

use crate::servers::{APP_ID, PUSHKEY};

#[derive(Deserialize)]
struct Push {
    notification: Notification,
}

#[derive(Deserialize)]
struct Notification {
    event_id: String,
    room_id: String,
    room_name: Option<String>,
    sender: String,
    sender_display_name: Option<String>,
    #[serde(rename = "type")]
    event_type: String,
    prio: String,
    content: Box<RawValue>,
    counts: Counts,
    devices: Vec<Device>,
}

#[derive(Deserialize)]
struct Counts {
    unread: i64,
}

#[derive(Deserialize)]
struct Device {
    app_id: String,
    pushkey: String,
}

/// As Pushbell's: when it overflows, a new connection waits a second for its first packet to be sent again.
const BACKLOG: u32 = 4096;

type Waiting = (Notification, oneshot::Sender<()>);

pub(crate) fn main(port: &str, database: &str) {
    let port = port.parse().expect("a port");
    let (requests, queue) = mpsc::channel(1024);
    let database = database.to_owned();
    std::thread::spawn(move || record(&database, queue));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(serve(SocketAddr::from(([127, 0, 0, 1], port)), requests));
}

async fn serve(address: SocketAddr, requests: mpsc::Sender<Waiting>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(address).expect("the port is free");
    let listener = socket.listen(BACKLOG).expect("a bound socket");
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).expect("a connected socket");
        let requests = requests.clone();
        let service = service_fn(move |request| answer(request, requests.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    requests: mpsc::Sender<Waiting>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.expect("a whole body").to_bytes();
    let push: Push = serde_json::from_slice(&body).expect("a push");
    let is_ours = push.notification.devices.iter().any(|device| device.app_id == APP_ID && device.pushkey == PUSHKEY);
    assert!(is_ours, "an unknown pushkey");
    let (recorded, is_recorded) = oneshot::channel();
    requests.send((push.notification, recorded)).await.expect("the thread runs");
    is_recorded.await.expect("it is on disk");
    let mut response = Response::new(Full::new(Bytes::from_static(br#"{"rejected":[]}"#)));
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    Ok(response)
}

fn record(path: &str, mut queue: mpsc::Receiver<Waiting>) {
    let mut db = rusqlite::Connection::open(path).expect("the directory is writable");
    db.execute_batch(
        "PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        CREATE TABLE notice (id INTEGER PRIMARY KEY, account TEXT NOT NULL, event_id TEXT NOT NULL, room_id TEXT,
            room_name TEXT, sender TEXT, sender_display_name TEXT, event_type TEXT, prio TEXT, content TEXT,
            unread INTEGER, UNIQUE (account, event_id))",
    )
    .expect("a fresh database");
    while let Some(first) = queue.blocking_recv() {
        let mut answers = Vec::new();
        let transaction = db.transaction().expect("nobody else uses it");
        {
            let mut insert = transaction
                .prepare_cached("INSERT OR IGNORE INTO notice VALUES (NULL, 'home', ?, ?, ?, ?, ?, ?, ?, ?, ?)")
                .expect("the table is there");
            let mut next = Some(first);
            while let Some((push, answer)) = next {
                insert
                    .execute(rusqlite::params![
                        push.event_id,
                        push.room_id,
                        push.room_name,
                        push.sender,
                        push.sender_display_name,
                        push.event_type,
                        push.prio,
                        push.content.get(),
                        push.counts.unread,
                    ])
                    .expect("a row");
                answers.push(answer);
                next = queue.try_recv().ok();
            }
        }
        transaction.commit().expect("the disk has room");
        for answer in answers {
            let _ = answer.send(());
        }
    }
}
