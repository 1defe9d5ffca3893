//! All attacks on a socket at once, while a real account's pushes arrive.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use pushbell::http::Limits;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Runtime,
    time::{sleep, timeout},
};

use crate::{
    rig::{
        process::raise_open_files,
        pushbell::{Account, PATH, address, message},
    },
    stage::Stage,
};

/// How long the attacks last once all attackers are connected.
const SIEGE: Duration = Duration::from_secs(12);
/// Time limit of an answer: homeservers give up after 10 to 60 seconds.
const ANSWER_TIME_LIMIT: Duration = Duration::from_secs(5);
const IDLE_CONNECTIONS: usize = 5_000;
/// How soon an attacker reconnects after being disconnected.
const RECONNECT_DELAY: Duration = Duration::from_millis(100);

/// Attackers, active until they are stopped.
#[derive(Clone)]
struct Attackers {
    target: SocketAddr,
    over: Arc<AtomicBool>,
    /// The number of currently open connections.
    connected: Arc<AtomicUsize>,
}

impl Attackers {
    fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    async fn connect(&self) -> Option<TcpStream> {
        let stream = timeout(ANSWER_TIME_LIMIT, TcpStream::connect(self.target)).await.ok()?.ok()?;
        self.connected.fetch_add(1, Relaxed);
        Some(stream)
    }

    /// Runs this many concurrent attackers, each repeating its attack until they are stopped.
    fn attack<F>(&self, runtime: &Runtime, many: usize, attack: impl Fn(Self, TcpStream) -> F + Clone + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        for _ in 0..many {
            let (attackers, attack) = (self.clone(), attack.clone());
            runtime.spawn(async move {
                while !attackers.is_over() {
                    if let Some(stream) = attackers.connect().await {
                        attack(attackers.clone(), stream).await;
                        attackers.connected.fetch_sub(1, Relaxed);
                    }
                    sleep(RECONNECT_DELAY).await;
                }
            });
        }
    }

    /// Sends these bytes once, and then waits for the end of the connection.
    fn send(&self, runtime: &Runtime, many: usize, bytes: Vec<u8>) {
        let bytes: Arc<[u8]> = bytes.into();
        self.attack(runtime, many, move |attackers, mut stream| {
            let bytes = Arc::clone(&bytes);
            async move {
                let _ = timeout(ANSWER_TIME_LIMIT, stream.write_all(&bytes)).await;
                attackers.wait_for_end(&mut stream).await;
            }
        });
    }

    /// Sends this piece repeatedly, one every `pause`.
    fn repeat(&self, runtime: &Runtime, many: usize, first: String, piece: &'static [u8], pause: Duration) {
        self.attack(runtime, many, move |attackers, mut stream| {
            let first = first.clone();
            async move {
                let mut sent = stream.write_all(first.as_bytes()).await;
                while sent.is_ok() && !attackers.is_over() {
                    sleep(pause).await;
                    sent = timeout(ANSWER_TIME_LIMIT, stream.write_all(piece)).await.unwrap_or(Ok(()));
                }
            }
        });
    }

    async fn wait_for_end(&self, stream: &mut TcpStream) {
        let mut discarded = [0; 4096];
        while !self.is_over() {
            if let Ok(Ok(0) | Err(_)) = timeout(Duration::from_millis(500), stream.read(&mut discarded)).await {
                return;
            }
        }
    }
}

fn head(lines: &str) -> String {
    format!("POST {PATH} HTTP/1.1\r\nHost: desktop\r\n{lines}")
}

