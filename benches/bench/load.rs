//! The load: a process of its own that POSTs pushes over loopback, each with an event of its own.

use std::{
    io::{self, Read, Write},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Barrier,
};

use crate::{rig::pushbell::PATH, servers::Server};

/// Length of a push's body, as Synapse sends it.
const BODY: usize = 604;
/// Rooms that the pushes are spread over.
const ROOMS: u64 = 10;
/// A request that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What to send.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Connections that are kept open, each with one push at a time.
    pub(crate) connections: usize,
    /// The most pushes.
    pub(crate) pushes: u64,
    /// No push is begun after so many seconds.
    pub(crate) seconds: f64,
    /// Whether each push asks for a sound.
    pub(crate) sound: bool,
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

impl Order {
    fn new(server: &Server, plan: Plan) -> Self {
        static ORDERS: AtomicU64 = AtomicU64::new(1);
        let Server { port, app_id, pushkey, .. } = server;
        let (app_id, pushkey, seed) = (app_id.clone(), pushkey.clone(), ORDERS.fetch_add(1, Relaxed) << 32);
        Self { plan, port: *port, app_id, pushkey, seed }
    }
}

/// The pushes that were answered with 200, and the time from the first request to the last answer.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) pushes: u64,
    pub(crate) seconds: f64,
}

/// Puts this load on the server and waits for its end. Panics when a push is not answered with 200.
pub(crate) fn put(server: &Server, plan: Plan) -> Outcome {
    let order = serde_json::to_string(&Order::new(server, plan)).expect("an order is JSON");
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program).args(["load", &order]).output().expect("this program can be started again");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{plan:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The process that sends.
pub(crate) fn main(order: &str) {
    let order: Order = serde_json::from_str(order).expect("an order");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let outcome = runtime.block_on(send(Arc::new(order)));
    println!("{}", serde_json::to_string(&outcome).expect("an outcome is JSON"));
}

async fn send(order: Arc<Order>) -> Outcome {
    let next = Arc::new(AtomicU64::new(0));
    let ready = Arc::new(Barrier::new(order.plan.connections + 1));
    let senders: Vec<_> = (0..order.plan.connections)
        .map(|_| tokio::spawn(sender(Arc::clone(&order), Arc::clone(&next), Arc::clone(&ready))))
        .collect();
    ready.wait().await;
    let begun = Instant::now();
    let mut pushes = 0;
    for sender in senders {
        pushes += sender.await.expect("every push is answered with 200");
    }
    Outcome { pushes, seconds: begun.elapsed().as_secs_f64() }
}

/// Sends pushes over one connection; how many.
async fn sender(order: Arc<Order>, next: Arc<AtomicU64>, ready: Arc<Barrier>) -> u64 {
    let mut request = Request::new(&order);
    let mut stream = TcpStream::connect(("127.0.0.1", order.port)).await.expect("the server listens");
    stream.set_nodelay(true).expect("a connected socket");
    ready.wait().await;
    let begun = Instant::now();
    let mut answer = Vec::with_capacity(1024);
    for sent in 0.. {
        let push = next.fetch_add(1, Relaxed);
        if push >= order.plan.pushes || begun.elapsed().as_secs_f64() > order.plan.seconds {
            return sent;
        }
        request.set_event(order.seed | push);
        let exchange = async {
            stream.write_all(&request.bytes).await?;
            read_answer(&mut stream, &mut answer).await
        };
        tokio::time::timeout(TIMEOUT, exchange).await.expect("an answer in time").expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
    unreachable!("the numbers end later than the pushes")
}

/// Reads an answer to its end.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> io::Result<()> {
    answer.clear();
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if answer.len() >= head + 4 + length.expect("every answer says how long it is") {
            return Ok(());
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
        let body = body(&text[..BODY.saturating_sub(body("").len())]);
        let text = request(*port, &body);
        let events = text.match_indices(EVENT).map(|(at, _)| at).collect();
        let room = text.find(ROOM).expect("the room is in there") + ROOM.len() - 1;
        Self { bytes: text.into_bytes(), events, room }
    }

    /// Event ids are as random as the hashes of real ones: in an index, no two neighbours come after each other.
    fn set_event(&mut self, number: u64) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut event = *EVENT.as_bytes().first_chunk::<44>().expect("it is that long");
        let (mut state, mut bits) = (number, 0);
        for (index, letter) in event[1..].iter_mut().enumerate() {
            // SplitMix64; ten letters of six bits from each number.
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

/// Sends one push on a connection of its own; the moment of its first byte. It fails when the answer is not 200.
pub(crate) fn send_one(server: &Server) -> io::Result<Instant> {
    let order = Order::new(server, Plan { connections: 1, pushes: 1, seconds: 0.0, sound: false });
    let mut request = Request::new(&order);
    request.set_event(order.seed);
    post(server.port, &request.bytes)
}

/// The request of a push of this body, as Synapse sends it.
pub(crate) fn request(port: u16, body: &str) -> String {
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: Synapse/1.163.2\r\nAccept-Encoding: gzip\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request on a connection of its own; the moment of its first byte. It fails when the answer is not 200.
pub(crate) fn post(port: u16, request: &[u8]) -> io::Result<Instant> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let sent = Instant::now();
    stream.write_all(request)?;
    let mut answer = [0; 1024];
    let length = stream.read(&mut answer)?;
    if answer[..length].starts_with(b"HTTP/1.1 200") {
        return Ok(sent);
    }
    Err(io::Error::other(String::from_utf8_lossy(&answer[..length])))
}
