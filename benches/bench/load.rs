//! The load: a process of its own that POSTs pushes, each with an event of its own, over loopback. It is bounded in
//! number and time, and says how long each push took to be answered.

use std::{
    cell::RefCell,
    io::{Read, Write},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use pushbell::push::notify::PATH;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Barrier,
};

use crate::servers::Server;

/// Length of a push's body, as Synapse sends it.
const BODY: usize = 604;
/// Rooms that the pushes are spread over.
const ROOMS: u64 = 10;
/// No request takes longer, or it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What to send.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) connections: usize,
    /// A new connection for each push.
    pub(crate) fresh: bool,
    /// At most so many pushes,
    pub(crate) pushes: u64,
    /// and no new ones after so many seconds.
    pub(crate) seconds: f64,
    /// Pushes a second; as fast as possible without it.
    pub(crate) rate: Option<f64>,
    /// Whether each push asks for a sound.
    pub(crate) sound: bool,
}

impl Plan {
    /// One connection that is kept, and no push.
    pub(crate) const ONE: Self =
        Self { connections: 1, fresh: false, pushes: 0, seconds: 0.0, rate: None, sound: false };
}

#[derive(Serialize, Deserialize)]
struct Order {
    plan: Plan,
    port: u16,
    app_id: String,
    pushkey: String,
    /// Makes the events of this load differ from those of any other.
    seed: u64,
}

/// Numbers the loads.
static LOADS: AtomicU64 = AtomicU64::new(1);

impl Order {
    fn new(server: &Server, plan: Plan) -> Self {
        Self {
            plan,
            port: server.port,
            app_id: server.app_id.clone(),
            pushkey: server.pushkey.clone(),
            seed: LOADS.fetch_add(1, Relaxed) << 32,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Pushes that were answered with 200.
    pub(crate) pushes: u64,
    /// Pushes that were not.
    pub(crate) failed: u64,
    pub(crate) seconds: f64,
    /// Microseconds from the first byte sent (of the connection, if it is fresh) to the last of the answer.
    pub(crate) median: u32,
    pub(crate) p99: u32,
}

impl Outcome {
    pub(crate) fn rate(&self) -> f64 {
        self.pushes as f64 / self.seconds
    }
}

/// Puts this load on the server, and waits for its end.
pub(crate) fn put(server: &Server, plan: &Plan) -> Outcome {
    let order = Order::new(server, plan.clone());
    let order = serde_json::to_string(&order).expect("a plan is JSON");
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program).args(["load", &order]).output().expect("this program can be started again");
    let text = String::from_utf8_lossy(&output.stdout);
    let outcome: Outcome = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    assert!(outcome.failed == 0, "not every push got its 200: {plan:?} {outcome:?}");
    outcome
}

/// The process that sends.
pub(crate) fn main(order: &str) {
    let order: Order = serde_json::from_str(order).expect("a plan");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let outcome = runtime.block_on(send(Arc::new(order)));
    println!("{}", serde_json::to_string(&outcome).expect("an outcome is JSON"));
}

async fn send(order: Arc<Order>) -> Outcome {
    let next = Arc::new(AtomicU64::new(0));
    let ready = Arc::new(Barrier::new(order.plan.connections + 1));
    let senders: Vec<_> = (0..order.plan.connections)
        .map(|number| tokio::spawn(sender(Arc::clone(&order), number, Arc::clone(&next), Arc::clone(&ready))))
        .collect();
    ready.wait().await;
    let begun = Instant::now();
    let (mut times, mut failed) = (Vec::new(), 0);
    for sender in senders {
        let (its_times, its_failed) = sender.await.expect("a sender does not panic");
        times.extend(its_times);
        failed += its_failed;
    }
    let seconds = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).or(times.last()).copied().unwrap_or(0);
    Outcome { pushes: times.len() as u64, failed, seconds, median: at(0.5), p99: at(0.99) }
}

async fn sender(order: Arc<Order>, number: usize, next: Arc<AtomicU64>, ready: Arc<Barrier>) -> (Vec<u32>, u64) {
    let plan = &order.plan;
    let mut request = Request::new(&order);
    let mut connection = None;
    if !plan.fresh {
        connection = Some(connect(order.port).await);
    }
    ready.wait().await;
    let begun = tokio::time::Instant::now();
    let mut answer = Vec::with_capacity(1024);
    let (mut times, mut failed) = (Vec::new(), 0);
    loop {
        let push = next.fetch_add(1, Relaxed);
        if push >= plan.pushes || begun.elapsed().as_secs_f64() > plan.seconds {
            return (times, failed);
        }
        if let Some(rate) = plan.rate {
            // Each connection has its turn; none waits for another's answer.
            let turn = (times.len() as u64 + failed) * plan.connections as u64 + number as u64;
            tokio::time::sleep_until(begun + Duration::from_secs_f64(turn as f64 / rate)).await;
        }
        request.set_event(order.seed | push);
        let sent = Instant::now();
        let exchange = async {
            let mut stream = match connection.take() {
                Some(stream) => stream,
                None => connect(order.port).await,
            };
            stream.write_all(&request.bytes).await.ok()?;
            let is_good = read_answer(&mut stream, &mut answer).await?;
            Some((stream, is_good))
        };
        match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(Some((stream, true))) => {
                times.push(sent.elapsed().as_micros() as u32);
                connection = (!plan.fresh).then_some(stream);
            }
            Ok(Some((_, false)) | None) | Err(_) => failed += 1,
        }
    }
}

async fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the server listens");
    stream.set_nodelay(true).expect("a connected socket");
    stream
}

/// Reads an answer to its end; whether it is 200. `None`: the connection ended.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Option<bool> {
    answer.clear();
    loop {
        if stream.read_buf(answer).await.ok()? == 0 {
            return None;
        }
        let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&answer[..head]).ok()?;
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
        })?;
        if answer.len() >= head + 4 + length {
            return Some(text.starts_with("HTTP/1.1 200"));
        }
    }
}

/// The bytes of a request, in which the event changes.
struct Request {
    bytes: Vec<u8>,
    /// Where the event's id is.
    events: Vec<usize>,
    /// Where the room's number is.
    room: usize,
}

const EVENT: &str = "$0123456789012345678901234567890123456789012";
const ROOM: &str = "!B3XiccbPGQA9r0l4ajpa0lqbZISLITp6_fa2paefWJ#";

impl Request {
    fn new(order: &Order) -> Self {
        let Order { app_id, pushkey, port, .. } = order;
        let sound = if order.plan.sound { r#","sound":"default""# } else { "" };
        let body = |text: &str| {
            format!(
                r#"{{"notification":{{"content":{{"body":"{text}","msgtype":"m.text"}},"counts":{{"unread":1}},"devices":[{{"app_id":"{app_id}","data":{{}},"pushkey":"{pushkey}","pushkey_ts":1795336750,"tweaks":{{"highlight":false{sound}}}}}],"event_id":"{EVENT}","id":"{EVENT}","prio":"low","room_id":"{ROOM}","room_name":"Mission Control","sender":"@bob:hs.test","sender_display_name":"Bob","type":"m.room.message"}}}}"#
            )
        };
        let text = "I'm floating in a most peculiar way. ".repeat(8);
        let body = body(&text[..BODY - body("").len()]);
        let connection = if order.plan.fresh { "Connection: close\r\n" } else { "" };
        let bytes = format!(
            "POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: Synapse/1.163.2\r\nAccept-Encoding: gzip\r\n\
             Content-Type: application/json\r\n{connection}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let events = bytes.match_indices(EVENT).map(|(at, _)| at).collect();
        let room = bytes.find(ROOM).expect("the room is in there") + ROOM.len() - 1;
        Self { bytes: bytes.into_bytes(), events, room }
    }

    /// As random as the hash that a real event's id is: what is sorted by it is not sorted by time.
    fn set_event(&mut self, number: u64) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut event = *EVENT.as_bytes().first_chunk::<44>().expect("it is that long");
        let (mut state, mut bits) = (number, 0);
        for (index, letter) in event[1..].iter_mut().enumerate() {
            if index % 10 == 0 {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                bits = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                bits ^= bits >> 31;
            }
            *letter = ALPHABET[(bits & 63) as usize];
            bits >>= 6;
        }
        for at in &self.events {
            self.bytes[*at..*at + event.len()].copy_from_slice(&event);
        }
        self.bytes[self.room] = b'0' + (number % ROOMS) as u8;
    }
}

/// A homeserver's connection that is kept open, and sends one push at a time.
pub(crate) struct One {
    stream: RefCell<std::net::TcpStream>,
    request: RefCell<Request>,
}

impl One {
    pub(crate) fn new(server: &Server) -> Self {
        let request = RefCell::new(Request::new(&Order::new(server, Plan::ONE)));
        let stream = std::net::TcpStream::connect(("127.0.0.1", server.port)).expect("the server listens");
        stream.set_nodelay(true).expect("a connected socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        Self { stream: RefCell::new(stream), request }
    }

    /// Sends a push and reads its answer; when it was sent.
    pub(crate) fn send(&self) -> Instant {
        let (mut stream, mut request) = (self.stream.borrow_mut(), self.request.borrow_mut());
        request.set_event(LOADS.fetch_add(1, Relaxed) << 32);
        let sent = Instant::now();
        stream.write_all(&request.bytes).expect("the server reads");
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer).expect("the server answers");
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..length]));
        sent
    }
}