fn start_all_attacks(attackers: &Attackers, runtime: &Runtime) {
    const SECOND: Duration = Duration::from_secs(1);
    const NO_PAUSE: Duration = Duration::from_millis(1);
    let piece = |text: &'static str| text.as_bytes();
    let chunk: &'static [u8] = Vec::leak([b"2000\r\n", &*vec![b'x'; 0x2000], b"\r\n"].concat());
    let begun = |length: usize| head(&format!("Content-Length: {length}\r\n\r\n")) + r#"{"notification":{"#;

    // One byte a second.
    attackers.repeat(runtime, 100, head("X-Slow: "), piece("x"), SECOND);
    attackers.repeat(runtime, 100, begun(500_000), piece(" "), SECOND);
    attackers.repeat(runtime, 20, head("Transfer-Encoding: chunked\r\n\r\n"), piece("1\r\nx\r\n"), SECOND);
    // Endless chunks, headers and request lines.
    attackers.repeat(runtime, 4, head("Transfer-Encoding: chunked\r\n\r\n"), chunk, NO_PAUSE);
    attackers.repeat(runtime, 4, head(""), piece("X-Flood: flood\r\nY-Flood: flood\r\n"), NO_PAUSE);
    attackers.repeat(runtime, 4, "GET /".to_owned(), piece("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), NO_PAUSE);
    // Pipelining without ever reading an answer.
    let pipelined = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n".repeat(500);
    attackers.repeat(runtime, 4, pipelined, piece("GET /health HTTP/1.1\r\nHost: a\r\n\r\n"), NO_PAUSE);
    // Declared but not sent, or not allowed.
    attackers.send(runtime, 10, head("Content-Length: 10737418240\r\n\r\n{").into());
    attackers.send(runtime, 10, head("Content-Length: 524288\r\nExpect: 100-continue\r\n\r\n").into());
    attackers.send(runtime, 10, head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /").into());
    // 500 KB each, except for the last byte.
    attackers.send(runtime, 40, [begun(500_000).into_bytes(), vec![b' '; 499_900]].concat());
    // Not HTTP/1.1.
    for bytes in [
        &b"GET /health\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"\x16\x03\x01\x02\0",
        b"\r\n",
    ] {
        attackers.send(runtime, 4, bytes.to_vec());
    }
    attackers.send(runtime, 4, head(&format!("{}\r\n", "a: b\r\n".repeat(10_000))).into());
    attackers.send(runtime, 4, head(&format!("Cookie: {}\r\n\r\n", "x".repeat(1024 * 1024))).into());
    // The most expensive bodies to parse: many devices, deep content.
    let strangers: Vec<_> = (0..12_000).map(|number| json!({"app_id": "a", "pushkey": number.to_string()})).collect();
    let deep = format!(r#"{{"notification":{{"content":{}1{}}}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    for body in [json!({"notification": {"devices": strangers}}).to_string(), deep] {
        attackers.send(runtime, 4, (head(&format!("Content-Length: {}\r\n\r\n", body.len())) + body.as_str()).into());
    }
    // Pushes for unknown pushkeys.
    let wrong = json!({"notification": {"id": "$x", "devices": [{"app_id": "a", "pushkey": "wrong"}]}}).to_string();
    attackers.send(runtime, 10, (head(&format!("Content-Length: {}\r\n\r\n", wrong.len())) + wrong.as_str()).into());
    // Idle connections.
    attackers.send(runtime, IDLE_CONNECTIONS, Vec::new());
}

/// Sends the account's pushes, on one connection or on a new one each, and returns how long each took.
async fn homeserver(attackers: Attackers, account: Account, name: &'static str, keep_alive: bool) -> Vec<Duration> {
    let mut took = Vec::new();
    let mut connection: Option<TcpStream> = None;
    while !attackers.is_over() {
        let push = address(&account, message(&format!("{name}{}", took.len()), name, "text")).to_string();
        let request = format!("{}Content-Length: {}\r\n\r\n{push}", head(""), push.len());
        let start = Instant::now();
        let answer = timeout(Duration::from_secs(60), async {
            let mut stream = match connection.take() {
                Some(stream) => stream,
                None => TcpStream::connect(attackers.target).await?,
            };
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            while !answer.ends_with(b"}") {
                if stream.read_buf(&mut answer).await? == 0 {
                    break;
                }
            }
            connection = keep_alive.then_some(stream);
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
        });
        let answer = answer.await.expect("a minute is enough").unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(r#"{"rejected":[]}"#), "{name}: {answer:?}");
        took.push(start.elapsed());
        sleep(Duration::from_millis(100)).await;
    }
    took
}

#[test]
fn real_pushes_get_their_200_in_time_during_a_siege() {
    raise_open_files(IDLE_CONNECTIONS + 1_000);
    let mut stage = Stage::set("");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let attackers = Attackers {
        target: SocketAddr::from(([127, 0, 0, 1], stage.app.port)),
        over: Arc::default(),
        connected: Arc::default(),
    };
    let homeservers = [("kept", true), ("fresh", false)].map(|(name, keep_alive)| {
        (name, runtime.spawn(homeserver(attackers.clone(), stage.account.clone(), name, keep_alive)))
    });
    start_all_attacks(&attackers, &runtime);
    std::thread::sleep(SIEGE);
    let files = std::fs::read_dir(format!("/proc/{}/fd", stage.app.app().pid())).expect("the program runs").count();
    attackers.over.store(true, Relaxed);

    let mut sent = 0;
    for (name, homeserver) in homeservers {
        let mut took = runtime.block_on(homeserver).unwrap();
        took.sort_unstable();
        let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
        println!("{name}: {} pushes, median {median:?}, longest {longest:?}", took.len());
        assert!(longest <= ANSWER_TIME_LIMIT, "{name}: {longest:?}");
        assert!(took.len() >= 4, "{name}: {} pushes", took.len());
        sent += took.len();
    }
    runtime.shutdown_background();
    println!("{files} open files, {} MiB of memory at most", stage.peak_memory());
    let most = Limits::default().connections + 200;
    assert!(files <= most, "{files} open files");
    let kept = stage.app.ok(&["history", "--json", "--limit", "100000"]).lines().count();
    assert_eq!(kept, sent, "each push is kept once, and nothing else");
    assert!(!stage.app.log().contains("panicked"), "{}", stage.app.log());
    stage.memory_is_bounded();
}
