//! An endpoint on a free port, a recorder that reports the pushes that it receives, and a client that checks every
//! answer.

use std::{
    fmt::Write as _,
    future::Future,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use pushbell::{
    accounts::{Account, Accounts, AccountsError, AccountsFile, CountsScope},
    http::{self, Limits, Serving},
    inbox::{Delivery, InboxError},
    intake::{Intake, Recorder, Recording as Outcome},
    resume::ResumeWindow,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

pub(crate) const PATH: &str = "/_matrix/push/v1/notify";
/// Longer than any step takes on a busy machine, and shorter than any default limit of the endpoint.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Awaits the future; fails the test when it takes too long.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("it takes too long")
}

/// What the recorder does with a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Works,
    Fails,
    Hangs,
}

/// Records as the inbox does: a recording that has begun continues even if its caller is gone.
#[derive(Clone)]
pub(crate) struct Recording {
    mode: watch::Sender<Mode>,
    begun: watch::Sender<usize>,
    pub(crate) done: watch::Sender<usize>,
    deliveries: Arc<Mutex<Vec<Delivery>>>,
}

impl Recording {
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode: watch::Sender::new(mode),
            begun: watch::Sender::new(0),
            done: watch::Sender::new(0),
            deliveries: Arc::default(),
        }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Waits until the recorder has received this many pushes.
    pub(crate) async fn has_begun(&self, pushes: usize) {
        soon(self.begun.subscribe().wait_for(|begun| *begun >= pushes)).await.unwrap();
    }

    pub(crate) async fn has_done(&self, pushes: usize) {
        soon(self.done.subscribe().wait_for(|done| *done >= pushes)).await.unwrap();
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.lock().unwrap().clone()
    }

    /// The number of recorded pushes.
    pub(crate) fn count(&self) -> usize {
        self.deliveries.lock().unwrap().len()
    }

    async fn outcome(mode: &watch::Sender<Mode>) -> Result<(), InboxError> {
        let settled = *mode.subscribe().wait_for(|mode| *mode != Mode::Hangs).await.unwrap();
        match settled {
            Mode::Works => Ok(()),
            Mode::Fails | Mode::Hangs => Err(InboxError::Unusable {
                path: "/home/somebody/pushbell.db".to_owned(),
                reason: "/home/somebody/pushbell.db: database or disk is full".to_owned(),
            }),
        }
    }
}

impl Recorder for Recording {
    fn record(&self, delivery: Delivery) -> Outcome<'_> {
        self.begun.send_modify(|begun| *begun += 1);
        let recording = self.clone();
        let elsewhere = tokio::spawn(async move {
            Self::outcome(&recording.mode).await?;
            recording.deliveries.lock().unwrap().push(delivery);
            recording.done.send_modify(|done| *done += 1);
            Ok(())
        });
        Box::pin(async { elsewhere.await.unwrap() })
    }

    fn check(&self) -> Outcome<'_> {
        Box::pin(Self::outcome(&self.mode))
    }
}

/// Accounts "alice" (app, alices-key) and "room" (app, rooms-key, counts = room).
pub(crate) fn accounts() -> Accounts {
    let place = tempfile::tempdir().unwrap();
    let file = AccountsFile::new(&place.path().join("accounts.toml"));
    for (name, pushkey, counts) in
        [("alice", "alices-key", CountsScope::Account), ("room", "rooms-key", CountsScope::Room)]
    {
        let (app_id, pushkey) = ("app".to_owned(), pushkey.to_owned());
        file.add(Account {
            name: name.into(),
            app_id,
            pushkey,
            counts,
            way: pushbell::accounts::Way::Auto,
            relay: None,
            created_at: Timestamp::UNIX_EPOCH,
            sign_in: None,
        })
        .unwrap();
    }
    file.read().unwrap()
}

/// The error of reading a missing accounts file.
pub(crate) fn unreadable() -> AccountsError {
    Accounts::read(Path::new("/nonexistent/accounts.toml")).unwrap_err()
}

