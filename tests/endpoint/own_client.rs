//! The HTTP client that our own commands use.

use std::{net::SocketAddr, time::Duration};

use pushbell::http_client::{TransportFault, post_to_own_endpoint as post};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{Mode, PATH, PATIENCE, Server, push};

#[tokio::test]
async fn it_posts_to_the_endpoint() {
    let server = Server::start().await;
    let answer = post("http", server.address, PATH, push(&["alices-key", "stranger"]), PATIENCE).await.unwrap();
    assert_eq!(answer, (200, br#"{"rejected":["stranger"]}"#.to_vec()));

    let everywhere = SocketAddr::from(([0, 0, 0, 0], server.address.port()));
    assert_eq!(post("http", everywhere, "/nowhere", b"{}".to_vec(), PATIENCE).await.unwrap().0, 404);
}

#[tokio::test]
async fn it_says_what_is_wrong() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = post("http", free, PATH, Vec::new(), PATIENCE).await.unwrap_err();
    assert_eq!((refused.host, refused.fault), (free.to_string(), TransportFault::Refused));

    let server = Server::start().await;
    server.recording.set(Mode::Hangs);
    let timeout = Duration::from_millis(50);
    let slow = post("http", server.address, PATH, push(&["alices-key"]), timeout).await.unwrap_err();
    assert_eq!(slow.to_string(), format!("{}: no answer within 0.05 s", server.address));
    assert!(post("http", server.address, "no path", Vec::new(), PATIENCE).await.is_err());
}

#[tokio::test]
async fn it_takes_no_answer_that_is_not_pushbells() {
    let check = async |answer: &[u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"{}") {
                stream.read_buf(&mut request).await.unwrap();
            }
            // The client may not read all of it.
            stream.write_all(answer).await.ok();
        };
        tokio::join!(post("http", address, "/path", b"{}".to_vec(), PATIENCE), server).0
    };
    assert_eq!(check(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap(), (200, b"{}".to_vec()));
    assert_eq!(check(b"HTTP/1.0 200 OK\r\n\r\n{}").await.unwrap(), (200, b"{}".to_vec()));
    for broken in [&b""[..], b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}"] {
        assert_eq!(check(broken).await.unwrap_err().fault, TransportFault::Broken);
    }
    let endless = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![b' '; 2 * 1024 * 1024]].concat();
    assert_eq!(check(&endless).await.unwrap_err().fault, TransportFault::TooLarge);
}
