//! A proxy between the app and a homeserver: forwards requests, answers them itself, or drops answers.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
};

/// The progress of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not forwarded to the homeserver yet.
    Requested,
    /// Answered by the homeserver; the answer is not forwarded yet.
    Answered,
}

/// What to do with a request, or with its answer.
pub(crate) enum ProxyAction {
    Pass,
    /// Send this instead.
    Answer(String),
    /// Send no answer.
    Lose,
}

type Decide = dyn Fn(Stage, &str) -> ProxyAction + Send + Sync;

struct State {
    decide: Arc<Decide>,
    /// Time and first line of each request.
    asked: Vec<(Instant, String)>,
    open: Vec<TcpStream>,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Starts it before the homeserver at this port. `decide` receives the head of each request.
    pub(crate) fn before(homeserver: u16, decide: impl Fn(Stage, &str) -> ProxyAction + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback interface has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::new(Mutex::new(State { decide: Arc::new(decide), asked: Vec::new(), open: Vec::new() }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // Ignores a client that disconnects early.
                thread::spawn(move || drop(serve(stream, homeserver, &shared)));
            }
        });
        Self { port, state }
    }

    pub(crate) fn forwarding(homeserver: u16) -> Self {
        Self::before(homeserver, |_, _| ProxyAction::Pass)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Replaces the decision function.
    pub(crate) fn set_behavior(&self, decide: impl Fn(Stage, &str) -> ProxyAction + Send + Sync + 'static) {
        lock(&self.state).decide = Arc::new(decide);
    }

    /// Closes all connections.
    pub(crate) fn cut(&self) {
        // Some have ended by themselves.
        lock(&self.state).open.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    /// The times of the requests with this in their first line.
    pub(crate) fn request_times(&self, what: &str) -> Vec<Instant> {
        lock(&self.state).asked.iter().filter(|(_, line)| line.contains(what)).map(|(at, _)| *at).collect()
    }
}

/// An answer with this body and these additional headers.
pub(crate) fn answer(status: u16, more: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} As said\r\n{more}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn serve(client: TcpStream, homeserver: u16, state: &Mutex<State>) -> std::io::Result<()> {
    let (mut client, head, body) = request(client)?;
    let decide = {
        let mut state = lock(state);
        state.asked.push((Instant::now(), head.lines().next().unwrap_or_default().to_owned()));
        state.open.push(client.try_clone()?);
        Arc::clone(&state.decide)
    };
    match decide(Stage::Requested, &head) {
        ProxyAction::Pass => {}
        ProxyAction::Answer(text) => return client.write_all(text.as_bytes()),
        ProxyAction::Lose => return Ok(()),
    }
    let mut server = TcpStream::connect(("127.0.0.1", homeserver))?;
    let one = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    server.write_all(&[one.as_bytes(), &body].concat())?;
    // A client that disconnects closes the connection to the homeserver too.
    let (mut leaves, waits) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        if !matches!(leaves.read(&mut [0]), Ok(1..)) {
            drop(waits.shutdown(Shutdown::Both));
        }
    });
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    match decide(Stage::Answered, &head) {
        ProxyAction::Pass => client.write_all(&answer)?,
        ProxyAction::Answer(text) => client.write_all(text.as_bytes())?,
        ProxyAction::Lose => {}
    }
    client.shutdown(Shutdown::Both)
}

fn request(stream: TcpStream) -> std::io::Result<(TcpStream, String, Vec<u8>)> {
    let mut client = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && client.read_line(&mut head)? > 0 {}
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body)?;
    Ok((client.into_inner(), head, body))
}