/// A server on a free port.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) intake: Intake,
    pub(crate) http: http::Server,
    pub(crate) recording: Recording,
    serving: Serving,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let recording = Recording::new(Mode::Works);
        let intake = Intake::new(recording.clone(), accounts());
        let server = http::Server::new(intake.clone(), ResumeWindow::default(), limits);
        server.set_extra_paths(&["/push".to_owned()]);
        let (address, serving) = serve(&server).await;
        Self { address, intake, http: server, recording, serving }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// The answer to one request on a new connection.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let mut client = self.connect().await;
        client.send(&request(method, path, body)).await;
        client.answer_to(method).await
    }

    pub(crate) async fn push(&self, pushkeys: &[&str]) -> Answer {
        self.ask("POST", PATH, &push(pushkeys)).await
    }

    /// Stops listening. The task ends when all connections have ended.
    pub(crate) async fn stop(self) -> JoinHandle<()> {
        soon(self.serving.stop()).await
    }
}

/// Serves another free port.
pub(crate) async fn serve(server: &http::Server) -> (SocketAddr, Serving) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap(), server.serve(listener))
}

/// The body of a push to devices of `app_id` "app".
pub(crate) fn push(pushkeys: &[&str]) -> Vec<u8> {
    let devices: Vec<_> =
        pushkeys.iter().map(|pushkey| serde_json::json!({"app_id": "app", "pushkey": pushkey})).collect();
    serde_json::json!({"notification": {"event_id": "$event", "room_id": "!room", "devices": devices}})
        .to_string()
        .into_bytes()
}

pub(crate) fn request(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: desktop\r\n");
    if !body.is_empty() {
        write!(request, "Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()).unwrap();
    }
    [request.as_bytes(), b"\r\n", body].concat()
}

/// An answer that satisfies what the contract requires of every answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        lines
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn errcode(&self) -> &str {
        self.json["errcode"].as_str().unwrap_or_default()
    }

    pub(crate) fn rejected(&self) -> Vec<&str> {
        self.json["rejected"].as_array().unwrap().iter().map(|pushkey| pushkey.as_str().unwrap()).collect()
    }
}

/// A connection to the server.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) read: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: soon(TcpStream::connect(address)).await.unwrap(), read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.unwrap();
    }

    pub(crate) async fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.send(&request(method, path, body)).await;
        self.answer_to(method).await
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_to("POST").await
    }

    pub(crate) async fn answer_to(&mut self, method: &str) -> Answer {
        soon(self.try_answer(method)).await.expect("the connection was closed before the answer")
    }

    /// Returns `None` when the connection ends without an answer.
    pub(crate) async fn try_answer(&mut self, method: &str) -> Option<Answer> {
        let head = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break String::from_utf8(self.read.drain(..end + 4).collect()).unwrap();
            }
            if self.stream.read_buf(&mut self.read).await.unwrap_or(0) == 0 {
                assert!(self.read.is_empty(), "half an answer: {:?}", String::from_utf8_lossy(&self.read));
                return None;
            }
        };
        let status = head.strip_prefix("HTTP/1.").unwrap()[2..5].parse().unwrap();
        let mut answer = Answer { status, head, json: Value::Null };
        assert!(answer.status >= 400 || answer.status == 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
        assert_eq!(answer.header("transfer-encoding"), None);
        let length: usize = answer.header("content-length").expect("every answer has a length").parse().unwrap();
        assert!(length > 0);
        if method != "HEAD" {
            while self.read.len() < length {
                assert_ne!(self.stream.read_buf(&mut self.read).await.unwrap(), 0, "half an answer");
            }
            answer.json = serde_json::from_slice(&self.read.drain(..length).collect::<Vec<_>>()).unwrap();
            assert!(answer.json.is_object());
        }
        assert_eq!(answer.status == 503, answer.header("retry-after").is_some());
        assert_eq!(
            answer.status == 200 || method == "HEAD",
            answer.json.get("error").is_none() && answer.json.get("reason").is_none()
        );
        assert!(!answer.json.to_string().contains("/home/"), "answers do not tell about this computer's files");
        Some(answer)
    }

    /// Reads until the connection ends; returns everything received.
    pub(crate) async fn end(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.read);
        // A connection that is reset has ended too.
        soon(self.stream.read_to_end(&mut rest)).await.ok();
        rest
    }
}
