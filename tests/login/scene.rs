//! What the tests have in common: a homeserver with Alice and Bob on it, and Alice's desktop.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use hyper::Method;
use serde_json::{Value, json};

use crate::rig::{Desktop, DesktopOptions, Pushbell, SOON, Synapse, pushbell::Output, synapse::User, wait_for};

/// The homeserver that the tests share: it may push to loopback.
pub(crate) static SYNAPSE: LazyLock<Synapse> = LazyLock::new(Synapse::start);

/// Alice, who has a room with Bob, and a desktop of her own on which nothing runs yet.
pub(crate) struct Scene {
    pub(crate) alice: User,
    pub(crate) bob: User,
    pub(crate) room: String,
    pub(crate) pushbell: Pushbell,
    pub(crate) desktop: Desktop,
    pub(crate) homeserver: String,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::on(&SYNAPSE)
    }

    pub(crate) fn on(synapse: &Synapse) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let alice = synapse.register(&format!("alice{number}"), "Alice");
        let bob = synapse.register(&format!("bob{number}"), "Bob");
        let room = bob.create_room(&json!({"name": "Kitchen", "invite": [alice.id]}));
        alice.join(&room);
        let desktop = Desktop::start(DesktopOptions::BARE);
        let pushbell = Pushbell::prepare(&desktop, "");
        let homeserver = format!("http://127.0.0.1:{}", synapse.port);
        std::fs::write(pushbell.home().join("password"), "secret\n").unwrap();
        Self { alice, bob, room, pushbell, desktop, homeserver }
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.pushbell.home().join(name).display().to_string()
    }

    /// `pushbell login` with Alice's password from a file.
    pub(crate) fn login(&self, options: &[&str]) -> Output {
        self.login_of(&self.alice, options)
    }

    /// The same of anybody; all have one password.
    pub(crate) fn login_of(&self, user: &User, options: &[&str]) -> Output {
        let password = self.file("password");
        let fixed = ["login", &user.id, "--push", "--homeserver", &self.homeserver, "--password-file", &password];
        self.pushbell.command(&[&fixed, options].concat())
    }

    /// The same, beside what the test does meanwhile.
    pub(crate) fn beside<T: Send>(&self, run: impl FnOnce(&Self) -> T + Send, meanwhile: impl FnOnce(&Self)) -> T
    where
        Self: Sync,
    {
        thread::scope(|scope| {
            let running = scope.spawn(|| run(self));
            meanwhile(self);
            running.join().unwrap()
        })
    }

    /// Bob writes once Alice has a pusher.
    pub(crate) fn bob_writes_when_there_is_a_pusher(&self) -> String {
        self.wait_for_pushers(1);
        self.bob.send(&self.room, "Dinner is ready.")
    }

    pub(crate) fn wait_for_pushers(&self, number: usize) -> Vec<Value> {
        wait_for("the pusher is set", SOON, || Some(self.alice.pushers()).filter(|pushers| pushers.len() == number))
    }

    /// The names of Alice's devices, the one that the rig registered left out.
    pub(crate) fn devices(&self) -> Vec<String> {
        let devices = self.alice.request(&Method::GET, "devices", &Value::Null);
        let devices = devices["devices"].as_array().unwrap().iter();
        devices.filter_map(|device| device["display_name"].as_str().map(ToOwned::to_owned)).collect()
    }
}

/// The address of the homeserver by way of another, which loses the answers to requests with such a head.
pub(crate) fn by_way_of(is_lost: impl Fn(&str) -> bool + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let is_lost = Arc::new(is_lost);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, is_lost) = (stream.unwrap(), Arc::clone(&is_lost));
            // Long polls must not hold up others.
            thread::spawn(move || {
                let (mut client, head, body) = request(stream);
                let answer = forward(&head, &body);
                if !is_lost(&head) {
                    // Whoever waits no longer has gone.
                    drop(client.write_all(&answer));
                }
            });
        }
    });
    format!("http://127.0.0.1:{port}")
}

fn request(stream: TcpStream) -> (TcpStream, String, Vec<u8>) {
    let mut client = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && client.read_line(&mut head).unwrap_or(0) > 0 {}
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body).unwrap();
    (client.into_inner(), head, body)
}

/// What the homeserver answers, over a connection of its own.
fn forward(head: &str, body: &[u8]) -> Vec<u8> {
    let mut server = TcpStream::connect(("127.0.0.1", SYNAPSE.port)).unwrap();
    let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    server.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).unwrap();
    answer
}

/// The address of the homeserver by way of another, where it refuses every pusher.
pub(crate) fn refusing_pushers() -> String {
    const REFUSAL: &str = r#"{"errcode":"M_INVALID_PARAM","error":"no pushers here"}"#;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut client, head, body) = request(stream.unwrap());
            if head.starts_with("POST /_matrix/client/v3/pushers/set ") {
                let length = REFUSAL.len();
                let head = format!("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
                client.write_all((head + REFUSAL).as_bytes()).unwrap();
                continue;
            }
            client.write_all(&forward(&head, &body)).unwrap();
        }
    });
    format!("http://127.0.0.1:{port}")
}
