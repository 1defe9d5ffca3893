//! Valid and invalid HTTP framing.

use pushbell::http::Limits;
use tokio::io::AsyncWriteExt as _;

use crate::support::{Mode, PATH, Server, push, request};

const KNOWN: &[&str] = &["alices-key"];

fn chunked(body: &[u8], size: usize, end: &str) -> Vec<u8> {
    let mut bytes = format!("POST {PATH} HTTP/1.1\r\nHost: desktop\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x};ext=1\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(end.as_bytes());
    bytes
}

#[tokio::test]
async fn a_body_may_come_in_chunks_and_in_pieces() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for size in [1, 7, 4096] {
        client.send(&chunked(&push(KNOWN), size, "0\r\n\r\n")).await;
        assert_eq!(client.answer().await.status, 200, "chunks of {size}");
    }
    client.send(&chunked(&push(KNOWN), 50, "0\r\nTrailer: value\r\n\r\n")).await;
    assert_eq!(client.answer().await.status, 200);
    for byte in request("POST", PATH, &push(KNOWN)) {
        client.send(&[byte]).await;
        client.stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(server.recording.count(), 5);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let requests = [
        request("POST", PATH, &push(&["one"])),
        request("GET", "/health", b""),
        request("POST", "/nowhere", b"{}"),
        request("POST", PATH, &push(&["alices-key", "two"])),
        request("POST", PATH, b"{"),
        request("POST", PATH, &push(&["three"])),
    ];
    client.send(&requests.concat()).await;

    assert_eq!(client.answer().await.rejected(), ["one"]);
    assert_eq!(client.answer().await.json["status"], "ok");
    assert_eq!(client.answer().await.status, 404);
    assert_eq!(client.answer().await.rejected(), ["two"]);
    assert_eq!(client.answer().await.status, 400);
    assert_eq!(client.answer().await.rejected(), ["three"]);
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it() {
    let server = Server::start().await;
    let body = push(KNOWN);
    let head = |length: usize| {
        format!("POST {PATH} HTTP/1.1\r\nHost: desktop\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
    };
    let mut client = server.connect().await;
    client.send(head(body.len()).as_bytes()).await;
    let mut interim = [0; 25];
    tokio::io::AsyncReadExt::read_exact(&mut client.stream, &mut interim).await.unwrap();
    assert_eq!(interim.as_slice(), b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send(&body).await;
    assert_eq!(client.answer().await.status, 200);

    client.send(head(600 * 1024).as_bytes()).await;
    assert_eq!(client.answer().await.status, 413, "it is not asked to send what is too large");
}

#[tokio::test]
async fn http_1_0_and_connection_close_are_served_and_closed() {
    let server = Server::start().await;
    let body = push(KNOWN);
    for (version, header) in [("1.0", "X: y"), ("1.1", "Connection: close")] {
        let mut client = server.connect().await;
        let head = format!("POST {PATH} HTTP/{version}\r\n{header}\r\nContent-Length: {}\r\n\r\n", body.len());
        client.send(&[head.as_bytes(), &body].concat()).await;
        assert_eq!(client.answer().await.status, 200);
        assert_eq!(client.end().await, b"");
    }
}

#[tokio::test]
async fn a_client_that_has_said_all_it_will_say_gets_its_answers() {
    let server = Server::start().await;
    for requests in 1..=2 {
        server.recording.set(Mode::Hangs);
        let mut client = server.connect().await;
        client.send(&request("POST", PATH, &push(KNOWN)).repeat(requests)).await;
        client.stream.shutdown().await.unwrap();
        server.recording.has_begun(requests).await;
        // By then the server has received the end of what the first client sent.
        assert_eq!(server.push(&["stranger"]).await.status, 200);
        server.recording.set(Mode::Works);
        for _ in 0..requests {
            assert_eq!(client.answer().await.status, 200, "{requests}");
        }
        assert_eq!(client.end().await, b"");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_closes_connections() {
    let limit = Limits::default().body_bytes;
    let server = Server::start().await;
    let padded = |length: usize| {
        let mut body = push(KNOWN);
        body.resize(length, b' ');
        body
    };
    assert_eq!(server.ask("POST", PATH, &padded(limit)).await.status, 200);
    let too_large = padded(limit + 1);
    for sent in [request("POST", PATH, &too_large), chunked(&too_large, 10_000, "0\r\n\r\n")] {
        let mut client = server.connect().await;
        client.send(&sent).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.errcode()), (413, "M_TOO_LARGE"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(client.end().await, b"");
    }
    assert_eq!(server.recording.count(), 1);
}

#[tokio::test]
async fn ten_gigabytes_are_refused_before_any_of_them_is_sent() {
    let server = Server::start().await;
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut client = server.connect().await;
        let head = format!("POST {PATH} HTTP/1.1\r\nHost: desktop\r\n{expect}Content-Length: 10737418240\r\n\r\n");
        client.send(head.as_bytes()).await;
        assert_eq!(client.answer().await.status, 413);
    }
}

#[tokio::test]
async fn chunks_without_end_are_read_only_so_far() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(&chunked(&[], 1, "")).await;
    let chunk = [b"10000\r\n", vec![b' '; 0x10000].as_slice(), b"\r\n"].concat();
    let mut sent = 0;
    while sent < 64 * 1024 * 1024 && client.stream.write_all(&chunk).await.is_ok() {
        sent += chunk.len();
    }
    // The limit, what is discarded so that the answer arrives, and the socket buffers on both sides.
    assert!(sent < 32 * 1024 * 1024, "{sent} bytes were taken");
    assert_eq!(server.push(KNOWN).await.status, 200);
    assert_eq!(server.recording.count(), 1);
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_sends_on() {
    let server = Server::start().await;
    for path in [PATH, "/nowhere"] {
        let mut client = server.connect().await;
        client.send(&request("POST", path, &vec![b' '; 4 * 1024 * 1024])).await;
        assert!([413, 404].contains(&client.answer().await.status), "{path}");
    }
}

/// Sends these bytes, and expects a 4xx in JSON or no answer, and the end of the connection.
async fn refused(server: &Server, bytes: &[u8]) -> Option<u16> {
    let mut client = server.connect().await;
    // The connection may be closed before everything is sent.
    client.stream.write_all(bytes).await.ok();
    client.stream.shutdown().await.ok();
    let answer = client.try_answer("POST").await;
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
    assert!(answer.as_ref().is_none_or(|answer| (400..500).contains(&answer.status)), "{shown}: {answer:?}");
    assert_eq!(client.end().await, b"", "{shown}");
    answer.map(|answer| answer.status)
}

#[tokio::test]
async fn what_is_not_http_is_refused_and_harms_nobody() {
    let server = Server::start().await;
    let long = "x".repeat(20_000);
    let post = format!("POST {PATH} HTTP/1.1\r\nHost: desktop\r\n");
    let check = async |bytes: String, expected: Option<u16>| {
        assert_eq!(refused(&server, bytes.as_bytes()).await, expected, "{:?}", &bytes[..bytes.len().min(90)]);
    };
    check("\r\n\r\n".to_owned(), None).await;
    check("GET /\r\n".to_owned(), Some(400)).await;
    check("GET / HTTP/2.0\r\n\r\n".to_owned(), Some(400)).await;
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0".to_owned(), None).await;
    check("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".to_owned(), Some(400)).await;
    check("hello\r\n\r\n".to_owned(), Some(400)).await;
    check(format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(70_000)), Some(431)).await;
    check(format!("{post}Cookie: {long}\r\n\r\n"), Some(431)).await;
    check(format!("{post}{}\r\n", "a: b\r\n".repeat(101)), Some(431)).await;
    check(format!("{post}Content-Length: -1\r\n\r\n"), Some(400)).await;
    check(format!("{post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"), Some(400)).await;
    check(format!("{post}Content-Length: 99999999999999999999999\r\n\r\n"), Some(400)).await;
    check(format!("{post}Content-Length: 18446744073709551615\r\n\r\n"), Some(431)).await;
    check(format!("{post}Transfer-Encoding: gzip\r\n\r\n"), Some(400)).await;
    check(format!("{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n"), Some(400)).await;
    check(format!("{post}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"), Some(400)).await;
    check(format!("{post}Content-Length: 100\r\n\r\n{{}}"), Some(400)).await;
    check(format!("{post} folded: header\r\n\r\n"), Some(400)).await;
    assert_eq!(server.push(KNOWN).await.status, 200);
    assert_eq!(server.recording.count(), 1);
}

#[tokio::test]
async fn two_lengths_never_smuggle_a_second_request() {
    let server = Server::start().await;
    let inner = String::from_utf8(request("POST", PATH, &push(&["smuggled"]))).unwrap();
    let bytes = format!(
        "POST {PATH} HTTP/1.1\r\nHost: desktop\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
        inner.len() + 5,
    );
    let mut client = server.connect().await;
    client.send(&bytes.into_bytes()).await;
    assert_eq!(client.answer().await.status, 400);
    assert_eq!(client.end().await, b"");
}
