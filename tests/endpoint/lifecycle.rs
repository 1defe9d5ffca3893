//! Shutting down, and clients that leave.

use std::time::Duration;

use pushbell::{
    accounts::Accounts,
    http::{self, Endpoint, Limits, Settings},
};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Client, Mood, PATH, Recording, Server, accounts, push, request, soon};

const KNOWN: &[&str] = &["alices-key"];

#[tokio::test]
async fn shutting_down_finishes_the_request_in_progress_and_closes_the_rest() {
    let mut server = Server::start().await;
    let mut idle = server.connect().await;
    assert_eq!(idle.ask("GET", "/health", b"").await.status, 200);
    let mut untouched = server.connect().await;
    server.recording.set(Mood::Hangs);
    let mut busy = server.connect().await;
    busy.send(&request("POST", PATH, &push(KNOWN))).await;
    server.recording.has_begun(1).await;

    server.stop();
    assert_eq!(idle.end().await, b"");
    assert_eq!(untouched.end().await, b"");
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
    server.recording.set(Mood::Works);

    let answer = busy.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(busy.end().await, b"");
    soon(&mut server.task).await.unwrap();
}

#[tokio::test]
async fn shutting_down_does_not_wait_for_ever() {
    let mut server = Server::with(Limits { drain_time: Duration::from_millis(100), ..Limits::default() }).await;
    server.recording.set(Mood::Hangs);
    let mut busy = server.connect().await;
    busy.send(&request("POST", PATH, &push(KNOWN))).await;
    server.recording.has_begun(1).await;

    server.stop();

    soon(&mut server.task).await.unwrap();
    assert_eq!(busy.end().await, b"");
}

#[tokio::test]
async fn what_a_client_sent_before_it_left_is_recorded() {
    let server = Server::start().await;
    server.recording.set(Mood::Hangs);
    let mut client = server.connect().await;
    client.send(&request("POST", PATH, &push(KNOWN))).await;
    server.recording.has_begun(1).await;
    drop(client);
    assert_eq!(server.push(&["stranger"]).await.status, 200, "by now the server knows that it has left");

    server.recording.set(Mood::Works);

    server.recording.has_done(1).await;
    assert_eq!(server.recording.count(), 1);
}

#[tokio::test]
async fn every_listener_is_served() {
    let listeners = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let addresses = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    let endpoint = Endpoint::new(Recording::new(Mood::Works), accounts(), Settings::default(), || true);
    let task =
        tokio::spawn(http::Server::new(endpoint, Limits::default()).serve(listeners.into(), std::future::pending()));
    for address in [addresses[0], addresses[1], addresses[0], addresses[0]] {
        assert_eq!(Client::connect(address).await.ask("GET", "/health", b"").await.status, 200);
    }
    task.abort();
}

#[tokio::test]
async fn a_push_that_was_held_back_while_the_computer_slept_is_recorded_as_such() {
    let recording = Recording::new(Mood::Works);
    let endpoint = Endpoint::new(recording.clone(), accounts(), Settings::default(), || true);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task =
        tokio::spawn(http::Server::new(endpoint, Limits::default()).serve(vec![listener], std::future::pending()));
    Client::connect(address).await.ask("POST", PATH, &push(KNOWN)).await;
    assert!(recording.deliveries()[0].replayed);
    task.abort();
}

#[tokio::test]
async fn a_client_that_leaves_at_any_point_harms_nobody() {
    let server = Server::start().await;
    let whole = request("POST", PATH, &push(KNOWN));
    for sent in (0..=whole.len()).step_by(5) {
        server.connect().await.send(&whole[..sent]).await;
    }
    assert_eq!(server.push(KNOWN).await.status, 200);
    server.endpoint.set_accounts(Accounts::empty());
    assert_eq!(server.push(KNOWN).await.rejected(), KNOWN);
}
