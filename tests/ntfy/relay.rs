//! A mock ntfy server: its formats and refusals, and the effects of a proxy before it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

/// How it answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behavior {
    /// The answer to a homeserver's push, status and body; `None` accepts it.
    pub(crate) to_pushes: Option<(u16, Value)>,
    /// The answer to discovery requests.
    pub(crate) to_discovery: Option<(u16, Value)>,
    /// The answer to readers of a topic.
    pub(crate) to_readers: Option<(u16, &'static str)>,
    /// The access token that readers need; writers need none.
    pub(crate) token: Option<&'static str>,
    /// Endless answers are buffered and never arrive.
    pub(crate) buffers_answers: bool,
    /// Sends nothing more on open connections.
    pub(crate) is_mute: bool,
    /// Replays all messages, newest first, whatever the reader asks for.
    pub(crate) replays_all: bool,
}

struct Inner {
    behavior: Behavior,
    /// The base URL.
    base: String,
    keepalive: Duration,
    kept: Vec<(u64, Value)>,
    /// Incremented to close all connections opened before.
    cut: usize,
    connections: usize,
    polls: usize,
    refused: usize,
}

pub(crate) struct Relay {
    #[allow(dead_code, reason = "the measurement of costs uses it")]
    pub(crate) port: u16,
    state: Arc<(Mutex<Inner>, Condvar)>,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Relay {
    pub(crate) fn start() -> Self {
        Self::keeping_alive_each(Duration::from_secs(1))
    }

    /// Starts a relay that sends keepalives at this interval.
    pub(crate) fn keeping_alive_each(keepalive: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Inner {
            behavior: Behavior::default(),
            base: format!("http://127.0.0.1:{port}"),
            keepalive,
            kept: Vec::new(),
            cut: 0,
            connections: 0,
            polls: 0,
            refused: 0,
        };
        let state = Arc::new((Mutex::new(inner), Condvar::new()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // Ignores a client that disconnects early.
                thread::spawn(move || drop(serve(&stream, &shared)));
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        self.inner().base.clone()
    }

    /// Sets its base URL to that of the proxy before it.
    #[allow(dead_code, reason = "the measurement of costs uses it")]
    pub(crate) fn is_known_as(&self, address: &str) {
        address.clone_into(&mut self.inner().base);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_behavior(&self, behavior: Behavior) {
        self.inner().behavior = behavior;
        self.state.1.notify_all();
    }

    /// Closes all connections.
    pub(crate) fn cut(&self) {
        self.inner().cut += 1;
        self.state.1.notify_all();
    }

    /// The numbers of opened connections, of polls and of refused pushes.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let inner = self.inner();
        (inner.connections, inner.polls, inner.refused)
    }

    /// All accepted pushes.
    pub(crate) fn pushes(&self) -> Vec<Value> {
        let texts = |line: &Value| serde_json::from_str(line["message"].as_str().unwrap()).unwrap();
        self.inner().kept.iter().map(|(_, line)| texts(line)).collect()
    }

    /// Publishes a message, as anyone who knows the topic can.
    pub(crate) fn publish(&self, message: &str) {
        self.publish_all([message.to_owned()]);
    }

    /// Publishes several messages at once.
    pub(crate) fn publish_all(&self, messages: impl IntoIterator<Item = String>) {
        let mut inner = self.inner();
        messages.into_iter().for_each(|message| keep(&mut inner, &message));
        self.state.1.notify_all();
    }
}

fn keep(inner: &mut Inner, message: &str) {
    let number = inner.kept.len();
    let line = json!({"id": format!("id{number}"), "time": now(), "expires": now() + 43_200, "event": "message",
        "topic": "up", "message": message});
    inner.kept.push((now(), line));
}

fn answer(mut stream: &TcpStream, status: u16, more: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} As said\r\n{more}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn chunk(mut stream: &TcpStream, line: &Value) -> std::io::Result<()> {
    let line = format!("{line}\n");
    // Written at once, as a server does.
    stream.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes())
}

fn serve(stream: &TcpStream, state: &(Mutex<Inner>, Condvar)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        match &*name.to_ascii_lowercase() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let lock = || state.0.lock().unwrap_or_else(PoisonError::into_inner);
    let behavior = lock().behavior.clone();
    match (method, path) {
        ("GET", "/_matrix/push/v1/notify") => {
            let usual = (200, json!({"unifiedpush": {"gateway": "matrix"}}));
            let (status, body) = behavior.to_discovery.unwrap_or(usual);
            answer(stream, status, "", &body.to_string())
        }
        ("POST", "/_matrix/push/v1/notify") => {
            let text = String::from_utf8(body).unwrap();
            let push: Value = serde_json::from_str(&text).unwrap();
            let pushkey = push["notification"]["devices"][0]["pushkey"].as_str().unwrap().to_owned();
            let (status, body) = behavior.to_pushes.unwrap_or_else(|| {
                let is_ours = pushkey.starts_with(&format!("{}/", lock().base));
                let rejected = if is_ours { json!([]) } else { json!([pushkey]) };
                (200, json!({"rejected": rejected}))
            });
            let is_taken = status == 200 && body["rejected"] == json!([]);
            // Synapse expects the pushkey in `rejected`.
            let body = if body["rejected"] == "it" { json!({"rejected": [pushkey]}) } else { body };
            if is_taken {
                keep(&mut lock(), &text);
                state.1.notify_all();
            } else {
                lock().refused += 1;
            }
            answer(stream, status, "Content-Type: application/json\r\n", &body.to_string())
        }
        ("GET", path) if path.ends_with("/auth") || path.ends_with("/json") => {
            if let Some((status, more)) = behavior.to_readers {
                return answer(stream, status, more, "{}");
            }
            match (behavior.token, authorization) {
                (None, _) => {}
                (Some(_), None) => return answer(stream, 403, "", "{\"code\":40301}"),
                (Some(token), Some(sent)) if sent == format!("Bearer {token}") => {}
                (Some(_), Some(_)) => return answer(stream, 401, "", "{\"code\":40101}"),
            }
            if path.ends_with("/auth") {
                return answer(stream, 200, "", "{\"success\":true}");
            }
            read(stream, state, query)
        }
        _ => answer(stream, 404, "", "{\"code\":40401}"),
    }
}

/// The cached messages that match the query.
fn matching(inner: &Inner, query: &str) -> Vec<Value> {
    let since = query.split('&').find_map(|pair| pair.strip_prefix("since="));
    let since = match since {
        None => u64::MAX,
        // An unknown ID means everything.
        Some(since) => since.parse().unwrap_or(0),
    };
    if inner.behavior.replays_all {
        return inner.kept.iter().rev().map(|(_, line)| line.clone()).collect();
    }
    inner.kept.iter().filter(|(time, _)| *time >= since).map(|(_, line)| line.clone()).collect()
}

fn read(mut stream: &TcpStream, state: &(Mutex<Inner>, Condvar), query: &str) -> std::io::Result<()> {
    let mut inner = state.0.lock().unwrap_or_else(PoisonError::into_inner);
    if query.contains("poll=1") {
        inner.polls += 1;
        let lines: String =
            matching(&inner, query).iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect();
        return answer(stream, 200, "", &lines);
    }
    if inner.behavior.buffers_answers {
        drop(inner);
        // Until the client disconnects.
        return stream.read(&mut [0]).map(drop);
    }
    inner.connections += 1;
    let (cut, replayed, mut position) = (inner.cut, matching(&inner, query), inner.kept.len());
    let keepalive = inner.keepalive;
    write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    chunk(stream, &json!({"id": "open", "time": now(), "event": "open", "topic": "up"}))?;
    for line in replayed {
        chunk(stream, &line)?;
    }
    while inner.cut == cut {
        if !inner.behavior.is_mute {
            for (_, line) in &inner.kept[position..] {
                chunk(stream, line)?;
            }
            position = inner.kept.len();
        }
        let (woken, waited) = state.1.wait_timeout(inner, keepalive).unwrap_or_else(PoisonError::into_inner);
        inner = woken;
        if waited.timed_out() && !inner.behavior.is_mute {
            chunk(stream, &json!({"id": "k", "time": now(), "event": "keepalive", "topic": "up"}))?;
        }
    }
    // Alternates between a proper end and the one of a killed process.
    if inner.cut.is_multiple_of(2) { write!(stream, "0\r\n\r\n") } else { Ok(()) }
}
