//! Time and size limits.

use std::time::{Duration, Instant};

use pushbell::http::Limits;
use serde_json::json;

use crate::support::{Client, Mode, PATH, Server, push, request, soon};

const SHORT: Duration = Duration::from_millis(150);
const KNOWN: &[&str] = &["alices-key"];

/// Sends these bytes; returns everything received until the end of the connection, and how long that took.
async fn end_after(server: &Server, bytes: &[u8]) -> (Vec<u8>, Duration) {
    let mut client = server.connect().await;
    let start = Instant::now();
    client.send(bytes).await;
    (client.end().await, start.elapsed())
}

#[tokio::test]
async fn a_head_that_does_not_come_is_cut_off() {
    let server = Server::with(Limits { idle_time: SHORT, ..Limits::default() }).await;
    for begun in ["", "P", "POST / HTTP/1.1\r\nHost: des"] {
        let (answer, took) = end_after(&server, begun.as_bytes()).await;
        assert!(answer.is_empty() && took >= SHORT, "{begun}: {took:?}");
    }
    let mut client = server.connect().await;
    assert_eq!(client.ask("GET", "/health", b"").await.status, 200);
    client.send(b"POST").await;
    assert_eq!(client.end().await, b"", "nor is the next one waited for");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_cut_off() {
    let server = Server::with(Limits { body_time: SHORT, ..Limits::default() }).await;
    let whole = request("POST", PATH, &push(KNOWN));
    for missing in [1, 20] {
        let (answer, took) = end_after(&server, &whole[..whole.len() - missing]).await;
        assert!(answer.is_empty() && took >= SHORT, "{took:?}");
    }
    assert_eq!(server.recording.count(), 0);
}

/// Sends these bytes, and then one byte at a time; returns how long the connection lasted.
async fn sends_slowly(server: &Server, begun: &[u8]) -> Duration {
    let mut client = server.connect().await;
    let start = Instant::now();
    client.send(begun).await;
    let mut tick = tokio::time::interval(SHORT / 10);
    loop {
        tokio::select! {
            end = client.end() => {
                assert_eq!(end, b"");
                return start.elapsed();
            }
            _ = tick.tick() => {}
        }
        tokio::io::AsyncWriteExt::write_all(&mut client.stream, b"x").await.ok();
        assert!(start.elapsed() < 20 * SHORT, "it is served on");
    }
}

#[tokio::test]
async fn what_dribbles_gets_no_more_time_for_each_byte() {
    let server = Server::with(Limits { idle_time: SHORT, body_time: 2 * SHORT, ..Limits::default() }).await;
    assert!(sends_slowly(&server, b"").await >= SHORT);
    let whole = request("POST", PATH, &vec![b' '; 500_000]);
    assert!(sends_slowly(&server, &whole[..200]).await >= 2 * SHORT);
    let chunked = format!("POST {PATH} HTTP/1.1\r\nHost: desktop\r\nTransfer-Encoding: chunked\r\n\r\n7ffff\r\n");
    assert!(sends_slowly(&server, chunked.as_bytes()).await >= 2 * SHORT);
    assert_eq!(server.push(KNOWN).await.status, 200);
}

#[tokio::test]
async fn an_idle_connection_has_a_longer_time_of_its_own() {
    let times = Limits { body_time: SHORT, answer_time: SHORT, ..Limits::default() };
    let server = Server::with(Limits { idle_time: 3 * SHORT, ..times }).await;
    let mut client = server.connect().await;
    let mut start = Instant::now();
    for _ in 0..2 {
        start = Instant::now();
        assert_eq!(client.ask("POST", PATH, &push(KNOWN)).await.status, 200);
    }
    assert_eq!(client.end().await, b"");
    assert!(start.elapsed() >= 3 * SHORT, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_cut_off() {
    let server = Server::with(Limits { answer_time: SHORT, ..Limits::default() }).await;
    let keys: Vec<String> = (0..400).map(|number| format!("{number:0>1000}")).collect();
    let whole = request("POST", PATH, &push(&keys.iter().map(String::as_str).collect::<Vec<_>>()));
    let mut client = server.connect().await;
    let flood = async { while tokio::io::AsyncWriteExt::write_all(&mut client.stream, &whole).await.is_ok() {} };
    soon(flood).await;
    assert_eq!(server.push(KNOWN).await.status, 200);
}

#[tokio::test]
async fn a_recorder_that_hangs_is_answered_for_with_503() {
    let server = Server::with(Limits { record_time: SHORT, ..Limits::default() }).await;
    server.recording.set(Mode::Hangs);
    let mut client = server.connect().await;

    let answer = client.ask("POST", PATH, &push(KNOWN)).await;
    assert_eq!((answer.status, answer.errcode()), (503, "M_UNKNOWN"));
    assert_eq!(client.ask("GET", "/health", b"").await.status, 503);

    server.recording.set(Mode::Works);
    server.recording.has_done(1).await;
    assert_eq!(client.ask("POST", PATH, &push(KNOWN)).await.json, json!({"rejected": []}), "the same connection");
}

#[tokio::test]
async fn idle_connections_beyond_the_limit_make_room_for_a_push() {
    let server = Server::with(Limits { connections: 64, ..Limits::default() }).await;
    let mut homeserver = server.connect().await;
    assert_eq!(homeserver.ask("POST", PATH, &push(KNOWN)).await.status, 200);

    let mut strangers = Vec::new();
    for _ in 0..300 {
        strangers.push(server.connect().await);
    }
    assert_eq!(server.push(KNOWN).await.status, 200, "a newcomer is served");
    assert_eq!(homeserver.ask("POST", PATH, &push(KNOWN)).await.status, 200, "who sent a push before is kept");
    assert_eq!(strangers[0].end().await, b"", "the stalest is closed");
    let newest = strangers.last_mut().unwrap();
    assert_eq!(newest.ask("GET", "/health", b"").await.status, 200, "the newest is not");
}

#[tokio::test]
async fn senders_of_unknown_pushkeys_make_room_before_known_ones() {
    let server = Server::with(Limits { connections: 2, ..Limits::default() }).await;
    let [mut known, mut unknown] = [server.connect().await, server.connect().await];
    assert_eq!(known.ask("POST", PATH, &push(KNOWN)).await.status, 200);
    assert_eq!(unknown.ask("POST", PATH, &push(&["stranger"])).await.status, 200);

    let mut newcomer = server.connect().await;
    assert_eq!(newcomer.ask("GET", "/health", b"").await.status, 200);

    assert_eq!(unknown.end().await, b"");
    assert_eq!(known.ask("POST", PATH, &push(KNOWN)).await.status, 200);
}

#[tokio::test]
async fn unfinished_bodies_make_room_for_a_whole_one() {
    let server = Server::with(Limits { all_body_bytes: 600 * 1024, ..Limits::default() }).await;
    let large = request("POST", PATH, &vec![b' '; 500 * 1024]);
    let mut stuck = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(server.address).await;
        client.send(&large[..large.len() - 1]).await;
        stuck.push(client);
    }
    let mut body = push(KNOWN);
    body.resize(400 * 1024, b' ');
    assert_eq!(server.ask("POST", PATH, &body).await.status, 200);
    assert_eq!(stuck[0].end().await, b"");
}

/// A connection from this address of the loopback network.
#[cfg(target_os = "linux")]
async fn connect_from(source: [u8; 4], server: std::net::SocketAddr) -> Client {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    Client { stream: soon(socket.connect(server)).await.unwrap(), read: Vec::new() }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_from_one_address_evicts_no_others_connection() {
    const FLOOD: [u8; 4] = [127, 0, 0, 2];
    let limits = Limits { connections: 256, ..Limits::default() };
    let server = Server::with(limits).await;
    let whole = request("POST", PATH, &push(KNOWN));
    let (first, rest) = whole.split_at(30);
    let mut slow = Vec::new();
    for _ in 0..8 {
        slow.push(connect_from([127, 0, 0, 1], server.address).await);
    }
    let address = server.address;
    let (flooded, is_flooded) = tokio::sync::oneshot::channel();
    let flood = tokio::spawn(async move {
        let mut flooded = Some(flooded);
        let mut open = std::collections::VecDeque::new();
        for number in 0.. {
            open.push_back(connect_from(FLOOD, address).await);
            if open.len() > 2 * limits.connections {
                open.pop_front();
                // More connections than the limit have arrived, and more keep arriving.
                if let Some(flooded) = flooded.take_if(|_| number >= 3_000) {
                    flooded.send(()).unwrap();
                }
            }
        }
    });
    for client in &mut slow {
        client.send(first).await;
    }
    soon(is_flooded).await.unwrap();

    for _ in 0..10 {
        let start = Instant::now();
        let mut homeserver = connect_from([127, 0, 0, 3], address).await;
        homeserver.send(&whole).await;
        assert_eq!(homeserver.answer().await.status, 200);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
    for client in &mut slow {
        client.send(rest).await;
        assert_eq!(client.answer().await.status, 200);
    }
    flood.abort();
}
