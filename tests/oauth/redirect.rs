//! The local redirect server on its own.

use std::time::{Duration, Instant};

use pushbell::homeserver::redirect::{Page, RedirectListener};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    browser::Browser,
    rig::{SOON, bus::block_on},
};

/// Sends bytes, and reads until the server closes the connection.
async fn send(port: u16, bytes: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Closing a connection with unread data resets it.
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "no answer to {bytes:.60?}");
    String::from_utf8(answer).unwrap()
}

#[test]
fn one_callback_is_taken_and_answered_with_its_outcome() {
    block_on(async {
        let listener = RedirectListener::bind().await.unwrap();
        let address = format!("{}?code=a%2Bb&state={}", listener.uri(), listener.state());
        let browser = Browser::new();
        let first = async {
            let callback = listener.callback(SOON).await.unwrap();
            assert_eq!(callback.parameter("code"), Some("a+b"));
            assert_eq!(callback.parameter("nothing"), None);
            callback.answer(Page::SignedIn).await;
        };
        let ((), shown) = tokio::join!(first, browser.visit(&address));
        assert_eq!((shown.status, shown.heading()), (200, "You are signed in"));
        assert_eq!(browser.visit(&address).await.status, 0, "nobody is there any more");
    });
}

#[test]
fn what_is_no_callback_is_turned_away() {
    block_on(async {
        let listener = RedirectListener::bind().await.unwrap();
        let (port, state) = (listener.port(), listener.state().to_owned());
        let waiting = tokio::spawn(listener.callback(SOON));
        let long = "x".repeat(20_000);
        for (request, status) in [
            (format!("POST /callback?state={state} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), "405"),
            (format!("GET /callback/?state={state} HTTP/1.1\r\nHost: x\r\n\r\n"), "404"),
            (format!("GET /callback?state={state}x HTTP/1.1\r\nHost: x\r\n\r\n"), "400"),
            (format!("GET /callback?STATE={state} HTTP/1.1\r\nHost: x\r\n\r\n"), "400"),
            (format!("GET /callback?state={state} HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"), "431"),
            ("\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), "400"),
        ] {
            let answer = send(port, &request).await;
            let line = answer.lines().next().unwrap_or_default();
            assert!(line.contains(status), "{line:?} for {request:.60?}");
        }
        assert!(!waiting.is_finished());
        let right = format!("GET /callback?state={state} HTTP/1.1\r\nHost: x\r\n\r\n");
        let (callback, answer) = tokio::join!(waiting, async {
            let answer = tokio::time::timeout(Duration::from_secs(5), send(port, &right)).await;
            answer.unwrap_or_default()
        });
        // The sign-in's outcome was never reported, as when the program exits.
        assert!(answer.is_empty() || answer.contains("410"), "{answer}");
        drop(callback);
    });
}

#[test]
fn an_idle_connection_of_the_browser_is_not_waited_for() {
    block_on(async {
        let listener = RedirectListener::bind().await.unwrap();
        let port = listener.port();
        let right = format!("GET /callback?state={} HTTP/1.1\r\nHost: x\r\n\r\n", listener.state());
        let _reserve = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (answered, answer) = tokio::join!(
            async {
                let callback = listener.callback(SOON).await.unwrap();
                let start = Instant::now();
                callback.answer(Page::SignedIn).await;
                start.elapsed()
            },
            send(port, &right)
        );
        assert!(answer.contains("You are signed in"), "{answer}");
        assert!(answered < Duration::from_secs(2), "{answered:?}");
    });
}

#[test]
fn connections_that_say_nothing_do_not_keep_the_browser_out() {
    block_on(async {
        let listener = RedirectListener::bind().await.unwrap();
        let port = listener.port();
        let right = format!("GET /callback?state={} HTTP/1.1\r\nHost: x\r\n\r\n", listener.state());
        let mut silent = Vec::new();
        for _ in 0..40 {
            silent.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        }
        let start = Instant::now();
        let (callback, answer) = tokio::join!(
            async { listener.callback(SOON).await.unwrap().answer(Page::SignedIn).await },
            send(port, &right)
        );
        let () = callback;
        assert!(answer.contains("You are signed in"), "{answer}");
        assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    });
}
